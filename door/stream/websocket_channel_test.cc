#include "door/stream/websocket_channel.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>

#include "base/context.h"
#include "base/testing/fuzz.h"
#include "base/testing/status_matchers.h"
#include "door/stream/channel.h"
#include "door/stream/stream.h"
#include "door/stream/test_exchange.h"

namespace berth::door {
namespace {

// The example of RFC 6455, section 1.3.
class Exchange : public TestExchange {
 public:
  Exchange()
      : TestExchange({{"host", "server.example.com"},
                      {"upgrade", "websocket"},
                      {"connection", "Upgrade"},
                      {"sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="},
                      {"origin", "http://server.example.com:8080"},
                      {"sec-websocket-version", "13"}}) {}
};

class WebsocketTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(channel_, OpenWebsocket(exchange_));
  }

  void Send(std::string_view bytes) {
    ASSERT_EQ(send(exchange_.client(), bytes.data(), bytes.size(), 0),
              static_cast<ssize_t>(bytes.size()));
  }
  ChannelInput Received(std::string_view bytes) {
    Send(bytes);
    const auto input = channel_->TryRead();
    EXPECT_OK(input.status());
    return input.ok() && input->has_value() ? **input : ChannelInput();
  }
  std::string Sent() {
    EXPECT_OK(channel_->Flush(ctx_));
    char bytes[1 << 17];
    const ssize_t n =
        recv(exchange_.client(), bytes, sizeof(bytes), MSG_DONTWAIT);
    return n < 0 ? "" : std::string(bytes, static_cast<size_t>(n));
  }

  const Context ctx_ = Context::Background();
  Exchange exchange_;
  std::unique_ptr<StreamChannel> channel_;
};

TEST_F(WebsocketTest, AnswersTheKey) {
  EXPECT_EQ(exchange_.answer().at("Sec-WebSocket-Accept"),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

TEST_F(WebsocketTest, RefusesWhatIsNoWebsocketOrOfAnotherSite) {
  for (const auto& [header, value, code] :
       {std::tuple("upgrade", "tcp", StatusCode::kInvalidArgument),
        std::tuple("sec-websocket-key", "", StatusCode::kInvalidArgument),
        std::tuple("sec-websocket-version", "8", StatusCode::kInvalidArgument),
        std::tuple("origin", "http://evil.example.com",
                   StatusCode::kPermissionDenied),
        std::tuple("origin", "null", StatusCode::kPermissionDenied)}) {
    Exchange exchange;
    exchange.SetHeader(header, value);
    EXPECT_THAT(OpenWebsocket(exchange), StatusIs(code)) << header;
  }
  Exchange without;
  without.SetHeader("origin", "");
  EXPECT_OK(OpenWebsocket(without).status());
}

TEST_F(WebsocketTest, WritesBinaryMessages) {
  channel_->Put(Stream::kStdout, "out");
  channel_->Put(Stream::kStderr, "err");
  EXPECT_EQ(Sent(), "\x82\3out\x82\3err");
  channel_->Put(Stream::kStdout, std::string(300, 'x'));
  EXPECT_EQ(Sent().substr(0, 4), std::string("\x82\x7e\1\x2c"));
  channel_->Put(Stream::kStdout, std::string(70000, 'x'));
  EXPECT_EQ(Sent().substr(0, 10),
            std::string("\x82\x7f\0\0\0\0\0\1\x11\x70", 10));
  ASSERT_OK(channel_->End(ctx_, 0));
  EXPECT_EQ(Sent(), "\x88\2\3\xe8");
}

TEST_F(WebsocketTest, ReadsMessagesInPieces) {
  EXPECT_EQ(Received(Masked(0x81, "abc") + Masked(0x82, "def")).bytes,
            "abcdef");
  const std::string first = Masked(0x01, "begin");
  EXPECT_EQ(Received(first.substr(0, 1)).bytes, "");
  EXPECT_EQ(Received(first.substr(1, 7)).bytes, "be");
  EXPECT_EQ(Received(first.substr(8)).bytes, "gin");
  EXPECT_EQ(Received(Masked(0x89, "?") + Masked(0x80, "end")).bytes, "end");
  EXPECT_EQ(Sent(), "\x8a\1?");
}

TEST_F(WebsocketTest, OneAnswerIsEnoughForManyPings) {
  channel_->Put(Stream::kStdout, "x");
  for (int i = 0; i < 100; ++i) (void)Received(Masked(0x89, "ping"));
  EXPECT_EQ(Sent(), "\x82\1x");
  channel_->Put(Stream::kStdout, "y");
  EXPECT_EQ(Sent(), "\x8a\4ping\x82\1y");
}

TEST_F(WebsocketTest, ACloseFrameIsAnsweredAndEndsTheInput) {
  const ChannelInput input =
      Received(Masked(0x81, "last") + Masked(0x88, "\3\xe8 bye"));
  EXPECT_EQ(input.bytes, "last");
  EXPECT_TRUE(input.ended);
  EXPECT_EQ(Sent(), "\x88\2\3\xe8");
  channel_->Put(Stream::kStdout, "too late");
  ASSERT_OK(channel_->End(ctx_, 0));
  EXPECT_EQ(Sent(), "");
}

TEST_F(WebsocketTest, EndsWithTheConnection) {
  shutdown(exchange_.client(), SHUT_WR);
  EXPECT_THAT(channel_->TryRead(), StatusIs(StatusCode::kUnavailable));
}

TEST(WebsocketFramesTest, RefusesFramesThatBreakTheRules) {
  for (const std::string& frame : {
           std::string("\x81\3abc"),              // no mask
           std::string("\xc1\x80"),               // a reserved bit
           std::string("\x83\x80"),               // no such type
           std::string("\x8b\x80"),               // nor that
           std::string("\x09\x80"),               // a ping in pieces
           std::string("\x89\xfe"),               // a ping of more than 125
           std::string("\x80\x80"),               // continues nothing
           "\x82\xff" + std::string(12, '\xff'),  // no such length
           std::string("\x01\x80\0\0\0\0\x82\x80", 8),  // a message within one
       }) {
    Exchange exchange;
    ASSERT_OK_AND_ASSIGN(const auto channel, OpenWebsocket(exchange));
    ASSERT_EQ(send(exchange.client(), frame.data(), frame.size(), 0),
              static_cast<ssize_t>(frame.size()));
    EXPECT_THAT(channel->TryRead(), StatusIs(StatusCode::kInvalidArgument));
  }
}

TEST(WebsocketFramesTest, SurvivesAnyBytes) {
  Fuzz({std::string("\x81\x83\1\2\3\4abc"), std::string("\x88\x80\1\2\3\4"),
        std::string("\x82\xff\0\0\0\0\0\1\0\0\1\2\3\4x", 15)},
       {"\x89\x80", "\x81\xfe"}, [](const std::string& bytes) {
         Exchange exchange;
         auto channel = OpenWebsocket(exchange);
         (void)!write(exchange.client(), bytes.data(), bytes.size());
         const auto input = (*channel)->TryRead();
         return input.ok();
       });
}

}  // namespace
}  // namespace berth::door
