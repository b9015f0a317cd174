#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <iterator>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "base/context.h"
#include "base/json.h"
#include "base/testing/status_matchers.h"
#include "door/stream/channel.h"
#include "door/stream/command_channel.h"
#include "door/stream/command_status.h"
#include "door/stream/terminal_sizes.h"
#include "door/stream/test_exchange.h"
#include "door/stream/test_spdy_client.h"

namespace berth::door {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

constexpr CommandStreams kAll = {true, true, true, false};
constexpr CommandStreams kTerminal = {true, true, false, true};

// ---- SPDY -------------------------------------------------------------------

class SpdyCommandTest : public ::testing::Test {
 protected:
  std::string Open(const std::string& types) {
    std::string bytes;
    for (const std::string& type : SplitWords(types)) {
      bytes += client_->Open(next_, {{"streamtype", type}});
      next_ += 2;
    }
    return bytes;
  }
  static std::vector<std::string> SplitWords(const std::string& text) {
    std::istringstream words(text);
    return {std::istream_iterator<std::string>(words), {}};
  }
  // Streams 1, 3, 5, ... in this order.
  void Start(const std::string& protocol, const std::string& types,
             const CommandStreams& streams) {
    exchange_ = std::make_unique<TestExchange>(TestExchange::Spdy(protocol));
    exchange_->Send(Open(types));
    ASSERT_OK_AND_ASSIGN(channel_,
                         OpenCommandChannel(ctx_, *exchange_, streams));
    (void)exchange_->Received();
  }
  ChannelInput Input(std::string_view bytes) {
    exchange_->Send(bytes);
    const auto input = channel_->TryRead();
    EXPECT_OK(input.status());
    return input.ok() && input->has_value() ? **input : ChannelInput();
  }
  std::vector<std::string> Sent() {
    EXPECT_OK(channel_->Flush(ctx_));
    return TestSpdyClient::Read(exchange_->Received());
  }

