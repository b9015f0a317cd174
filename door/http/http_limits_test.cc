// What one client may cost the others, and what bad luck may cost the server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <deque>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/context.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "base/unique_fd.h"
#include "door/http/http_server.h"
#include "door/http/test_client.h"

namespace berth::door {
namespace {

using std::chrono::milliseconds;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kGet[] = "GET /ok HTTP/1.1\r\nHost: h\r\n\r\n";

void AwaitEnd(const Context& ctx) {
  // Nothing is ever readable here: only the end wakes it.
  const UniqueFd quiet(dup(ctx.cancel_fd()));
  while (ctx.Check().ok()) (void)AwaitReadable(ctx, quiet.get());
}

class HttpLimitsTest : public ::testing::Test {
 protected:
  void Serve(HttpServer::Handler handler) {
    server_ = std::make_unique<HttpServer>(std::move(handler), options_);
    ASSERT_OK(server_->Listen(dir_.Path("s"), 0660));
  }
  std::unique_ptr<Client> Connect() {
    return std::make_unique<Client>(dir_.Path("s"));
  }
  std::string Get() {
    const auto client = Connect();
    client->Send(kGet);
    return client->ReceiveUntil("fine\n");
  }

  TempDir dir_;
  HttpServerOptions options_;
  std::unique_ptr<HttpServer> server_;
};

void Fine(const Context&, HttpExchange& exchange) {
  const StatusOr<std::string> body = exchange.ReadBody(1000);
  const int status = body.ok() ? 200 : exchange.body_too_long() ? 413 : 408;
  (void)exchange.Respond(status, "text/plain", "fine\n");
}

// "/hold" keeps its thread until the client leaves.
void FineOrStream(const Context& ctx, HttpExchange& http) {
  const std::string& path = http.request().path;
  if (path != "/stream" && path != "/hold") return Fine(ctx, http);
  const Status begun = http.BeginStream(200, "");
  if (!begun.ok()) (void)http.Respond(503, "", Message(begun));
  if (path != "/hold") return;
  pollfd left = {ctx.cancel_fd(), POLLIN, 0};
  (void)TEMP_FAILURE_RETRY(poll(&left, 1, -1));
}

// In a process of its own, whose user may have no more threads.
// First, as long as this process has one thread (ThreadSanitizer).
TEST_F(HttpLimitsTest, AnswersWithoutThreadsAndStreamsWhenThereAreSomeAgain) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to change its user id";
  ASSERT_EQ(chmod(dir_.path().c_str(), 0755), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const auto run = [&]() -> int {
      server_ = std::make_unique<HttpServer>(FineOrStream, options_);
      if (!server_->Listen(dir_.Path("s"), 0666).ok()) return 2;
      // The only thread of the pool, which would serve what comes next.
      Client before(dir_.Path("s"));
      before.Send("GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
      if (before.ReceiveUntil("\r\n\r\n").find(" 200 ") == std::string::npos) {
        return 3;
      }
      rlimit many;
      if (getrlimit(RLIMIT_NPROC, &many) != 0) return 10;
      const rlimit none = {0, many.rlim_max};
      const uid_t other = 64123;
      if (setrlimit(RLIMIT_NPROC, &none) != 0) return 4;
      if (setresuid(other, other, 0) != 0) return 5;
      for (int i = 0; i < 10; ++i) {
        Client whole(dir_.Path("s"));
        whole.Send(kGet);
        if (whole.ReceiveUntil("fine\n").find(" 200 ") == std::string::npos) {
          return 6;
        }
        Client refused(dir_.Path("s"));
        refused.Send("GET /stream HTTP/1.1\r\nHost: h\r\n\r\n");
        if (refused.ReceiveUntil("thread for a stream").find(" 503 ") ==
            std::string::npos) {
          return 11;
        }
      }
      if (setresuid(0, 0, 0) != 0) return 7;
      if (setrlimit(RLIMIT_NPROC, &many) != 0) return 8;
      Client after(dir_.Path("s"));
      after.Send("GET /stream HTTP/1.1\r\nHost: h\r\n\r\n");
      return after.ReceiveUntil("\r\n\r\n0\r\n").find(" 200 ") ==
                     std::string::npos
                 ? 9
                 : 0;
    };
    _exit(run());
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(HttpLimitsTest, RefusesLongHeadsOfAllKinds) {
  Serve(Fine);
  const std::string kMany(200 << 10, 'x');
  std::string fields;
  for (int i = 0; i < 30000; ++i) fields += "x: y\r\n";
  for (const std::string& head :
       {// Longer than what the parser's own containers hold.
        "GET / HTTP/1.1\r\nX: " + std::string(66 << 10, 'x') + "\r\n\r\n",
        "GET / HTTP/1.1\r\n" + std::string(66 << 10, 'x') + ": y\r\n\r\n",
        "GET /" + std::string(70 << 10, 'x') +
            " HTTP/1.1\r\nX: " + std::string(70 << 10, 'x') + "\r\n\r\n",
        "GET /" + kMany + " HTTP/1.1\r\n\r\n", kMany + " / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nX: " + kMany + "\r\n\r\n",
        "GET / HTTP/1.1\r\n" + fields + "\r\n"}) {
    const auto client = Connect();
    (void)client->SendAll(head);
    EXPECT_THAT(client->ReceiveAll(), StartsWith("HTTP/1.1 431 "))
        << head.substr(0, 20);
  }
  EXPECT_THAT(Get(), HasSubstr("200 OK"));
}

TEST_F(HttpLimitsTest, TakesTheAbsoluteFormOfATarget) {
  Serve([](const Context&, HttpExchange& exchange) {
    (void)exchange.Respond(
        200, "", exchange.request().path + "|" + exchange.request().Query("q"));
  });
  for (const auto& [target, path] :
       std::vector<std::pair<std::string, std::string>>{
           {"http://docker/a/b?q=1", "/a/b|1"},
           {"http://docker", "/|"},
           {"/a?q=http://x/y", "/a|http://x/y"}}) {
    const auto client = Connect();
    client->Send("GET " + target +
                 " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    EXPECT_THAT(client->ReceiveAll(), EndsWith(path));
  }
}

TEST_F(HttpLimitsTest, AnswersBeforeALongBodyHasBeenSent) {
  Serve(Fine);
  for (const std::string& how :
       {std::string("Content-Length: 8000000\r\n"),
        std::string("Transfer-Encoding: chunked\r\n")}) {
    const auto client = Connect();
    client->Send("POST / HTTP/1.1\r\nHost: h\r\n" + how + "\r\n");
    if (how.find("chunked") != std::string::npos) {
      client->Send("7a1200\r\n");
    }
    // The client is not cut off, and gets the whole answer.
    EXPECT_TRUE(client->SendAll(std::string(8000000, 'x')));
    EXPECT_THAT(client->ReceiveAll(),
                AllOf(HasSubstr(" 413 "), EndsWith("fine\n")));
  }
}

TEST_F(HttpLimitsTest, MakesRoomByClosingWhatHasWaitedLongest) {
  options_.max_waiting = 50;
  Serve(Fine);
  std::deque<std::unique_ptr<Client>> idle;
  for (int i = 0; i < 400; ++i) {
    idle.push_back(Connect());
    // Some have begun a request, some have had one answered.
    if (i % 3 == 1) idle.back()->Send("GET / HT");
    if (i % 3 == 2) {
      idle.back()->Send(kGet);
      idle.back()->ReceiveUntil("fine\n");
    }
  }
  EXPECT_THAT(Get(), HasSubstr("200 OK"));
  EXPECT_TRUE(idle.front()->Closed());
  idle.back()->Send(kGet);
  EXPECT_THAT(idle.back()->ReceiveUntil("fine\n"), HasSubstr("200 OK"));
}

// Take makes room on its caller's thread while the loop sees the same clients
// leave. Counted twice, they would cost those that wait their places.
TEST_F(HttpLimitsTest, WhoLeavesWhileItMakesRoomIsCountedOnce) {
  options_.max_waiting = 2;
  Serve(Fine);
  for (int i = 0; i < 20'000; ++i) {
    int ends[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                         ends),
              0);
    const UniqueFd client(ends[0]);
    server_->Take(UniqueFd(ends[1]));
  }
  const auto waits = Connect();
  EXPECT_THAT(Get(), HasSubstr("200 OK"));
  waits->Send(kGet);
  EXPECT_THAT(waits->ReceiveUntil("fine\n"), HasSubstr("200 OK"));
}

TEST_F(HttpLimitsTest, MakesRoomWhenThereIsNoDescriptorLeft) {
  Serve(Fine);
  std::vector<std::unique_ptr<Client>> idle;
  for (int i = 0; i < 3; ++i) {
    idle.push_back(Connect());
    idle.back()->Send(kGet);
    idle.back()->ReceiveUntil("fine\n");
  }
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit low = before;
  low.rlim_cur = 200;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
  std::vector<UniqueFd> taken;
  for (UniqueFd one(dup(0)); one.valid(); one = UniqueFd(dup(0))) {
    taken.push_back(std::move(one));
  }
  taken.pop_back();  // for the client of Get
  EXPECT_THAT(Get(), HasSubstr("200 OK"));
  setrlimit(RLIMIT_NOFILE, &before);
}

TEST_F(HttpLimitsTest, EndsSlowHeadsAndIdleConnections) {
  options_.header_time_limit = milliseconds(50);
  options_.idle_limit = milliseconds(100);
  Serve(Fine);
  const auto slow = Connect();
  slow->Send("GET / HTTP/1.1\r\n");
  const auto idle = Connect();
  const auto kept = Connect();
  kept->Send(kGet);
  EXPECT_THAT(kept->ReceiveUntil("fine\n"), HasSubstr("200 OK"));
  EXPECT_TRUE(slow->Closed());
  EXPECT_TRUE(idle->Closed());
  EXPECT_TRUE(kept->Closed());
  EXPECT_THAT(Get(), HasSubstr("200 OK"));
}

TEST_F(HttpLimitsTest, EndsABodyThatComesTooSlowly) {
  options_.body_patience = milliseconds(50);
  Serve(Fine);
  const auto client = Connect();
  client->Send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc");
  EXPECT_THAT(client->ReceiveUntil("fine\n"),
              AllOf(HasSubstr(" 408 "), HasSubstr("Connection: close")));
  client->CloseWrite();
  EXPECT_TRUE(client->Closed());
}

TEST_F(HttpLimitsTest, EndsAnAnswerThatNobodyReads) {
  options_.write_patience = milliseconds(50);
  Serve([](const Context&, HttpExchange& exchange) {
    EXPECT_THAT(exchange.Respond(200, "", std::string(8 << 20, 'x')),
                StatusIs(StatusCode::kDeadlineExceeded));
  });
  const auto client = Connect();
  client->Send(kGet);
  server_->Shutdown();
  EXPECT_LT(client->ReceiveAll().size(), size_t{8} << 20);
}

TEST_F(HttpLimitsTest, AnExceptionEndsItsRequestAlone) {
  Serve([](const Context& ctx, HttpExchange& exchange) {
    const std::string path = exchange.request().path;
    if (path == "/late") (void)exchange.BeginStream(200, "text/plain");
    if (path == "/late") (void)exchange.Write("begun");
    if (path == "/late" || path == "/1") throw std::runtime_error("of a test");
    if (path == "/2") throw std::bad_alloc();
    if (path == "/3") throw 3;
    Fine(ctx, exchange);
  });
  for (const std::string path : {"/1", "/2", "/3"}) {
    const auto client = Connect();
    client->Send("GET " + path + " HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_THAT(client->ReceiveUntil("\n\r\n"), StartsWith("HTTP/1.1 500 "));
  }
  const auto late = Connect();
  late->Send("GET /late HTTP/1.1\r\nHost: h\r\n\r\n");
  // It must not look complete.
  EXPECT_THAT(late->ReceiveAll(), EndsWith("begun\r\n"));
  EXPECT_THAT(Get(), HasSubstr("200 OK"));
}

TEST_F(HttpLimitsTest, ANewStreamTakesThePlaceOfOneThatNobodyReads) {
  options_.max_streams = 2;
  Serve([](const Context& ctx, HttpExchange& exchange) {
    if (exchange.request().path == "/ok") return Fine(ctx, exchange);
    const Status begun = exchange.BeginStream(200, "text/plain");
    if (!begun.ok()) {
      (void)exchange.Respond(503, "", Message(begun));
      return;
    }
    (void)exchange.Write("begun");
    AwaitEnd(ctx);
  });
  const std::string get = "GET /stream HTTP/1.1\r\nHost: h\r\n\r\n";
  const auto reads = Connect();
  reads->Send(get);
  EXPECT_THAT(reads->ReceiveUntil("begun\r\n"), HasSubstr("200 OK"));
  const auto deaf = Connect();
  deaf->Send(get);
  ASSERT_TRUE(deaf->AwaitSomething());  // it has its place
  while (true) {  // until the place is free: the next one takes it
    const auto other = Connect();
    other->Send(get);
    const std::string answer = other->ReceiveUntil("begun\r\n");
    if (answer.find("200 OK") == std::string::npos) continue;
    // All who have places read now.
    const auto more = Connect();
    more->Send(get);
    EXPECT_THAT(more->ReceiveUntil("are open: 2"), HasSubstr(" 503 "));
    break;
  }
  EXPECT_THAT(deaf->ReceiveAll(), HasSubstr("begun"));
  EXPECT_THAT(Get(), HasSubstr("200 OK"));
}

TEST_F(HttpLimitsTest, AnswersThatThereIsNoRoomForMoreRequests) {
  options_.max_requests = 1;
  Serve([](const Context& ctx, HttpExchange& exchange) {
    (void)exchange.BeginStream(200, "text/plain");
    (void)exchange.Write("begun");
    AwaitEnd(ctx);
  });
  const auto first = Connect();
  first->Send(kGet);
  first->ReceiveUntil("begun");
  EXPECT_THAT(Get(), StartsWith("HTTP/1.1 503 "));
}

TEST_F(HttpLimitsTest, HoldsTheFirstBytesUntilTheHeadHasBeenRead) {
  Serve([](const Context& ctx, HttpExchange& exchange) {
    auto upgraded = exchange.Upgrade("application/x-stream");
    ASSERT_OK(upgraded);
    ASSERT_OK(upgraded->Write(ctx, "first"));
    ASSERT_OK(upgraded->Write(ctx, " second"));
  });
  for (int i = 0; i < 100; ++i) {
    const auto client = Connect();
    client->Send(
        "POST / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\n"
        "Upgrade: tcp\r\n\r\n");
    EXPECT_THAT(client->ReceiveOnce(), EndsWith("\r\n\r\n"));
    EXPECT_EQ(client->ReceiveAll(), "first second");
  }
  // A client that does not read its head at once loses nothing either.
  const auto late = Connect();
  late->Send("POST / HTTP/1.1\r\nHost: h\r\n\r\n");
  usleep(10000);
  EXPECT_THAT(late->ReceiveAll(), EndsWith("\r\n\r\nfirst second"));
}

TEST_F(HttpLimitsTest, AnUpgradedClientGetsTheEndWhileItStillSends) {
  Serve([](const Context& ctx, HttpExchange& exchange) {
    auto upgraded = exchange.Upgrade("application/x-stream");
    ASSERT_OK(upgraded);
    ASSERT_OK(upgraded->Write(ctx, "the whole answer"));
  });
  const auto client = Connect();
  client->Send("POST / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_TRUE(client->SendAll(std::string(8000000, 'x')));
  EXPECT_THAT(client->ReceiveAll(), EndsWith("\r\n\r\nthe whole answer"));
}

}  // namespace
}  // namespace berth::door
