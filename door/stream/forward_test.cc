#include "door/stream/forward.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "base/context.h"
#include "base/testing/status_matchers.h"
#include "base/thread.h"
#include "base/unique_fd.h"
#include "door/stream/forward_channel.h"
#include "door/stream/test_exchange.h"
#include "door/stream/test_spdy_client.h"

namespace berth::door {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

// A listener on a port of loopback that the kernel chose.
class TestServer {
 public:
  explicit TestServer(int family = AF_INET)
      : listener_(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in6 v6 = {};
    v6.sin6_family = AF_INET6;
    v6.sin6_addr = in6addr_loopback;
    sockaddr_in v4 = {};
    v4.sin_family = AF_INET;
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const bool six = family == AF_INET6;
    sockaddr* const name = six ? reinterpret_cast<sockaddr*>(&v6)
                               : reinterpret_cast<sockaddr*>(&v4);
    socklen_t size = six ? sizeof(v6) : sizeof(v4);
    const int on = 1;
    if (six) {
      setsockopt(listener_.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    }
    there_ = bind(listener_.get(), name, size) == 0 &&
             listen(listener_.get(), 64) == 0;
    getsockname(listener_.get(), name, &size);
    port_ = ntohs(six ? v6.sin6_port : v4.sin_port);
  }
  bool there() const { return there_; }
  std::string port() const { return std::to_string(port_); }
  uint16_t number() const { return port_; }
  void Leave() { listener_.reset(); }
  UniqueFd Accept() const {
    pollfd polled = {listener_.get(), POLLIN, 0};
    if (poll(&polled, 1, 20'000) <= 0) return UniqueFd();
    UniqueFd accepted(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    const timeval limit = {20, 0};
    setsockopt(accepted.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    return accepted;
  }

 private:
  UniqueFd listener_;
  uint16_t port_ = 0;
  bool there_ = false;
};

std::string ReadAll(int fd) {
  std::string all;
  char bytes[65536];
  ssize_t n;
  while ((n = recv(fd, bytes, sizeof(bytes), 0)) > 0) {
    all.append(bytes, static_cast<size_t>(n));
  }
  return all;
}

class ForwardTest : public ::testing::Test {
 protected:
  void Start(const TestExchange::Headers& headers,
             const std::vector<uint16_t>& ports = {},
             ForwardOptions options = {}) {
    exchange_ = std::make_unique<TestExchange>(headers);
    ASSERT_OK_AND_ASSIGN(channel_, OpenForwardChannel(*exchange_, ports, 64));
    StatusOr<Thread> thread = StartThread("forward", [this, options] {
      end_ = Forward(ctx_, *channel_, make_socket_, options);
      // As the server does when its handler returns.
      shutdown(channel_->client().fd(), SHUT_WR);
    });
    ASSERT_OK(thread.status());
    thread_ = *std::move(thread);
  }
  void StartSpdy(ForwardOptions options = {}) {
    Start(TestExchange::Spdy("portforward.k8s.io"), {}, options);
  }
  void TearDown() override {
    if (exchange_ != nullptr) exchange_->Leave();
    thread_.Join();
  }
  Status End() {
    thread_.Join();
    return end_;
  }
  // One stream. The blocks are packed in the order of these calls.
  void Open(uint32_t id, const std::string& type, const std::string& port,
            const std::string& request) {
    SpdyHeaderList headers = {{"streamtype", type}, {"port", port}};
    if (!request.empty()) headers.emplace_back("requestid", request);
    exchange_->Send(client_.Open(id, headers));
  }
  // Error stream and data stream, with the error's client side ended. One
  // after another: each block is packed with the one before.
  std::string Pair(uint32_t error, const std::string& port) {
    const std::string request = std::to_string(error);
    std::string bytes = client_.Open(
        error,
        {{"streamtype", "error"}, {"port", port}, {"requestid", request}});
    bytes += TestSpdyClient::Data(error, "", true);
    bytes += client_.Open(
        error + 2,
        {{"streamtype", "data"}, {"port", port}, {"requestid", request}});
    return bytes;
  }
  // Waits for frames, until one is like `last`.
  std::vector<std::string> Until(const std::string& last) {
    std::vector<std::string> all;
    while (true) {
      all = TestSpdyClient::Read(received_);
      if (std::find(all.begin(), all.end(), last) != all.end()) break;
      char bytes[65536];
      const ssize_t n = recv(exchange_->client(), bytes, sizeof(bytes), 0);
      if (n <= 0) {
        ADD_FAILURE() << "no " << last << " came";
        break;
      }
      received_.append(bytes, static_cast<size_t>(n));
    }
    received_.clear();
    return all;
  }

  const Context ctx_ =
      Context::Background().WithTimeout(std::chrono::seconds(60)).WithCancel();
  const MakeSocket make_socket_ = [](int family) -> StatusOr<UniqueFd> {
    UniqueFd made(
        socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!made.valid()) return Unavailable("no socket");
    return made;
  };
  TestSpdyClient client_;
  std::unique_ptr<TestExchange> exchange_;
  std::unique_ptr<ForwardChannel> channel_;
  std::string received_;
  Status end_;
  Thread thread_;
};

TEST_F(ForwardTest, CarriesBytesBothWaysAndEndsOneWayAtATime) {
  const TestServer server;
  StartSpdy();
  exchange_->Send(Pair(1, server.port()) + TestSpdyClient::Data(3, "question") +
                  TestSpdyClient::Data(3, "", true));
  const UniqueFd accepted = server.Accept();
  EXPECT_EQ(ReadAll(accepted.get()), "question");
  // The client has ended its side: the answer still comes.
  ASSERT_EQ(send(accepted.get(), "answer", 6, 0), 6);
  shutdown(accepted.get(), SHUT_WR);
  EXPECT_THAT(Until("end 1"), ElementsAre("reply 1", "reply 3", "data 3 answer",
                                          "end 3", "end 1"));
}

TEST_F(ForwardTest, AClosedPortCostsItsOwnConnection) {
  TestServer gone;
  const std::string closed = gone.port();
  gone.Leave();
  const TestServer server;
  StartSpdy();
  exchange_->Send(Pair(1, closed));
  const std::vector<std::string> sent = Until("reset 3");
  EXPECT_THAT(testing::PrintToString(sent),
              HasSubstr("data 1 connect to port " + closed + " of localhost"));
  EXPECT_THAT(testing::PrintToString(sent), HasSubstr("Connection refused"));
  EXPECT_THAT(testing::PrintToString(sent), HasSubstr("end 1"));
  exchange_->Send(Pair(5, server.port()) + TestSpdyClient::Data(7, "x", true));
  EXPECT_EQ(ReadAll(server.Accept().get()), "x");
}

TEST_F(ForwardTest, TriesIpv6AfterIpv4) {
  const TestServer server(AF_INET6);
  if (!server.there()) GTEST_SKIP() << "this machine has no IPv6";
  StartSpdy();
  exchange_->Send(Pair(1, server.port()) + TestSpdyClient::Data(3, "x", true));
  EXPECT_EQ(ReadAll(server.Accept().get()), "x");
}

TEST_F(ForwardTest, OldClientsNameNoRequest) {
  const TestServer server;
  StartSpdy();
  const std::string port = server.port();
  Open(1, "error", port, "");
  Open(3, "data", port, "");
  exchange_->Send(TestSpdyClient::Data(3, "x", true));
  EXPECT_EQ(ReadAll(server.Accept().get()), "x");
}

TEST_F(ForwardTest, DataMayComeBeforeTheErrorStream) {
  const TestServer server;
  StartSpdy();
  Open(1, "data", server.port(), "9");
  exchange_->Send(TestSpdyClient::Data(1, "early", true));
  Open(3, "error", server.port(), "9");
  EXPECT_EQ(ReadAll(server.Accept().get()), "early");
}

TEST_F(ForwardTest, ResetsStreamsWithBadHeaders) {
  StartSpdy();
  std::string bytes;
  uint32_t id = 1;
  for (const char* port : {"0", "65536", "-1", "http", ""}) {
    bytes += client_.Open(
        id, {{"streamtype", "data"}, {"port", port}, {"requestid", "1"}});
    id += 2;
  }
  bytes += client_.Open(id, {{"streamtype", "stdin"}, {"port", "80"}});
  exchange_->Send(bytes);
  EXPECT_THAT(
      Until("reset 11"),
      UnorderedElementsAre("reply 1", "reset 1", "reply 3", "reset 3",
                           "reply 5", "reset 5", "reply 7", "reset 7",
                           "reply 9", "reset 9", "reply 11", "reset 11"));
}

TEST_F(ForwardTest, HalfAConnectionIsGivenUpAfterAWhile) {
  ForwardOptions options;
  options.open_limit = std::chrono::milliseconds(50);
  StartSpdy(options);
  exchange_->Send(client_.Open(
      1, {{"streamtype", "error"}, {"port", "80"}, {"requestid", "1"}}));
  EXPECT_THAT(Until("reset 1"), ElementsAre("reply 1", "reset 1"));
}

TEST_F(ForwardTest, ManyConnectionsAtOnceAreKeptApart) {
  const TestServer server;
  StartSpdy();
  std::vector<UniqueFd> accepted;
  for (uint32_t i = 0; i < 50; ++i) {
    exchange_->Send(Pair(4 * i + 1, server.port()) +
                    TestSpdyClient::Data(4 * i + 3, std::to_string(i), true));
    accepted.push_back(server.Accept());
  }
  for (uint32_t i = 0; i < 50; ++i) {
    EXPECT_EQ(ReadAll(accepted[i].get()), std::to_string(i));
  }
}

TEST_F(ForwardTest, TakesAsManyConnectionsOneAfterAnotherAsAreWanted) {
  const TestServer server;
  StartSpdy();
  for (uint32_t i = 0; i < 200; ++i) {
    // The client never ends its side of the error stream.
    Open(4 * i + 1, "error", server.port(), std::to_string(i));
    Open(4 * i + 3, "data", server.port(), std::to_string(i));
    exchange_->Send(TestSpdyClient::Data(4 * i + 3, "", true));
    ASSERT_TRUE(server.Accept().valid()) << i;
    (void)Until("end " + std::to_string(4 * i + 3));
  }
}

TEST_F(ForwardTest, AServerThatLeavesResetsItsConnectionAlone) {
  const TestServer server;
  StartSpdy();
  exchange_->Send(Pair(1, server.port()));
  exchange_->Send(Pair(5, server.port()));
  UniqueFd first = server.Accept();
  const UniqueFd second = server.Accept();
  const linger hard = {1, 0};
  setsockopt(first.get(), SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
  first.reset();
  (void)Until("reset 3");
  exchange_->Send(TestSpdyClient::Data(7, "x", true));
  EXPECT_EQ(ReadAll(second.get()), "x");
}

TEST_F(ForwardTest, AClientThatResetsAStreamEndsItsConnection) {
  const TestServer server;
  StartSpdy();
  exchange_->Send(Pair(1, server.port()));
  const UniqueFd accepted = server.Accept();
  exchange_->Send(TestSpdyClient::Reset(3));
  EXPECT_EQ(ReadAll(accepted.get()), "");
}

TEST_F(ForwardTest, AClientThatLeavesEndsAll) {
  const TestServer server;
  StartSpdy();
  exchange_->Send(Pair(1, server.port()));
  const UniqueFd accepted = server.Accept();
  exchange_->Leave();
  EXPECT_THAT(End(), StatusIs(StatusCode::kUnavailable));
}

TEST_F(ForwardTest, AClientThatLeavesIsNoticedThoughTheServerDoesNotRead) {
  const TestServer server;
  StartSpdy();
  exchange_->Send(Pair(1, server.port()));
  const UniqueFd accepted = server.Accept();
  const std::string much = TestSpdyClient::Data(3, std::string(60'000, 'x'));
  pollfd full = {exchange_->client(), POLLOUT, 0};
  while (poll(&full, 1, 200) > 0) {
    if (send(exchange_->client(), much.data(), much.size(), MSG_DONTWAIT) !=
        static_cast<ssize_t>(much.size())) {
      break;
    }
  }
  shutdown(exchange_->client(), SHUT_WR);
  EXPECT_THAT(End(), StatusIs(StatusCode::kUnavailable));
}

// Each stream is reset before its other one comes: none of them is a
// connection.
TEST_F(ForwardTest, HalvesThatAreResetMakeNoConnection) {
  const TestServer server;
  StartSpdy();
  std::string bytes;
  for (uint32_t i = 0; i < 100; ++i) {
    const std::string request = std::to_string(i);
    const uint32_t data = 4 * i + 1;
    bytes += client_.Open(data, {{"streamtype", "data"},
                                 {"port", server.port()},
                                 {"requestid", request}});
    bytes += TestSpdyClient::Reset(data);
    bytes += client_.Open(data + 2, {{"streamtype", "error"},
                                     {"port", server.port()},
                                     {"requestid", request}});
    bytes += TestSpdyClient::Reset(data + 2);
  }
  bytes += Pair(401, server.port()) + TestSpdyClient::Data(403, "x", true);
  exchange_->Send(bytes);
  // The first one that the server sees.
  EXPECT_EQ(ReadAll(server.Accept().get()), "x");
}

// Without their error streams they are half as many streams as they could be.
TEST_F(ForwardTest, ConnectionsAreCountedThoughTheirErrorStreamsAreReset) {
  const TestServer server;
  ForwardOptions options;
  options.max_connections = 2;
  StartSpdy(options);
  std::string bytes;
  for (const uint32_t error : {1, 5, 9}) {
    bytes += Pair(error, server.port());
    if (error < 9) bytes += TestSpdyClient::Reset(error);
  }
  exchange_->Send(bytes);
  EXPECT_THAT(testing::PrintToString(Until("reset 11")),
              HasSubstr("data 9 too many connections are open"));
  const UniqueFd first = server.Accept();
  const UniqueFd second = server.Accept();
  // One that ends makes room.
  exchange_->Send(TestSpdyClient::Reset(3));
  EXPECT_EQ(ReadAll(first.get()), "");
  exchange_->Send(Pair(13, server.port()) +
                  TestSpdyClient::Data(15, "x", true));
  EXPECT_EQ(ReadAll(server.Accept().get()), "x");
}

TEST_F(ForwardTest, EndsWhenNothingHappensForLong) {
  ForwardOptions options;
  options.idle_limit = std::chrono::milliseconds(50);
  StartSpdy(options);
  EXPECT_THAT(End(), StatusIs(StatusCode::kDeadlineExceeded));
}

TEST_F(ForwardTest, EndsWithItsContext) {
  StartSpdy();
  ctx_.Cancel();
  EXPECT_THAT(End(), StatusIs(StatusCode::kCancelled));
}

TEST_F(ForwardTest, AWebsocketCarriesASession) {
  const TestServer server;
  Start(TestExchange::Websocket("SPDY/3.1+portforward.k8s.io"));
  EXPECT_EQ(exchange_->answer().at("Sec-WebSocket-Protocol"),
            "SPDY/3.1+portforward.k8s.io");
  const std::string bytes =
      Pair(1, server.port()) + TestSpdyClient::Data(3, "question", true);
  for (size_t at = 0; at < bytes.size(); at += 100) {
    exchange_->Send(Masked(0x82, bytes.substr(at, 100)));
  }
  const UniqueFd accepted = server.Accept();
  EXPECT_EQ(ReadAll(accepted.get()), "question");
  exchange_->Send(Masked(0x89, "?") + Masked(0x88, "\3\xe8"));
  EXPECT_THAT(End(), StatusIs(StatusCode::kUnavailable));
}

TEST_F(ForwardTest, AWebsocketMayHaveAChannelForEachPort) {
  const TestServer one;
  const TestServer two;
  Start(TestExchange::Websocket("v4.channel.k8s.io"),
        {one.number(), two.number()});
  const UniqueFd first = one.Accept();
  const UniqueFd second = two.Accept();
  exchange_->Send(Masked(0x82, "\2to two"));
  char bytes[6];
  ASSERT_EQ(recv(second.get(), bytes, 6, MSG_WAITALL), 6);
  EXPECT_EQ(std::string(bytes, 6), "to two");
  ASSERT_EQ(send(first.get(), "hi", 2, 0), 2);
  shutdown(first.get(), SHUT_RDWR);
  shutdown(second.get(), SHUT_RDWR);
  EXPECT_OK(End());
  const auto port = [](char channel, const TestServer& server) {
    return std::string("\x82\3") + channel +
           static_cast<char>(server.number() & 0xff) +
           static_cast<char>(server.number() >> 8);
  };
  const std::string all = exchange_->Received();
  EXPECT_EQ(all.substr(0, 20),
            port(0, one) + port(1, one) + port(2, two) + port(3, two));
  EXPECT_EQ(all.substr(20), std::string("\x82\3\0hi\x88\2\3\xe8", 9));
}

TEST_F(ForwardTest, SuchAWebsocketSpeaksBase64AsWell) {
  const TestServer server;
  Start(TestExchange::Websocket("v4.base64.channel.k8s.io"), {server.number()});
  const UniqueFd accepted = server.Accept();
  exchange_->Send(Masked(0x81, "0aGVsbG8="));
  char bytes[5];
  ASSERT_EQ(recv(accepted.get(), bytes, 5, MSG_WAITALL), 5);
  EXPECT_EQ(std::string(bytes, 5), "hello");
}

TEST(ForwardProtocolsTest, RefusesWhatItDoesNotSpeak) {
  TestExchange spdy(TestExchange::Spdy("v4.channel.k8s.io"));
  EXPECT_THAT(OpenForwardChannel(spdy, {}, 8),
              StatusIs(StatusCode::kPermissionDenied));
  TestExchange websocket(TestExchange::Websocket("v5.channel.k8s.io"));
  EXPECT_THAT(OpenForwardChannel(websocket, {80}, 8),
              StatusIs(StatusCode::kPermissionDenied));
  TestExchange without(TestExchange::Websocket("v4.channel.k8s.io"));
  EXPECT_THAT(OpenForwardChannel(without, {}, 8),
              StatusIs(StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace berth::door
