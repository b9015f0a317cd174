#include "door/http/tcp_front.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/context.h"
#include "base/mutex.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "base/thread.h"
#include "base/unique_fd.h"
#include "door/http/tls_relay.h"
#include "door/listener.h"

namespace berth::door {
namespace {

// Two authorities with a certificate each: "one" and "two".
class Certificates {
 public:
  Certificates() {
    const std::string make =
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
        "-days 2 ";
    std::string script =
        "exec 2>" + dir_.Path("log") + "; set -e; cd " + dir_.Path(".") + "; ";
    for (const std::string name : {"one", "two"}) {
      script += make + "-subj /CN=" + name + "-ca -keyout " + name +
                "-ca.key -out " + name + "-ca.pem; " + make + "-CA " + name +
                "-ca.pem -CAkey " + name + "-ca.key -subj /CN=" + name +
                " -addext basicConstraints=CA:FALSE -keyout " + name +
                ".key -out " + name + ".pem; ";
    }
    made_ = system(script.c_str()) == 0;
  }
  bool made() const { return made_; }
  TlsFiles Of(const std::string& name) const {
    return {Path(name + "-ca.pem"), Path(name + ".pem"), Path(name + ".key")};
  }
  std::string Path(const std::string& file) const { return dir_.Path(file); }

 private:
  const TempDir dir_;
  bool made_ = false;
};

// A client's end, blocking.
class Client {
 public:
  // `files` null: without a certificate.
  Client(uint16_t port, const TlsFiles* files)
      : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(socket_.get(), reinterpret_cast<sockaddr*>(&address),
                      sizeof(address)),
              0);
    const timeval limit = {20, 0};
    setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    context_ = SSL_CTX_new(TLS_client_method());
    if (files != nullptr) {
      SSL_CTX_use_certificate_chain_file(context_, files->cert.c_str());
      SSL_CTX_use_PrivateKey_file(context_, files->key.c_str(),
                                  SSL_FILETYPE_PEM);
    }
    ssl_ = SSL_new(context_);
    SSL_set_fd(ssl_, socket_.get());
  }
  ~Client() {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
  }

  bool Connect() { return SSL_connect(ssl_) == 1; }
  void Write(std::string_view bytes) {
    EXPECT_EQ(SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size())),
              static_cast<int>(bytes.size()));
  }
  void EndInput() { EXPECT_GE(SSL_shutdown(ssl_), 0); }
  // Until the server ends it in order; `orderly` says whether it did.
  std::string ReadAll(bool& orderly) {
    std::string all;
    char bytes[4096];
    int n;
    while ((n = SSL_read(ssl_, bytes, sizeof(bytes))) > 0) {
      all.append(bytes, static_cast<size_t>(n));
    }
    orderly = SSL_get_error(ssl_, n) == SSL_ERROR_ZERO_RETURN;
    return all;
  }
  std::string ServersName() {
    X509* const shown = SSL_get_peer_certificate(ssl_);
    if (shown == nullptr) return "";
    char name[64] = "";
    X509_NAME_get_text_by_NID(X509_get_subject_name(shown), NID_commonName,
                              name, sizeof(name));
    X509_free(shown);
    return name;
  }
  int socket_fd() const { return socket_.get(); }

 private:
  UniqueFd socket_;
  SSL_CTX* context_;
  SSL* ssl_;
};

class TcpFrontTest : public ::testing::Test {
 protected:
  void SetUp() override {
    signal(SIGPIPE, SIG_IGN);
    ASSERT_TRUE(certificates().made());
  }
  static const Certificates& certificates() {
    static const Certificates made;
    return made;
  }

