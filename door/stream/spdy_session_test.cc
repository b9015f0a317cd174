#include "door/stream/spdy_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/testing/fuzz.h"
#include "base/testing/status_matchers.h"
#include "door/stream/test_spdy_client.h"

namespace berth::door {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// What Go's library, which Kubernetes' clients use, sends at the begin of a
// command: four streams, "hello", a ping, and the end of the input.
constexpr char kCommand[] =
    "80030001000000290000000100000000000078f9e3c6a7c26260606004a7b392a2d4c45c"
    "6851c29a0a0a6800000000ffff800300010000001700000003000000000000c22e555c92"
    "929907000000ffff800300010000001900000005000000000000c22ac5565c92925f5a02"
    "000000ffff800300010000001500000007000000000000c229975a5404000000ffff0000"
    "00030000000568656c6c6f8003000600000004000000010000000301000000";

std::string Bytes(std::string_view hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes += static_cast<char>(
        std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  }
  return bytes;
}

// "open 1 error", "data 3 hello", "end 3", "reset 3", "away".
std::vector<std::string> Texts(const std::vector<SpdyEvent>& events) {
  std::vector<std::string> texts;
  for (const SpdyEvent& event : events) {
    const std::string id = " " + std::to_string(event.stream);
    switch (event.type) {
      case SpdyEvent::Type::kOpened:
        texts.push_back("open" + id + " " + event.Header("streamtype"));
        break;
      case SpdyEvent::Type::kData:
        texts.push_back("data" + id + " " + event.bytes);
        break;
      case SpdyEvent::Type::kEnded:
        texts.push_back("end" + id);
        break;
      case SpdyEvent::Type::kReset:
        texts.push_back("reset" + id);
        break;
      case SpdyEvent::Type::kGoAway:
        texts.push_back("away");
        break;
    }
  }
  return texts;
}

class SpdySessionTest : public ::testing::Test {
 protected:
  std::vector<std::string> Receive(const std::string& bytes) {
    const auto events = session_.Receive(bytes);
    EXPECT_OK(events.status());
    return events.ok() ? Texts(*events) : std::vector<std::string>();
  }
  std::vector<std::string> Sent() {
    return TestSpdyClient::Read(session_.TakeOutput());
  }
  // One stream, with its answer taken.
  void Open(uint32_t stream) {
    (void)Receive(client_.Open(stream, {{"streamtype", "stdout"}}));
    (void)Sent();
  }

