// What a service manager hands to a daemon, and is told: sd_listen_fds(3),
// sd_watchdog_enabled(3).
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <string>

#include "base/mutex.h"
#include "base/sys/socket.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "daemon/inherited_socket.h"
#include "daemon/watchdog.h"

namespace berth::daemon {
namespace {

// Descriptor 3 is a manager's while a test runs.
class Inherited : public ::testing::Test {
 protected:
  void Announce(const std::string& pid, const std::string& count) {
    setenv("LISTEN_PID", pid.c_str(), 1);
    setenv("LISTEN_FDS", count.c_str(), 1);
    setenv("LISTEN_FDNAMES", "berthd.socket", 1);
  }
  // Makes `fd` number 3, as a manager does, until the test has ended.
  void HandOver(const UniqueFd& fd) {
    saved_.reset(dup(3));
    ASSERT_EQ(dup2(fd.get(), 3), 3);
  }
  void TearDown() override {
    if (saved_.valid()) dup2(saved_.get(), 3);
    for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "WATCHDOG_USEC",
                             "WATCHDOG_PID", "NOTIFY_SOCKET"}) {
      unsetenv(name);
    }
  }

  TempDir dir_;
  UniqueFd saved_;
};

TEST_F(Inherited, NothingIsAnnounced) {
  StatusOr<std::optional<InheritedSocket>> taken = TakeInheritedSocket();
  ASSERT_OK(taken);
  EXPECT_FALSE(taken->has_value());
}

TEST_F(Inherited, WhatIsForAnotherProcessIsLeftAlone) {
  Announce("1", "1");
  StatusOr<std::optional<InheritedSocket>> taken = TakeInheritedSocket();
  ASSERT_OK(taken);
  EXPECT_FALSE(taken->has_value());
  EXPECT_EQ(std::getenv("LISTEN_FDS"), nullptr);
}

TEST_F(Inherited, IsOursAndKeepsItsFile) {
  StatusOr<UniqueFd> socket = ListenUnix(dir_.Path("docker.sock"), 0660);
  ASSERT_OK(socket);
  HandOver(*socket);
  Announce(std::to_string(getpid()), "1");
  StatusOr<std::optional<InheritedSocket>> taken = TakeInheritedSocket();
  ASSERT_OK(taken);
  ASSERT_TRUE(taken->has_value());
  EXPECT_EQ((*taken)->path, dir_.Path("docker.sock"));
  EXPECT_EQ(std::getenv("LISTEN_PID"), nullptr);
  EXPECT_EQ(std::getenv("LISTEN_FDNAMES"), nullptr);
  EXPECT_OK(ConnectUnix(dir_.Path("docker.sock")));
  (*taken)->socket.release();
}

TEST_F(Inherited, MoreThanOneIsRefused) {
  StatusOr<UniqueFd> socket = ListenUnix(dir_.Path("docker.sock"), 0660);
  ASSERT_OK(socket);
  HandOver(*socket);
  Announce(std::to_string(getpid()), "2");
  EXPECT_EQ(TakeInheritedSocket().status().code(),
            StatusCode::kFailedPrecondition);
}

TEST_F(Inherited, AnotherKindOfSocketIsRefused) {
  const UniqueFd datagrams(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  HandOver(datagrams);
  Announce(std::to_string(getpid()), "1");
  StatusOr<std::optional<InheritedSocket>> taken = TakeInheritedSocket();
  EXPECT_EQ(taken.status().code(), StatusCode::kInvalidArgument);
}

TEST_F(Inherited, ConnectedSocketIsRefused) {
  StatusOr<std::pair<UniqueFd, UniqueFd>> pair = SocketPair();
  ASSERT_OK(pair);
  HandOver(pair->first);
  Announce(std::to_string(getpid()), "1");
  StatusOr<std::optional<InheritedSocket>> taken = TakeInheritedSocket();
  EXPECT_EQ(taken.status().code(), StatusCode::kInvalidArgument);
}

TEST_F(Inherited, WatchdogIsForThisProcessOnly) {
  EXPECT_FALSE(TakeWatchdogTime().has_value());
  setenv("WATCHDOG_USEC", "3000000", 1);
  setenv("WATCHDOG_PID", "1", 1);
  EXPECT_FALSE(TakeWatchdogTime().has_value());
  setenv("WATCHDOG_USEC", "3000000", 1);
  setenv("WATCHDOG_PID", std::to_string(getpid()).c_str(), 1);
  EXPECT_EQ(TakeWatchdogTime(), std::chrono::seconds(3));
  EXPECT_EQ(std::getenv("WATCHDOG_USEC"), nullptr);
  setenv("WATCHDOG_USEC", "nonsense", 1);
  EXPECT_FALSE(TakeWatchdogTime().has_value());
}

TEST_F(Inherited, WatchdogTellsWhileTheDaemonWorks) {
  const std::string path = dir_.Path("notify");
  const UniqueFd manager(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un name = {};
  name.sun_family = AF_UNIX;
  std::strncpy(name.sun_path, path.c_str(), sizeof(name.sun_path) - 1);
  ASSERT_EQ(
      bind(manager.get(), reinterpret_cast<sockaddr*>(&name), sizeof(name)), 0);
  setenv("NOTIFY_SOCKET", path.c_str(), 1);
  // It works at the second question, and not at the first.
  int asked = 0;
  StatusOr<std::unique_ptr<Watchdog>> watchdog =
      Watchdog::Start(std::chrono::milliseconds(3), [&](Duration limit) {
        EXPECT_EQ(limit, std::chrono::milliseconds(1));
        return ++asked == 1 ? Unavailable("hangs") : OkStatus();
      });
  ASSERT_OK(watchdog);
  char text[64] = "";
  ASSERT_EQ(recv(manager.get(), text, sizeof(text) - 1, 0), 10);
  EXPECT_STREQ(text, "WATCHDOG=1");
  watchdog->reset();
  EXPECT_GE(asked, 2);
}

}  // namespace
}  // namespace berth::daemon
