#include "base/http/http_client.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "base/testing/scripted_server.h"
#include "base/testing/status_matchers.h"
#include "base/unique_fd.h"

namespace berth {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::Not;

HttpRequest Get(const std::string& url) {
  HttpRequest request;
  request.url = url;
  return request;
}

TEST(HttpClientTest, ReturnsAnyStatusWithHeadersAndBody) {
  ScriptedServer server([](const std::string&) {
    return HttpReply(404, "nothing", {"X-Thing: a", "x-thing: b"});
  });
  const HttpClient client("test/1");
  ASSERT_OK_AND_ASSIGN(
      const HttpResponse response,
      client.Fetch(Context::Background(), Get(server.Url("/a"))));
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(response.body, "nothing");
  EXPECT_EQ(response.Header("x-thing"), "a");
  EXPECT_EQ(response.HeaderAll("x-thing").size(), 2u);
  EXPECT_EQ(RequestHeader(server.requests()[0], "User-Agent"), "test/1");
}

TEST(HttpClientTest, KeepsAuthorizationOnTheSameServerOnly) {
  ScriptedServer other(
      [](const std::string&) { return HttpReply(200, "blob"); });
  ScriptedServer first([&](const std::string& request) {
    if (request.find("GET /start") == 0) {
      return HttpReply(302, "", {"Location: /second"});
    }
    return HttpReply(307, "", {"Location: " + other.Url("/third")});
  });
  const HttpClient client("test");
  HttpRequest request = Get(first.Url("/start"));
  request.headers = {{"authorization", "Basic c2VjcmV0"},
                     {"Cookie", "c=1"},
                     {"Accept", "x/y"}};
  ASSERT_OK_AND_ASSIGN(const HttpResponse response,
                       client.Fetch(Context::Background(), request));
  EXPECT_EQ(response.body, "blob");
  EXPECT_NE(RequestHeader(first.requests()[1], "Authorization"), "");
  const std::string last = other.requests()[0];
  EXPECT_EQ(RequestHeader(last, "Authorization"), "");
  EXPECT_EQ(RequestHeader(last, "Cookie"), "");
  EXPECT_EQ(RequestHeader(last, "Accept"), "x/y");
}

TEST(HttpClientTest, RefusesRedirectsToFilesAndLinkLocalAddresses) {
  std::string location;
  ScriptedServer server([&](const std::string&) {
    return HttpReply(302, "", {"Location: " + location});
  });
  const HttpClient client("test");
  for (const char* target :
       {"file:///etc/passwd", "http://169.254.169.254/latest",
        "gopher://127.0.0.1/", "http://[fe80::1]/", ""}) {
    location = target;
    EXPECT_THAT(
        client.Fetch(Context::Background(), Get(server.Url("/a"))).status(),
        StatusIs(StatusCode::kInvalidArgument))
        << target;
  }
}

TEST(HttpClientTest, LeavesALoopOfRedirects) {
  ScriptedServer server(
      [](const std::string&) { return HttpReply(302, "", {"Location: /a"}); });
  EXPECT_THAT(HttpClient("test")
                  .Fetch(Context::Background(), Get(server.Url("/a")))
                  .status(),
              StatusIs(StatusCode::kUnavailable));
}

TEST(HttpClientTest, StopsAtTheLimitOfABody) {
  ScriptedServer server([](const std::string&) {
    return HttpReply(200, std::string(1000, 'x'));
  });
  const HttpClient client("test");
  HttpRequest request = Get(server.Url("/"));
  request.max_body = 999;
  EXPECT_THAT(client.Fetch(Context::Background(), request).status(),
              StatusIs(StatusCode::kResourceExhausted));
  request.max_body = 1000;
  EXPECT_OK(client.Fetch(Context::Background(), request));
}

TEST(HttpClientTest, ReportsABodyThatEndsEarly) {
  ScriptedServer server([](const std::string&) {
    return std::string("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
  });
  const HttpClient client("test");
  std::string got;
  const Status status =
      client
          .Download(Context::Background(), Get(server.Url("/")),
                    [&](const HttpResponse&, std::string_view bytes) {
                      got += bytes;
                      return OkStatus();
                    })
          .status();
  EXPECT_THAT(status, StatusIs(StatusCode::kUnavailable));
  EXPECT_EQ(got, "half");
}

TEST(HttpClientTest, GivesTheSinkOnlyGoodBodiesAndItsErrorBack) {
  int code = 500;
  ScriptedServer server(
      [&](const std::string&) { return HttpReply(code, "text"); });
  const HttpClient client("test");
  int calls = 0;
  const BodySink sink = [&](const HttpResponse&, std::string_view) {
    ++calls;
    return DataLoss("not what we want");
  };
  ASSERT_OK_AND_ASSIGN(
      const HttpResponse response,
      client.Download(Context::Background(), Get(server.Url("/")), sink));
  EXPECT_EQ(response.body, "text");
  EXPECT_EQ(calls, 0);
  code = 200;
  EXPECT_THAT(client.Download(Context::Background(), Get(server.Url("/")), sink)
                  .status(),
              StatusIs(StatusCode::kDataLoss));
  EXPECT_EQ(calls, 1);
}

TEST(HttpClientTest, EndsAtOnceWhenCancelled) {
  const Context ctx = Context::Background().WithCancel();
  ScriptedServer server([&](const std::string&) {
    // The client is waiting for this answer when it is cancelled.
    ctx.Cancel();
    return std::string("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
  });
  const HttpClient client("test");
  EXPECT_THAT(client.Fetch(ctx, Get(server.Url("/"))).status(),
              StatusIs(StatusCode::kCancelled));
}

TEST(HttpClientTest, EndsAtTheDeadline) {
  ScriptedServer quiet([](const std::string&) { return HttpReply(200, ""); });
  quiet.Pace(0, milliseconds(0));
  const HttpClient client("test");
  const Context ctx = Context::Background().WithTimeout(milliseconds(50));
  EXPECT_THAT(client.Fetch(ctx, Get(quiet.Url("/"))).status(),
              StatusIs(StatusCode::kDeadlineExceeded));
}

// One that says nothing, one that sends its head or its body byte by byte, one
// that redirects to such a server.
TEST(HttpClientTest, LeavesAServerThatIsBelowTheMinimumRate) {
  ScriptedServer slow([](const std::string& request) {
    return request.find("GET /body") == 0
               ? "HTTP/1.1 200 OK\r\n\r\n" + std::string(1 << 20, 'x')
               : "HTTP/1.1 200 OK\r\nX-Long: " + std::string(1 << 20, 'x') +
                     "\r\n\r\n";
  });
  ScriptedServer first([&](const std::string&) {
    return HttpReply(307, "", {"Location: " + slow.Url("/body")});
  });
  const HttpClient client("test", TransferLimits{milliseconds(200), 1 << 20});
  for (const std::string& url :
       {slow.Url("/head"), slow.Url("/body"), first.Url("/")}) {
    for (const size_t bytes : {0, 60}) {
      slow.Pace(bytes, milliseconds(1));
      EXPECT_THAT(client.Fetch(Context::Background(), Get(url)).status(),
                  StatusIs(StatusCode::kUnavailable, HasSubstr("a second")))
          << url << " " << bytes;
    }
  }
}

TEST(HttpClientTest, WaitsForAServerThatIsSlowButKeepsTheRate) {
  ScriptedServer slow([](const std::string&) {
    return HttpReply(200, std::string(2500, 'x'));
  });
  slow.Pace(1, milliseconds(1));
  const HttpClient client("test", TransferLimits{seconds(2), 1});
  ASSERT_OK_AND_ASSIGN(const HttpResponse response,
                       client.Fetch(Context::Background(), Get(slow.Url("/"))));
  EXPECT_EQ(response.body.size(), 2500u);
}

// A server that takes a request slowly, and answers 201 when it has it all.
class SlowReader {
 public:
  SlowReader() : listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const int bytes = 65536;
    setsockopt(listener_.get(), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(bind(listener_.get(), generic, size), 0);
    EXPECT_EQ(listen(listener_.get(), 1), 0);
    EXPECT_EQ(getsockname(listener_.get(), generic, &size), 0);
    port_ = ntohs(address.sin_port);
  }
  ~SlowReader() {
    shutdown(listener_.get(), SHUT_RDWR);
    if (thread_.joinable()) thread_.join();
  }
  std::string Url() const {
    return "http://127.0.0.1:" + std::to_string(port_) + "/";
  }
  // One request, whose body ends with a 'z'.
  void Start() {
    thread_ = std::thread([this] {
      const UniqueFd peer(accept(listener_.get(), nullptr, nullptr));
      std::string piece(65536, ' ');
      while (true) {
        const ssize_t n = read(peer.get(), piece.data(), piece.size());
        if (n <= 0) return;
        if (piece[static_cast<size_t>(n) - 1] == 'z') break;
        std::this_thread::sleep_for(milliseconds(5));
      }
      const std::string reply = HttpReply(201, "");
      EXPECT_EQ(send(peer.get(), reply.data(), reply.size(), MSG_NOSIGNAL),
                static_cast<ssize_t>(reply.size()));
    });
  }

 private:
  const UniqueFd listener_;
  uint16_t port_ = 0;
  std::thread thread_;
};

TEST(HttpClientTest, CountsWhatItSends) {
  SlowReader server;
  server.Start();
  const HttpClient client("test", TransferLimits{milliseconds(200), 1024});
  HttpRequest request = Get(server.Url());
  request.method = "PUT";
  request.headers = {{"Expect", ""}};
  request.body = std::string(16 << 20, 'x') + "z";
  const auto start = std::chrono::steady_clock::now();
  ASSERT_OK_AND_ASSIGN(const HttpResponse response,
                       client.Fetch(Context::Background(), request));
  EXPECT_EQ(response.status, 201);
  // Else it was no test.
  EXPECT_GT(std::chrono::steady_clock::now() - start, milliseconds(400));
}

TEST(HttpClientTest, GivesAServerTimeToThinkAboutWhatItGot) {
  ScriptedServer thinks([](const std::string&) {
    std::this_thread::sleep_for(milliseconds(1200));
    return HttpReply(201, "");
  });
  const HttpClient client("test", TransferLimits{milliseconds(500), 1024});
  HttpRequest request = Get(thinks.Url("/"));
  EXPECT_THAT(client.Fetch(Context::Background(), request).status(),
              StatusIs(StatusCode::kUnavailable));
  for (const size_t bytes : {0, 10, 1 << 20}) {
    request.method = "PUT";
    request.body = std::string(bytes, 'x');
    EXPECT_OK(client.Fetch(Context::Background(), request)) << bytes;
  }
  // But not forever.
  thinks.Pace(0, milliseconds(0));
  const HttpClient hasty("test", TransferLimits{milliseconds(60), 1024});
  EXPECT_THAT(hasty.Fetch(Context::Background(), request).status(),
              StatusIs(StatusCode::kUnavailable, HasSubstr("a second")));
}

TEST(HttpClientTest, TellsAnUnknownHostFromOneThatIsDown) {
  const HttpClient client("test");
  const Status unknown =
      client.Fetch(Context::Background(), Get("http://nowhere.invalid/"))
          .status();
  EXPECT_THAT(unknown, StatusIs(StatusCode::kUnavailable));
  EXPECT_TRUE(HasUnknownHost(Annotate(unknown, "pull"))) << unknown;
  const Status down =
      client.Fetch(Context::Background(), Get("http://127.0.0.1:1/")).status();
  EXPECT_THAT(down, StatusIs(StatusCode::kUnavailable));
  EXPECT_FALSE(HasUnknownHost(down)) << down;
}

TEST(HttpClientTest, AMissingCaFileIsNotTakenForAMissingPage) {
  const HttpClient client("test");
  HttpRequest request = Get("https://127.0.0.1:1/");
  request.tls.ca_files = {"/no/such/ca.crt"};
  EXPECT_THAT(client.Fetch(Context::Background(), request).status(),
              StatusIs(StatusCode::kFailedPrecondition, HasSubstr("ca.crt")));
}

TEST(HttpClientTest, CallsAServerThatIsNotThereUnavailable) {
  uint16_t port = 0;
  {
    ScriptedServer gone([](const std::string&) { return std::string(); });
    port = gone.port();
  }
  const HttpClient client("test");
  const Status status =
      client
          .Fetch(Context::Background(),
                 Get("http://127.0.0.1:" + std::to_string(port) +
                     "/v2/?token=secret"))
          .status();
  EXPECT_THAT(status, StatusIs(StatusCode::kUnavailable, HasSubstr("/v2/")));
  EXPECT_THAT(Message(status), Not(HasSubstr("secret")));
}

TEST(HttpClientTest, RefusesHeadersThatSmuggleOthers) {
  const HttpClient client("test");
  HttpRequest request = Get("http://127.0.0.1:1/");
  request.headers = {{"A", "b\r\nAuthorization: Basic x"}};
  EXPECT_THAT(client.Fetch(Context::Background(), request).status(),
              StatusIs(StatusCode::kInvalidArgument));
}

TEST(UrlTest, KnowsDefaultPortsAndHidesSecrets) {
  ASSERT_OK_AND_ASSIGN(const Url a,
                       Url::Parse("HTTPS://user:pw@Example.COM/p?q=s#f"));
  ASSERT_OK_AND_ASSIGN(const Url b, Url::Parse("https://example.com:443/"));
  EXPECT_TRUE(a.SameServer(b));
  EXPECT_EQ(a.Printable(), "https://example.com/p");
  EXPECT_THAT(Url::Parse("ftp://x/"), StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(Url::Parse("no scheme"), StatusIs(StatusCode::kInvalidArgument));
  EXPECT_EQ(Url::Parse("http://[::1]:5/x")->host, "::1");
  EXPECT_EQ(*ResolveUrl("http://h:1/a/b?c", "../d?e=f"), "http://h:1/d?e=f");
  EXPECT_EQ(UrlEncode("a b/ü:"), "a%20b%2F%C3%BC%3A");
}

}  // namespace
}  // namespace berth