  const Context ctx_ =
      Context::Background().WithTimeout(std::chrono::seconds(20));
  std::optional<TestSpdyClient> client_{std::in_place};
  uint32_t next_ = 1;
  std::unique_ptr<TestExchange> exchange_;
  std::unique_ptr<StreamChannel> channel_;
};

TEST_F(SpdyCommandTest, CarriesAllStreams) {
  Start("v4.channel.k8s.io", "error stdin stdout stderr", kAll);
  EXPECT_EQ(exchange_->answer().at("X-Stream-Protocol-Version"),
            "v4.channel.k8s.io");
  EXPECT_EQ(Input(TestSpdyClient::Data(3, "typed")).bytes, "typed");
  const ChannelInput last = Input(TestSpdyClient::Data(3, "end", true));
  EXPECT_EQ(last.bytes, "end");
  EXPECT_TRUE(last.ended);
  channel_->Put(Stream::kStdout, "out");
  channel_->Put(Stream::kStderr, "err");
  EXPECT_THAT(Sent(), ElementsAre("data 5 out", "data 7 err"));
  ASSERT_OK(channel_->End(ctx_, 3));
  const std::vector<std::string> sent = Sent();
  ASSERT_EQ(sent.size(), 5u);
  EXPECT_EQ(sent[0], "end 5");
  EXPECT_EQ(sent[1], "end 7");
  EXPECT_THAT(sent[2],
              HasSubstr("data 1 {\"details\":{\"causes\":[{"
                        "\"message\":\"3\",\"reason\":\"ExitCode\"}]"));
  EXPECT_EQ(sent[3], "end 1");
  EXPECT_EQ(sent[4], "end 3");
}

TEST_F(SpdyCommandTest, OldVersionsSayNothingOfASuccess) {
  Start("v2.channel.k8s.io", "error stdout", {false, true, false, false});
  ASSERT_OK(channel_->End(ctx_, 0));
  EXPECT_THAT(Sent(), ElementsAre("end 3", "end 1"));
}

TEST_F(SpdyCommandTest, OldVersionsSayAFailureAsText) {
  Start("channel.k8s.io", "error stdout", {false, true, false, false});
  ASSERT_OK(channel_->End(ctx_, NotFound("no such program")));
  EXPECT_THAT(
      Sent(),
      ElementsAre("end 3", "data 1 Internal error occurred: no such program",
                  "end 1"));
}

TEST_F(SpdyCommandTest, HearsTheTerminalsSize) {
  Start("v5.channel.k8s.io", "error stdin stdout resize", kTerminal);
  const ChannelInput input = Input(TestSpdyClient::Data(
      7, "{\"Width\":80,\"Height\":24}\n{\"Width\":100,\"Height\":"));
  ASSERT_TRUE(input.size.has_value());
  EXPECT_EQ(input.size->width, 80);
  const ChannelInput more = Input(TestSpdyClient::Data(7, "50}"));
  ASSERT_TRUE(more.size.has_value());
  EXPECT_EQ(more.size->height, 50);
  EXPECT_EQ(more.bytes, "");
}

TEST_F(SpdyCommandTest, KeepsWhatComesBeforeAllStreamsAreThere) {
  exchange_ =
      std::make_unique<TestExchange>(TestExchange::Spdy("v4.channel.k8s.io"));
  // One after another: each block is packed with the one before.
  exchange_->Send(Open("error stdin"));
  exchange_->Send(TestSpdyClient::Data(3, "early"));
  exchange_->Send(Open("stdout stderr"));
  ASSERT_OK_AND_ASSIGN(channel_, OpenCommandChannel(ctx_, *exchange_, kAll));
  EXPECT_TRUE(channel_->HasPending());
  ASSERT_OK_AND_ASSIGN(const auto input, channel_->TryRead());
  ASSERT_TRUE(input.has_value());
  EXPECT_EQ(input->bytes, "early");
}

TEST_F(SpdyCommandTest, WaitsForAllStreamsAndNoLonger) {
  exchange_ =
      std::make_unique<TestExchange>(TestExchange::Spdy("v4.channel.k8s.io"));
  exchange_->Send(Open("error stdin stdout"));
  EXPECT_THAT(
      OpenCommandChannel(ctx_.WithTimeout(std::chrono::milliseconds(50)),
                         *exchange_, kAll),
      StatusIs(StatusCode::kDeadlineExceeded));
}

TEST_F(SpdyCommandTest, AClientThatLeavesEarlyIsNotWaitedFor) {
  exchange_ =
      std::make_unique<TestExchange>(TestExchange::Spdy("v4.channel.k8s.io"));
  exchange_->Leave();
  EXPECT_THAT(OpenCommandChannel(ctx_, *exchange_, kAll),
              StatusIs(StatusCode::kUnavailable));
}

TEST_F(SpdyCommandTest, ResetsStreamsThatNobodyAskedFor) {
  Start("v4.channel.k8s.io", "error stdout", {false, true, false, false});
  (void)Input(Open("stdin stdout nonsense"));
  EXPECT_THAT(Sent(), UnorderedElementsAre("reply 5", "reset 5", "reply 7",
                                           "reset 7", "reply 9", "reset 9"));
}

TEST_F(SpdyCommandTest, EndsWithItsClient) {
  for (const std::string& bytes :
       {TestSpdyClient::GoAway(), TestSpdyClient::Reset(1)}) {
    client_.emplace();
    next_ = 1;
    Start("v4.channel.k8s.io", "error stdin stdout stderr", kAll);
    exchange_->Send(bytes);
    EXPECT_THAT(channel_->TryRead(), StatusIs(StatusCode::kUnavailable));
  }
}

TEST_F(SpdyCommandTest, OutputWaitsForTheClientsWindow) {
  Start("v4.channel.k8s.io", "error stdin stdout stderr", kAll);
  (void)Input(TestSpdyClient::InitialWindow(3));
  channel_->Put(Stream::kStdout, "abcdef");
  EXPECT_THAT(Sent(), ElementsAre("data 5 abc"));
  EXPECT_FALSE(channel_->Takes(Stream::kStdout));
  EXPECT_TRUE(channel_->Takes(Stream::kStderr));
  (void)Input(TestSpdyClient::Window(5, 3));
  EXPECT_THAT(Sent(), ElementsAre("data 5 def"));
  EXPECT_TRUE(channel_->Takes(Stream::kStdout));
}

// ---- WebSocket --------------------------------------------------------------

class WebsocketCommandTest : public ::testing::Test {
 protected:
  void Start(const std::string& protocols, const CommandStreams& streams) {
    exchange_ =
        std::make_unique<TestExchange>(TestExchange::Websocket(protocols));
    ASSERT_OK_AND_ASSIGN(channel_,
                         OpenCommandChannel(ctx_, *exchange_, streams));
  }
  ChannelInput Input(std::string_view bytes) {
    exchange_->Send(bytes);
    const auto input = channel_->TryRead();
    EXPECT_OK(input.status());
    return input.ok() && input->has_value() ? **input : ChannelInput();
  }
  std::string Sent() {
    EXPECT_OK(channel_->Flush(ctx_));
    return exchange_->Received();
  }

