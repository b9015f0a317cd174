#include "door/http/http_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "base/testing/fuzz.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "base/unique_fd.h"
#include "door/http/test_client.h"

namespace berth::door {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class HttpServerTest : public ::testing::Test {
 protected:
  void Serve(HttpServer::Handler handler) {
    HttpServerOptions options;
    options.max_header_bytes = 8192;
    server_ = std::make_unique<HttpServer>(std::move(handler), options);
    ASSERT_OK(server_->Listen(dir_.Path("s"), 0660));
  }
  TempDir dir_;
  std::unique_ptr<HttpServer> server_;
};

void Echo(const Context&, HttpExchange& exchange) {
  const ServerRequest& request = exchange.request();
  const StatusOr<std::string> body = exchange.ReadBody(100000);
  if (!body.ok()) {
    (void)exchange.Respond(413, "", "");
    return;
  }
  exchange.AddHeader("X-Test", "1");
  (void)exchange.Respond(200, "text/plain",
                         request.method + " " + request.path + " " +
                             request.Query("a") + " " +
                             request.Header("x-head") + " " + *body + "\n");
}

TEST_F(HttpServerTest, AnswersSeveralRequestsOfAConnection) {
  Serve(Echo);
  Client client(dir_.Path("s"));
  client.Send(
      "GET /x%20y?a=b%2Bc+d&e HTTP/1.1\r\nHost: h\r\nX-Head: v\r\n\r\n");
  const std::string first = client.ReceiveUntil("\n\r\n");
  EXPECT_THAT(first, StartsWith("HTTP/1.1 200 OK\r\n"));
  client.Send("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhel");
  client.Send("lo");
  EXPECT_THAT(client.ReceiveUntil("hello\n"), HasSubstr("POST /p   hello\n"));
  client.Send(
      "POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n"
      "Connection: close\r\n\r\n3\r\nabc\r\n");
  client.Send("2\r\nde\r\n0\r\n\r\n");
  EXPECT_THAT(client.ReceiveAll(),
              ::testing::AllOf(HasSubstr("X-Test: 1\r\n"),
                               HasSubstr("Connection: close\r\n"),
                               EndsWith("POST /c   abcde\n")));
  struct stat info;
  ASSERT_EQ(stat(dir_.Path("s").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0660u);
}

TEST_F(HttpServerTest, SendsOnlyTheHeadForHead) {
  Serve(Echo);
  Client client(dir_.Path("s"));
  client.Send("HEAD / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(client.ReceiveAll(),
              ::testing::AllOf(HasSubstr("Content-Length: 10\r\n"),
                               EndsWith("\r\n\r\n")));
}

TEST_F(HttpServerTest, RefusesWhatIsNotHttp) {
  Serve(Echo);
  for (const std::string& bad :
       {std::string("hello\r\n\r\n"), std::string("GET x HTTP/1.1\r\n\r\n"),
        std::string("GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n"),
        std::string(64, '\0') + "\r\n\r\n"}) {
    Client client(dir_.Path("s"));
    client.Send(bad);
    EXPECT_THAT(client.ReceiveAll(), StartsWith("HTTP/1.1 400 ")) << bad;
  }
  Client client(dir_.Path("s"));
  client.Send("GET / HTTP/1.1\r\nX: " + std::string(20000, 'x') + "\r\n\r\n");
  EXPECT_THAT(client.ReceiveAll(), StartsWith("HTTP/1.1 431 "));
  Client chunk(dir_.Path("s"));
  chunk.Send(
      "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n");
  EXPECT_THAT(chunk.ReceiveAll(), Not(HasSubstr("200 OK")));
}

TEST_F(HttpServerTest, BoundsABody) {
  Serve(Echo);
  Client client(dir_.Path("s"));
  client.Send("POST / HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n" +
              std::string(150000, 'x'));
  EXPECT_THAT(client.ReceiveUntil("\r\n\r\n"), HasSubstr(" 413 "));
}

TEST_F(HttpServerTest, AsksForTheBodyThatTheClientHoldsBack) {
  Serve(Echo);
  Client client(dir_.Path("s"));
  client.Send(
      "POST / HTTP/1.1\r\nContent-Length: 2\r\nExpect: "
      "100-continue\r\n\r\n");
  EXPECT_EQ(client.ReceiveUntil("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.Send("ok");
  EXPECT_THAT(client.ReceiveUntil("ok\n"), HasSubstr("200 OK"));
}

TEST_F(HttpServerTest, StreamsInChunks) {
  Serve([](const Context&, HttpExchange& exchange) {
    ASSERT_OK(exchange.BeginStream(200, "application/json"));
    ASSERT_OK(exchange.Write("{}\n"));
    ASSERT_OK(exchange.Write("[]\n"));
  });
  Client client(dir_.Path("s"));
  client.Send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(client.ReceiveAll(),
              EndsWith("\r\n\r\n3\r\n{}\n\r\n3\r\n[]\n\r\n0\r\n\r\n"));
}

TEST_F(HttpServerTest, UpgradesAndKeepsWhatWasSentAhead) {
  Serve([](const Context& ctx, HttpExchange& exchange) {
    auto upgraded = exchange.Upgrade("application/x-stream");
    ASSERT_OK(upgraded);
    std::string all;
    while (true) {
      auto piece = upgraded->Read(ctx, 1000);
      ASSERT_OK(piece);
      if (piece->empty()) break;
      all += *piece;
    }
    ASSERT_OK(upgraded->Write(ctx, "got " + all));
  });
  Client client(dir_.Path("s"));
  client.Send(
      "POST / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
      "Content-Length: 0\r\n\r\nearly ");
  EXPECT_THAT(client.ReceiveUntil("\r\n\r\n"),
              ::testing::AllOf(StartsWith("HTTP/1.1 101 UPGRADED\r\n"),
                               HasSubstr("Upgrade: tcp\r\n")));
  client.Send("late");
  client.CloseWrite();
  EXPECT_EQ(client.ReceiveAll(), "got early late");
}

TEST_F(HttpServerTest, CancelsTheContextWhenTheClientLeaves) {
  std::atomic<bool> cancelled = false;
  Serve([&](const Context& ctx, HttpExchange& exchange) {
    ASSERT_OK(exchange.BeginStream(200, "text/plain"));
    ASSERT_OK(exchange.Write("ready"));
    // Nothing is ever readable here: only the end wakes it.
    UniqueFd quiet(dup(ctx.cancel_fd()));
    while (ctx.Check().ok()) (void)AwaitReadable(ctx, quiet.get());
    cancelled = true;
  });
  Client client(dir_.Path("s"));
  client.Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  client.ReceiveUntil("ready");
  client.Close();
  for (int i = 0; i < 1000 && !cancelled; ++i) usleep(10000);
  EXPECT_TRUE(cancelled);
}

TEST_F(HttpServerTest, ShutsDownWithHandlersAndIdleConnections) {
  Serve([](const Context& ctx, HttpExchange& exchange) {
    ASSERT_OK(exchange.BeginStream(200, "text/plain"));
    ASSERT_OK(exchange.Write("ready"));
    UniqueFd quiet(dup(ctx.cancel_fd()));
    (void)AwaitReadable(ctx, quiet.get());
  });
  Client busy(dir_.Path("s"));
  Client idle(dir_.Path("s"));
  busy.Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  busy.ReceiveUntil("ready");
  server_->Shutdown();
  EXPECT_FALSE(dir_.Exists("s"));
  EXPECT_EQ(idle.ReceiveAll(), "");
}

TEST_F(HttpServerTest, ReplacesADeadSocketAndNotALiveOne) {
  Serve(Echo);
  HttpServer second(Echo);
  EXPECT_THAT(second.Listen(dir_.Path("s"), 0660),
              StatusIs(StatusCode::kAlreadyExists));
  dir_.Write("dead", "");
  HttpServer third(Echo);
  EXPECT_OK(third.Listen(dir_.Path("dead"), 0660));
  EXPECT_THAT(third.Listen(dir_.Path(std::string(200, 'x')), 0660),
              StatusIs(StatusCode::kInvalidArgument));
}

TEST_F(HttpServerTest, ServesManyAtOnce) {
  Serve(Echo);
  std::vector<std::thread> threads;
  for (int t = 0; t < 16; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) {
        Client client(dir_.Path("s"));
        client.Send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        EXPECT_THAT(client.ReceiveAll(), HasSubstr("200 OK"));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// What a handler does with a body, a stream or an upgraded connection.
void DoAnything(const Context& ctx, HttpExchange& exchange) {
  if (exchange.request().path == "/upgrade") {
    auto connection = exchange.Upgrade("tcp");
    if (!connection.ok()) return;
    const auto typed = connection->Read(ctx, 4096);
    if (typed.ok()) (void)connection->Write(ctx, *typed);
    return;
  }
  if (exchange.request().path == "/stream") {
    if (!exchange.BeginStream(200, "text/plain").ok()) return;
    const auto some = exchange.ReadSome(100);
    if (some.ok()) (void)exchange.Write(*some);
    return;
  }
  Echo(ctx, exchange);
}

TEST_F(HttpServerTest, SurvivesAnyBytes) {
  Serve(DoAnything);
  Fuzz(
      {"POST /a%20b?a=1&b=%41 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
       "\r\nabcGET / HTTP/1.1\r\nHost: x\r\n\r\n",
       "POST /upgrade HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
       "Upgrade: tcp\r\n\r\nkeys",
       "POST /stream HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
       "\r\n5\r\nhello\r\n0\r\n\r\n",
       "PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
       "Content-Length: 1\r\n\r\nx"},
      {"\r\n", "\n", "\r\n\r\n", "Transfer-Encoding: chunked\r\n",
       "Content-Length: 18446744073709551615\r\n", "Connection: close\r\n",
       "ffffffffffffffff\r\n", "%", "%zz", "%00", "HTTP/1.0", "HEAD ", "?",
       "Expect: 100-continue\r\n", "Upgrade: h2c\r\n"},
      [this](const std::string& bytes) {
        Client client(dir_.Path("s"));
        client.Send(bytes);
        client.CloseWrite();
        return client.ReceiveAll().find(" 200 ") != std::string::npos ||
               bytes.find("upgrade") != std::string::npos;
      },
      1'000);
  // It still serves.
  Client client(dir_.Path("s"));
  client.Send("GET /alive HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(client.ReceiveUntil("/alive"), HasSubstr("GET /alive"));
}

}  // namespace
}  // namespace berth::door
