#include "door/grpc/acceptor.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/context.h"
#include "base/mutex.h"
#include "base/sys/socket.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"

namespace berth::door {
namespace {

constexpr std::string_view kPreface(
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\6\4\0\0\0\0\0\0\3\0\0\0\x64", 39);

class AcceptorTest : public ::testing::Test {
 protected:
  void Start(AcceptorOptions options = {}) {
    ASSERT_OK_AND_ASSIGN(Listener listener, Listener::OnUnix(path_, 0600));
    ASSERT_OK_AND_ASSIGN(
        acceptor_,
        Acceptor::Start(std::move(listener), options, [this](UniqueFd socket) {
          MutexLock lock(mutex_);
          taken_.push_back(std::move(socket));
          changed_.SignalAll();
        }));
  }

  UniqueFd Connect(std::string_view sent) {
    StatusOr<UniqueFd> socket = ConnectUnix(path_);
    EXPECT_OK(socket.status());
    if (!socket.ok()) return UniqueFd();
    Send(*socket, sent);
    return *std::move(socket);
  }
  static void Send(const UniqueFd& socket, std::string_view bytes) {
    EXPECT_EQ(send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  // True if the other side closes it in time.
  static bool Closes(const UniqueFd& socket, int ms = 10'000) {
    pollfd polled = {socket.get(), POLLRDHUP, 0};
    return poll(&polled, 1, ms) > 0;
  }
  static bool IsOpen(const UniqueFd& socket) { return !Closes(socket, 0); }

  // False if there are not so many within ten seconds.
  bool AwaitTaken(size_t count) {
    const Context ctx =
        Context::Background().WithTimeout(std::chrono::seconds(10));
    MutexLock lock(mutex_);
    return ctx
        .Await(mutex_, changed_,
               [&]()
                   NO_THREAD_SAFETY_ANALYSIS { return taken_.size() >= count; })
        .ok();
  }
  size_t taken() {
    MutexLock lock(mutex_);
    return taken_.size();
  }

  const TempDir dir_;
  const std::string path_ = dir_.Path("s");
  Mutex mutex_;
  CondVar changed_;
  std::vector<UniqueFd> taken_ GUARDED_BY(mutex_);
  std::unique_ptr<Acceptor> acceptor_;
};

TEST_F(AcceptorTest, HandsAConnectionOverWithItsWholePreface) {
  Start();
  const UniqueFd slow = Connect(kPreface.substr(0, 10));
  const UniqueFd fast = Connect(kPreface);
  ASSERT_TRUE(AwaitTaken(1));
  Send(slow, kPreface.substr(10, 25));
  const UniqueFd other = Connect(kPreface);
  ASSERT_TRUE(AwaitTaken(2));
  EXPECT_EQ(taken(), 2u);
  Send(slow, kPreface.substr(35));
  ASSERT_TRUE(AwaitTaken(3));
  MutexLock lock(mutex_);
  char bytes[64];
  EXPECT_EQ(recv(taken_[2].get(), bytes, sizeof(bytes), MSG_DONTWAIT),
            static_cast<ssize_t>(kPreface.size()));
}

TEST_F(AcceptorTest, ClosesWhatDoesNotSpeakHttp2) {
  Start();
  std::string odd(kPreface);
  odd[27] = 1;  // HEADERS
  std::string endless(kPreface);
  endless[24] = 1;  // a frame of 64 KiB
  for (const std::string& sent :
       {std::string("GET / HTTP/1.1\r\n\r\n"), std::string("PRI * HTTP/1.1"),
        odd, endless}) {
    const UniqueFd socket = Connect(sent);
    EXPECT_TRUE(Closes(socket)) << sent;
  }
  EXPECT_EQ(taken(), 0u);
}

TEST_F(AcceptorTest, ClosesWhatTakesTooLongToBegin) {
  Start({.handshake_limit = std::chrono::milliseconds(50)});
  const UniqueFd silent = Connect("");
  const UniqueFd half = Connect(kPreface.substr(0, 30));
  EXPECT_TRUE(Closes(silent));
  EXPECT_TRUE(Closes(half));
}

TEST_F(AcceptorTest, ClosesTheLongestWaitingOfTooManyThatDoNotBegin) {
  Start({.max_waiting = 2});
  const UniqueFd first = Connect("");
  const UniqueFd second = Connect("");
  const UniqueFd third = Connect("");
  EXPECT_TRUE(Closes(first));
  Send(second, kPreface);
  Send(third, kPreface);
  EXPECT_TRUE(AwaitTaken(2));
}

TEST_F(AcceptorTest, ClosesTheOldestOfAProcessThatHasTooMany) {
  Start({.max_connections = 3, .share = 2});
  std::vector<UniqueFd> clients;
  for (size_t i = 0; i < 4; ++i) {
    clients.push_back(Connect(kPreface));
    ASSERT_TRUE(AwaitTaken(i + 1));
  }
  EXPECT_TRUE(Closes(clients[0]));
  EXPECT_TRUE(IsOpen(clients[1]));
  EXPECT_TRUE(IsOpen(clients[3]));
}

TEST_F(AcceptorTest, RefusesOneMoreIfNobodyHasMoreThanItsShare) {
  Start({.max_connections = 2, .share = 2});
  const UniqueFd first = Connect(kPreface);
  ASSERT_TRUE(AwaitTaken(1));
  const UniqueFd second = Connect(kPreface);
  ASSERT_TRUE(AwaitTaken(2));
  EXPECT_TRUE(Closes(Connect(kPreface)));
  EXPECT_TRUE(IsOpen(first));
  EXPECT_TRUE(IsOpen(second));
}

TEST_F(AcceptorTest, AConnectionThatEndsMakesRoom) {
  Start({.max_connections = 1, .share = 1});
  for (size_t i = 0; i < 5; ++i) {
    UniqueFd client = Connect(kPreface);
    ASSERT_TRUE(AwaitTaken(i + 1));
    {
      MutexLock lock(mutex_);
      // As gRPC ends one.
      if (i % 2 == 0) shutdown(taken_.back().get(), SHUT_RDWR);
    }
    if (i % 2 == 0) {
      EXPECT_TRUE(Closes(client));
    }
    client.reset();
    MutexLock lock(mutex_);
    taken_.back().reset();
  }
}

// With no descriptor to be had.
class Starved {
 public:
  Starved() {
    getrlimit(RLIMIT_NOFILE, &before_);
    rlimit none = before_;
    none.rlim_cur = 3;
    setrlimit(RLIMIT_NOFILE, &none);
  }
  ~Starved() { setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_;
};

TEST_F(AcceptorTest, AcceptsAgainWhenDescriptorsComeFree) {
  Start();
  const UniqueFd before = Connect(kPreface);
  ASSERT_TRUE(AwaitTaken(1));
  UniqueFd during(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  {
    const Starved starved;
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof(address.sun_path) - 1);
    ASSERT_EQ(connect(during.get(), reinterpret_cast<sockaddr*>(&address),
                      sizeof(address)),
              0);
    Send(during, kPreface);
    // Long enough for it to try, more than once.
    EXPECT_FALSE(Closes(during, 200));
    EXPECT_EQ(taken(), 1u);
  }
  EXPECT_TRUE(AwaitTaken(2));
  const UniqueFd after = Connect(kPreface);
  EXPECT_TRUE(AwaitTaken(3));
  EXPECT_TRUE(IsOpen(before));
}

TEST_F(AcceptorTest, StopLeavesWhatWasHandedOver) {
  Start();
  const UniqueFd waits = Connect("");
  const UniqueFd begun = Connect(kPreface);
  ASSERT_TRUE(AwaitTaken(1));
  acceptor_->Stop();
  EXPECT_TRUE(Closes(waits));
  EXPECT_TRUE(IsOpen(begun));
  EXPECT_NE(access(path_.c_str(), F_OK), 0);
  EXPECT_FALSE(ConnectUnix(path_).ok());
}

}  // namespace
}  // namespace berth::door