  SpdySession session_{8};
  TestSpdyClient client_;
};

TEST_F(SpdySessionTest, ReadsWhatGosLibrarySends) {
  EXPECT_THAT(Receive(Bytes(kCommand)),
              ElementsAre("open 1 error", "open 3 stdin", "open 5 stdout",
                          "open 7 stderr", "data 3 hello", "end 3"));
  EXPECT_THAT(Sent(), ElementsAre("reply 1", "reply 3", "reply 5", "reply 7",
                                  "ping 1"));
}

TEST_F(SpdySessionTest, ReadsItByteByByte) {
  std::vector<std::string> all;
  for (const char c : Bytes(kCommand)) {
    for (std::string& text : Receive(std::string(1, c))) {
      all.push_back(std::move(text));
    }
  }
  EXPECT_THAT(all, ElementsAre("open 1 error", "open 3 stdin", "open 5 stdout",
                               "open 7 stderr", "data 3 h", "data 3 e",
                               "data 3 l", "data 3 l", "data 3 o", "end 3"));
}

TEST_F(SpdySessionTest, AnswersCanBeReadByAClient) {
  (void)Receive(client_.Open(1, {}));
  const std::string answer = session_.TakeOutput();
  ASSERT_GT(answer.size(), 12u);
  SpdyHeaders reader;
  const auto headers = reader.Unpack(std::string_view(answer).substr(12));
  ASSERT_OK(headers.status());
  EXPECT_THAT(*headers, IsEmpty());
}

TEST_F(SpdySessionTest, SendsAllToAClientThatKnowsOfNoWindows) {
  Open(1);
  session_.Send(1, std::string(300'000, 'x'));
  session_.End(1);
  EXPECT_FALSE(session_.HoldsBack(1));
  const std::vector<std::string> sent = Sent();
  EXPECT_EQ(sent.size(), 300'000 / 32768 + 2u);
  EXPECT_EQ(sent.back(), "end 1");
}

TEST_F(SpdySessionTest, KeepsToTheWindowsOfAClientThatHasThem) {
  Open(1);
  Open(3);
  (void)Receive(TestSpdyClient::InitialWindow(4));
  session_.Send(1, "abcdefgh");
  session_.End(1);
  session_.Send(3, "ABC");
  EXPECT_TRUE(session_.HoldsBack(1));
  EXPECT_FALSE(session_.HoldsBack(3));
  EXPECT_THAT(Sent(), ElementsAre("data 1 abcd", "data 3 ABC"));
  (void)Receive(TestSpdyClient::Window(1, 2));
  EXPECT_THAT(Sent(), ElementsAre("data 1 ef"));
  (void)Receive(TestSpdyClient::Window(1, 100));
  EXPECT_THAT(Sent(), ElementsAre("data 1 gh", "end 1"));
  EXPECT_FALSE(session_.HoldsBack(1));
}

TEST_F(SpdySessionTest, WhatWasSentBeforeCounts) {
  Open(1);
  session_.Send(1, std::string(60'000, 'x'));
  (void)Sent();
  // 5,536 bytes are left of 64 KiB, for the stream and for the session.
  (void)Receive(TestSpdyClient::Window(1, 100'000));
  session_.Send(1, std::string(6'000, 'y'));
  EXPECT_TRUE(session_.HoldsBack(1));
  (void)Receive(TestSpdyClient::Window(0, 464));
  EXPECT_FALSE(session_.HoldsBack(1));
}

TEST_F(SpdySessionTest, LastWordsDoNotWait) {
  Open(1);
  (void)Receive(TestSpdyClient::InitialWindow(0));
  session_.Send(1, "bye");
  session_.End(1);
  EXPECT_THAT(Sent(), IsEmpty());
  session_.PushAll();
  EXPECT_THAT(Sent(), ElementsAre("data 1 bye", "end 1"));
}

TEST_F(SpdySessionTest, MakesRoomForWhatWasTaken) {
  Open(1);
  (void)Receive(TestSpdyClient::Data(1, "some"));
  session_.Took(1, 32'767);
  EXPECT_THAT(Sent(), IsEmpty());
  session_.Took(1, 1);
  EXPECT_THAT(Sent(), ElementsAre("window 0 32768", "window 1 32768"));
}

TEST_F(SpdySessionTest, RefusesMoreStreamsThanItMayHave) {
  for (uint32_t id = 1; id <= 15; id += 2) Open(id);
  EXPECT_THAT(Receive(client_.Open(17, {})), IsEmpty());
  EXPECT_THAT(Sent(), ElementsAre("reset 17"));
  // One that has ended both ways makes room.
  (void)Receive(TestSpdyClient::Data(1, "", true));
  session_.End(1);
  (void)Sent();
  EXPECT_THAT(Receive(client_.Open(19, {{"streamtype", "x"}})),
              ElementsAre("open 19 x"));
}

TEST_F(SpdySessionTest, DropsWhatComesForStreamsThatAreGone) {
  Open(1);
  session_.Reset(1);
  EXPECT_THAT(Sent(), ElementsAre("reset 1"));
  EXPECT_THAT(Receive(TestSpdyClient::Data(1, "late", true)), IsEmpty());
  EXPECT_THAT(Receive(TestSpdyClient::Data(77, "never opened")), IsEmpty());
  session_.Send(1, "late");
  session_.End(1);
  EXPECT_THAT(Sent(), IsEmpty());
  Open(3);
  EXPECT_THAT(Receive(TestSpdyClient::Reset(3)), ElementsAre("reset 3"));
}

TEST_F(SpdySessionTest, TellsThatTheClientLeaves) {
  EXPECT_THAT(Receive(TestSpdyClient::GoAway()), ElementsAre("away"));
}

std::string HeadersOf(size_t count, size_t size) {
  SpdyHeaderList headers;
  for (size_t i = 0; i < count; ++i) {
    headers.emplace_back("n" + std::to_string(i), std::string(size, 'v'));
  }
  return TestSpdyClient().Open(1, headers);
}

TEST(SpdyLimitsTest, EndsSessionsThatCannotGoOn) {
  using Client = TestSpdyClient;
  const auto Number = Client::Number;
  const StatusCode kWrong = StatusCode::kInvalidArgument;
  const StatusCode kTooMuch = StatusCode::kResourceExhausted;
  const std::vector<std::pair<std::string, StatusCode>> all = {
      {Number(0x80020001) + Number(0), kWrong},  // another version
      {Client::Control(1, "short"), kWrong},     //
      {Client().Open(2, {}), kWrong},            // the server's id
      {Client::Control(2, Number(1)), kWrong},   // an answer
      {Client::Control(1, std::string(10, '\0') + "no zlib"), kWrong},
      {Client::Control(4, Number(9) + Number(7)), kWrong},  // cut off
      {Client::Window(0, 0x7fffffff), kWrong},
      {Number(0x80030001) + Number(0xffffff), kTooMuch},
      {HeadersOf(65, 1), kTooMuch},
      {HeadersOf(4, 10'000), kTooMuch},  // a few bytes, until it is unpacked
  };
  for (const auto& [bytes, code] : all) {
    SpdySession session(8);
    EXPECT_THAT(session.Receive(bytes), StatusIs(code)) << Bytes("") << code;
  }
  SpdySession session(8);
  Client client;
  EXPECT_OK(session.Receive(client.Open(5, {})).status());
  EXPECT_THAT(session.Receive(client.Open(3, {})), StatusIs(kWrong));
}

TEST(SpdyLimitsTest, SurvivesAnyBytes) {
  Fuzz({Bytes(kCommand), TestSpdyClient::InitialWindow(100),
        TestSpdyClient::Window(3, 5) + TestSpdyClient::GoAway()},
       {"\x80\3\0\1", "\0\0\0\3"}, [](const std::string& bytes) {
         SpdySession session(8);
         const auto events = session.Receive(bytes);
         session.Send(3, "x");
         session.End(3);
         (void)session.TakeOutput();
         return events.ok();
       });
}

}  // namespace
}  // namespace berth::door