  void Start(bool tls, TcpFrontOptions options = {}) {
    StartWith(tls ? certificates().Of("one") : TlsFiles(), options);
  }
  void StartWith(const TlsFiles& files, TcpFrontOptions options = {}) {
    std::unique_ptr<TlsReloader> server;
    if (!files.cert.empty()) {
      ASSERT_OK_AND_ASSIGN(server, TlsReloader::Load(files));
    }
    ASSERT_OK_AND_ASSIGN(Listener listener, Listener::OnTcp("127.0.0.1:0"));
    ASSERT_OK_AND_ASSIGN(const std::string address, listener.Address());
    ASSERT_EQ(address.rfind("127.0.0.1:", 0), 0u);
    port_ = static_cast<uint16_t>(atoi(address.c_str() + 10));
    ASSERT_OK_AND_ASSIGN(
        front_, TcpFront::Start(std::move(listener), std::move(server), options,
                                [this](UniqueFd socket) {
                                  MutexLock lock(mutex_);
                                  taken_.push_back(std::move(socket));
                                  changed_.SignalAll();
                                }));
  }
  // The server's end of the next connection, blocking.
  UniqueFd Taken() {
    const Context ctx =
        Context::Background().WithTimeout(std::chrono::seconds(20));
    MutexLock lock(mutex_);
    EXPECT_OK(ctx.Await(mutex_, changed_, [this]() NO_THREAD_SAFETY_ANALYSIS {
      return !taken_.empty();
    }));
    if (taken_.empty()) return UniqueFd();
    UniqueFd socket = std::move(taken_.front());
    taken_.erase(taken_.begin());
    return socket;
  }
  bool NoneTaken() {
    MutexLock lock(mutex_);
    return taken_.empty();
  }
  // `count` bytes, or what comes before the end.
  static std::string Read(const UniqueFd& socket, size_t count) {
    std::string all;
    char bytes[4096];
    while (all.size() < count) {
      pollfd polled = {socket.get(), POLLIN, 0};
      if (poll(&polled, 1, 20'000) <= 0) break;
      const ssize_t n = recv(socket.get(), bytes, sizeof(bytes), 0);
      if (n <= 0) break;
      all.append(bytes, static_cast<size_t>(n));
    }
    return all;
  }
  static bool Closes(int socket) {
    pollfd polled = {socket, POLLRDHUP, 0};
    return poll(&polled, 1, 20'000) > 0;
  }

  uint16_t port_ = 0;
  Mutex mutex_;
  CondVar changed_;
  std::vector<UniqueFd> taken_ GUARDED_BY(mutex_);
  std::unique_ptr<TcpFront> front_;
};

TEST_F(TcpFrontTest, CarriesBytesAndEndsBothWays) {
  Start(true);
  const TlsFiles files = certificates().Of("one");
  Client client(port_, &files);
  ASSERT_TRUE(client.Connect());
  const UniqueFd server = Taken();
  client.Write("question");
  EXPECT_EQ(Read(server, 8), "question");
  client.EndInput();
  EXPECT_EQ(Read(server, 1), "");
  // The answer comes after the end of the question, and is longer than what
  // any buffer holds.
  const std::string answer(4 << 20, 'a');
  ASSERT_OK_AND_ASSIGN(Thread writer, StartThread("writer", [&] {
                         std::string_view rest = answer;
                         while (!rest.empty()) {
                           pollfd polled = {server.get(), POLLOUT, 0};
                           poll(&polled, 1, 20'000);
                           const ssize_t n =
                               send(server.get(), rest.data(), rest.size(),
                                    MSG_DONTWAIT | MSG_NOSIGNAL);
                           if (n <= 0) return;
                           rest.remove_prefix(static_cast<size_t>(n));
                         }
                         shutdown(server.get(), SHUT_WR);
                       }));
  bool orderly = false;
  EXPECT_EQ(client.ReadAll(orderly), answer);
  EXPECT_TRUE(orderly);
  writer.Join();
}

TEST_F(TcpFrontTest, TheServerMayEndFirst) {
  Start(true);
  const TlsFiles files = certificates().Of("one");
  Client client(port_, &files);
  ASSERT_TRUE(client.Connect());
  {
    const UniqueFd server = Taken();
    ASSERT_EQ(send(server.get(), "bye", 3, MSG_NOSIGNAL), 3);
  }
  bool orderly = false;
  EXPECT_EQ(client.ReadAll(orderly), "bye");
  EXPECT_TRUE(orderly);
  EXPECT_TRUE(Closes(client.socket_fd()));
}

TEST_F(TcpFrontTest, AClientThatDoesNotReadIsLeftInTheEnd) {
  Start(true, {.max_connections = 1,
               .write_patience = std::chrono::milliseconds(50)});
  const TlsFiles files = certificates().Of("one");
  Client client(port_, &files);
  ASSERT_TRUE(client.Connect());
  {
    const UniqueFd server = Taken();
    const std::string much(64 << 10, 'x');
    // Until every buffer is full.
    pollfd polled = {server.get(), POLLOUT, 0};
    while (poll(&polled, 1, 300) > 0) {
      if (send(server.get(), much.data(), much.size(),
               MSG_DONTWAIT | MSG_NOSIGNAL) <= 0) {
        break;
      }
    }
  }
  // It makes room for another.
  bool connected = false;
  for (int i = 0; i < 200 && !connected; ++i) {
    usleep(50'000);
    Client next(port_, &files);
    connected = next.Connect();
  }
  EXPECT_TRUE(connected);
}

TEST_F(TcpFrontTest, AClientThatIsGoneEndsTheServersSide) {
  Start(true);
  const TlsFiles files = certificates().Of("one");
  UniqueFd server;
  {
    Client client(port_, &files);
    ASSERT_TRUE(client.Connect());
    server = Taken();
  }
  EXPECT_TRUE(Closes(server.get()));
}

TEST_F(TcpFrontTest, RefusesWhoDoesNotProveItself) {
  Start(true);
  const TlsFiles stranger = certificates().Of("two");
  for (const TlsFiles* files :
       {static_cast<const TlsFiles*>(nullptr), &stranger}) {
    Client client(port_, files);
    bool orderly = true;
    // TLS 1.3: the client may take itself for connected until it reads.
    if (client.Connect()) {
      EXPECT_EQ(client.ReadAll(orderly), "");
    }
    EXPECT_TRUE(Closes(client.socket_fd()));
  }
  const Client plain(port_, nullptr);
  ASSERT_EQ(send(plain.socket_fd(), "GET / HTTP/1.1\r\n\r\n", 18, 0), 18);
  EXPECT_TRUE(Closes(plain.socket_fd()));
  EXPECT_TRUE(NoneTaken());
}

TEST_F(TcpFrontTest, ClosesWhoTakesTooLong) {
  Start(true, {.handshake_limit = std::chrono::milliseconds(50)});
  const Client silent(port_, nullptr);
  EXPECT_TRUE(Closes(silent.socket_fd()));
}

TEST_F(TcpFrontTest, SilentClientsMakeRoomForOthers) {
  Start(true, {.max_connections = 2});
  const Client first(port_, nullptr);
  const Client second(port_, nullptr);
  const TlsFiles files = certificates().Of("one");
  Client third(port_, &files);
  EXPECT_TRUE(third.Connect());
  EXPECT_TRUE(Taken().valid());
  EXPECT_TRUE(Closes(first.socket_fd()));
}

TEST_F(TcpFrontTest, WithoutTlsItHandsConnectionsOn) {
  Start(false);
  const Client client(port_, nullptr);
  ASSERT_EQ(send(client.socket_fd(), "plain", 5, 0), 5);
  EXPECT_EQ(Read(Taken(), 5), "plain");
}

TEST_F(TcpFrontTest, WithoutAnAuthorityNobodyNeedsACertificate) {
  TlsFiles files = certificates().Of("one");
  files.ca_cert.clear();
  StartWith(files);
  Client client(port_, nullptr);
  ASSERT_TRUE(client.Connect());
  client.Write("hello");
  EXPECT_EQ(Read(Taken(), 5), "hello");
}

TEST_F(TcpFrontTest, ShowsANewCertificateWhenTheFilesChange) {
  const TempDir dir;
  const TlsFiles files = {"", dir.Path("cert.pem"), dir.Path("key.pem")};
  const auto put = [](const std::string& from, const std::string& to) {
    ASSERT_EQ(
        system(("cp " + from + " " + to + ".new && mv " + to + ".new " + to)
                   .c_str()),
        0);
  };
  put(certificates().Of("one").cert, files.cert);
  put(certificates().Of("one").key, files.key);
  StartWith(files);
  Client before(port_, nullptr);
  ASSERT_TRUE(before.Connect());
  EXPECT_EQ(before.ServersName(), "one");
  // Half of the change: the old one stays.
  put(certificates().Of("two").cert, files.cert);
  Client between(port_, nullptr);
  ASSERT_TRUE(between.Connect());
  EXPECT_EQ(between.ServersName(), "one");
  put(certificates().Of("two").key, files.key);
  Client after(port_, nullptr);
  ASSERT_TRUE(after.Connect());
  EXPECT_EQ(after.ServersName(), "two");
  // Connections that are there go on.
  before.Write("still");
  EXPECT_EQ(Read(Taken(), 5), "still");
}

// For want of descriptors, for one, when the change is seen.
TEST(TlsReloaderTest, TriesAgainWhatItCouldNotOpen) {
  const Certificates made;
  ASSERT_TRUE(made.made());
  const TempDir dir;
  TlsFiles files = {"", dir.Path("cert.pem"), dir.Path("key.pem")};
  const auto put = [&](const std::string& name) {
    const TlsFiles from = made.Of(name);
    const std::string copy = "cp " + from.cert + " " + files.cert + "; cp " +
                             from.key + " " + files.key;
    ASSERT_EQ(system(copy.c_str()), 0);
  };
  put("one");
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<TlsReloader> reloader,
                       TlsReloader::Load(files));
  const auto before = reloader->Current();
  put("two");
  rlimit limit;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  const rlimit none = {0, limit.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto without = reloader->Current();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_EQ(without, before);
  // Not at each connection.
  EXPECT_EQ(reloader->Current(), before);
  for (int i = 0; i < 200 && reloader->Current() == before; ++i) {
    usleep(100'000);
  }
  EXPECT_NE(reloader->Current(), before);
}

TEST(TlsServerTest, SaysWhatIsWrongWithItsFiles) {
  const Certificates made;
  ASSERT_TRUE(made.made());
  TlsFiles files = made.Of("one");
  EXPECT_OK(TlsServer::Load(files).status());
  files.key = made.Of("two").key;
  EXPECT_THAT(TlsServer::Load(files), StatusIs(StatusCode::kInvalidArgument));
  files = made.Of("one");
  files.ca_cert = made.Path("nowhere");
  EXPECT_THAT(TlsServer::Load(files), StatusIs(StatusCode::kInvalidArgument));
}

TEST(ListenerTest, KnowsAddressesOfLoopback) {
  EXPECT_THAT(IsLoopback("127.0.0.1:1"), IsOkAndHolds(true));
  EXPECT_THAT(IsLoopback("127.255.0.9:65535"), IsOkAndHolds(true));
  EXPECT_THAT(IsLoopback("[::1]:1"), IsOkAndHolds(true));
  EXPECT_THAT(IsLoopback("[::]:1"), IsOkAndHolds(false));
  EXPECT_THAT(IsLoopback("0.0.0.0:1"), IsOkAndHolds(false));
  EXPECT_THAT(IsLoopback("[::ffff:10.0.0.1]:1"), IsOkAndHolds(false));
  for (const char* text : {"", ":1", "localhost:1", "127.0.0.1", "127.0.0.1:",
                           "127.0.0.1:65536", "::1:1", "[::1]", "[::1:1"}) {
    EXPECT_THAT(IsLoopback(text), StatusIs(StatusCode::kInvalidArgument))
        << text;
  }
}

}  // namespace
}  // namespace berth::door