  const Context ctx_ =
      Context::Background().WithTimeout(std::chrono::seconds(20));
  std::unique_ptr<TestExchange> exchange_;
  std::unique_ptr<StreamChannel> channel_;
};

TEST_F(WebsocketCommandTest, CarriesAllStreams) {
  Start("v5.channel.k8s.io", kAll);
  EXPECT_EQ(exchange_->answer().at("Sec-WebSocket-Protocol"),
            "v5.channel.k8s.io");
  EXPECT_EQ(Sent(), "\x82\1\1");  // it is there
  EXPECT_EQ(Input(Masked(0x82, std::string("\0typed", 6))).bytes, "typed");
  channel_->Put(Stream::kStdout, "o");
  channel_->Put(Stream::kStderr, "e");
  EXPECT_EQ(Sent(), "\x82\2\1o\x82\2\2e");
  ASSERT_OK(channel_->End(ctx_, 0));
  EXPECT_EQ(Sent(), std::string("\x82\x23\3") +
                        "{\"metadata\":{},\"status\":\"Success\"}" +
                        "\x88\2\3\xe8");
}

TEST_F(WebsocketCommandTest, AMessageMayComeInPieces) {
  Start("v4.channel.k8s.io", kAll);
  EXPECT_EQ(Input(Masked(0x02, "")).bytes, "");
  EXPECT_EQ(Input(Masked(0x00, std::string("\0ab", 3))).bytes, "ab");
  EXPECT_EQ(Input(Masked(0x80, "cd") + Masked(0x82, "\1no")).bytes, "cd");
}

TEST_F(WebsocketCommandTest, EndsTheInputAloneFromVersion5On) {
  Start("v5.channel.k8s.io", kAll);
  EXPECT_FALSE(Input(Masked(0x82, "\xff\1")).ended);
  EXPECT_TRUE(Input(Masked(0x82, std::string("\xff\0", 2))).ended);
  EXPECT_EQ(Input(Masked(0x82, std::string("\0late", 5))).bytes, "");
  Start("v4.channel.k8s.io", kAll);
  EXPECT_FALSE(Input(Masked(0x82, std::string("\xff\0", 2))).ended);
}

TEST_F(WebsocketCommandTest, SpeaksBase64) {
  Start("v4.base64.channel.k8s.io", kAll);
  EXPECT_EQ(Sent(),
            "\x81\1"
            "1");
  EXPECT_EQ(Input(Masked(0x81, "0dHlwZWQ=")).bytes, "typed");
  channel_->Put(Stream::kStderr, "err");
  EXPECT_EQ(Sent(),
            "\x81\5"
            "2ZXJy");
}

TEST_F(WebsocketCommandTest, HearsTheTerminalsSize) {
  Start("v5.channel.k8s.io", kTerminal);
  const ChannelInput input =
      Input(Masked(0x82, "\4{\"Width\":80,\"Height\":24}"));
  ASSERT_TRUE(input.size.has_value());
  EXPECT_EQ(input.size->width, 80);
}

TEST_F(WebsocketCommandTest, WithoutAProtocolItIsTheFirst) {
  Start("", {false, false, true, false});
  EXPECT_EQ(exchange_->answer().count("Sec-WebSocket-Protocol"), 0u);
  EXPECT_EQ(Sent(), "\x82\1\2");
  ASSERT_OK(channel_->End(ctx_, 0));
  EXPECT_EQ(Sent(), "\x88\2\3\xe8");
}

TEST_F(WebsocketCommandTest, ACloseFrameIsTheClientsEnd) {
  Start("v5.channel.k8s.io", kAll);
  exchange_->Send(Masked(0x88, "\3\xe8"));
  EXPECT_THAT(channel_->TryRead(), StatusIs(StatusCode::kUnavailable));
}

// ---- Both -------------------------------------------------------------------

TEST(CommandProtocolsTest, TheClientsFirstThatIsKnownIsSpoken) {
  const Context ctx =
      Context::Background().WithTimeout(std::chrono::milliseconds(50));
  TestExchange spdy(TestExchange::Spdy(
      "v9.channel.k8s.io, v3.channel.k8s.io,channel.k8s.io"));
  (void)OpenCommandChannel(ctx, spdy, kAll);
  EXPECT_EQ(spdy.answer().at("X-Stream-Protocol-Version"), "v3.channel.k8s.io");
  TestExchange websocket(
      TestExchange::Websocket("v9.channel.k8s.io, v4.channel.k8s.io"));
  EXPECT_OK(OpenCommandChannel(ctx, websocket, kAll).status());
  EXPECT_EQ(websocket.answer().at("Sec-WebSocket-Protocol"),
            "v4.channel.k8s.io");
}

TEST(CommandProtocolsTest, RefusesWhatItDoesNotSpeak) {
  const Context ctx = Context::Background();
  TestExchange none(TestExchange::Headers{});
  EXPECT_THAT(OpenCommandChannel(ctx, none, kAll),
              StatusIs(StatusCode::kInvalidArgument));
  TestExchange silent(TestExchange::Headers{{"connection", "Upgrade"},
                                            {"upgrade", "SPDY/3.1"}});
  EXPECT_THAT(OpenCommandChannel(ctx, silent, kAll),
              StatusIs(StatusCode::kInvalidArgument));
  TestExchange spdy(TestExchange::Spdy("v9.channel.k8s.io"));
  EXPECT_THAT(OpenCommandChannel(ctx, spdy, kAll),
              StatusIs(StatusCode::kPermissionDenied));
  EXPECT_THAT(spdy.answer().at("X-Accepted-Stream-Protocol-Versions"),
              HasSubstr("v4.channel.k8s.io"));
  TestExchange websocket(TestExchange::Websocket("v9.channel.k8s.io"));
  EXPECT_THAT(OpenCommandChannel(ctx, websocket, kAll),
              StatusIs(StatusCode::kPermissionDenied));
}

TEST(CommandStatusTest, IsWhatKubernetesReads) {
  const auto parse = [](const StreamEnd& end) {
    return *ParseJson(CommandStatus(end), "status");
  };
  EXPECT_EQ(parse(0).Text("status"), "Success");
  EXPECT_EQ(parse(std::nullopt).Text("status"), "Success");
  const Json failed = parse(42);
  EXPECT_EQ(failed.Text("status"), "Failure");
  EXPECT_EQ(failed.Text("reason"), "NonZeroExitCode");
  const Json& cause =
      failed.Find("details")->Find("causes")->elements().front();
  EXPECT_EQ(cause.Text("reason"), "ExitCode");
  EXPECT_EQ(cause.Text("message"), "42");
  const Json broken = parse(NotFound("no \"such\" program"));
  EXPECT_EQ(broken.Text("reason"), "InternalError");
  EXPECT_EQ(broken.Find("code")->AsInt(), 500);
  EXPECT_EQ(broken.Text("message"),
            "Internal error occurred: no \"such\" program");
}

TEST(TerminalSizesTest, WhatIsNoSizeEndsThem) {
  for (const std::string& bytes :
       {std::string("{\"Width\":70000,\"Height\":1}"), std::string("nonsense}"),
        "{" + std::string(2000, ' ')}) {
    TerminalSizes sizes;
    EXPECT_FALSE(sizes.Take(bytes).has_value()) << bytes;
    EXPECT_FALSE(sizes.Take("{\"Width\":1,\"Height\":1}").has_value());
  }
}

}  // namespace
}  // namespace berth::door
