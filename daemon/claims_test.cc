#include "daemon/claims.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <functional>
#include <string>

#include "base/sys/socket.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"

namespace berth::daemon {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// Another process, which has done `first` before this returns, and lives until
// it is killed.
class Other {
 public:
  explicit Other(const std::function<void()>& first) {
    int ready[2];
    if (pipe(ready) != 0) abort();
    pid_ = fork();
    if (pid_ == 0) {
      first();
      (void)!write(ready[1], "x", 1);
      while (true) pause();
    }
    close(ready[1]);
    char byte;
    EXPECT_EQ(read(ready[0], &byte, 1), 1);
    close(ready[0]);
  }
  ~Other() { Kill(); }
  void Kill() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
    pid_ = -1;
  }
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_;
};

TEST(FolderClaimTest, NamesWhoHasIt) {
  TempDir dir;
  Other other([&] {
    // Never given back.
    auto* claim =
        new StatusOr<FolderClaim>(FolderClaim::Take(dir.path(), Duration(0)));
    if (!claim->ok()) _exit(1);
  });
  EXPECT_THAT(FolderClaim::Take(dir.path(), Duration(0)),
              StatusIs(StatusCode::kUnavailable,
                       AllOf(HasSubstr(dir.path()),
                             HasSubstr(std::to_string(other.pid())))));
  other.Kill();
  EXPECT_OK(FolderClaim::Take(dir.path(), Duration(0)));
}

TEST(FolderClaimTest, WaitsForOneThatEnds) {
  TempDir dir;
  Other other([&] {
    auto* claim =
        new StatusOr<FolderClaim>(FolderClaim::Take(dir.path(), Duration(0)));
    if (!claim->ok()) _exit(1);
    signal(SIGALRM, [](int) { _exit(0); });
    ualarm(100000, 0);
  });
  EXPECT_OK(FolderClaim::Take(dir.path(), std::chrono::minutes(1)));
}

// A child of a killed daemon that has not run its program yet.
TEST(FolderClaimTest, AChildCannotKeepIt) {
  TempDir dir;
  pid_t child = -1;
  int tell[2];
  ASSERT_EQ(pipe(tell), 0);
  Other other([&] {
    auto* claim =
        new StatusOr<FolderClaim>(FolderClaim::Take(dir.path(), Duration(0)));
    if (!claim->ok()) _exit(1);
    const pid_t born = fork();
    if (born == 0) {
      while (true) pause();
    }
    (void)!write(tell[1], &born, sizeof(born));
  });
  ASSERT_EQ(read(tell[0], &child, sizeof(child)),
            static_cast<ssize_t>(sizeof(child)));
  other.Kill();
  EXPECT_OK(FolderClaim::Take(dir.path(), Duration(0)));
  kill(child, SIGKILL);
  close(tell[0]);
  close(tell[1]);
}

TEST(FolderClaimTest, SaysWhenThereIsNoFolder) {
  TempDir dir;
  EXPECT_THAT(FolderClaim::Take(dir.Path("none"), Duration(0)),
              StatusIs(StatusCode::kNotFound));
}

TEST(ClearSocketTest, KeepsOffALiveOneAndRemovesADeadOne) {
  TempDir dir;
  const std::string path = dir.Path("s");
  EXPECT_OK(ClearSocket(path, Duration(0)));
  ASSERT_OK_AND_ASSIGN(UniqueFd listener, ListenUnix(path, 0600));
  EXPECT_THAT(ClearSocket(path, Duration(0)),
              StatusIs(StatusCode::kUnavailable, HasSubstr(path)));
  EXPECT_OK(ConnectUnix(path));
  listener.reset();
  EXPECT_OK(ClearSocket(path, Duration(0)));
  EXPECT_FALSE(dir.Exists("s"));
}

// Its queue is full, and nobody takes from it.
TEST(ClearSocketTest, KeepsOffOneThatIsStuck) {
  TempDir dir;
  const std::string path = dir.Path("s");
  ASSERT_OK_AND_ASSIGN(const UniqueFd listener, ListenUnix(path, 0600));
  for (int i = 0; i < 200; ++i) SomebodyListens(path);
  EXPECT_THAT(ClearSocket(path, Duration(0)),
              StatusIs(StatusCode::kUnavailable));
}

TEST(ClearSocketTest, KeepsFilesThatAreNoSockets) {
  TempDir dir;
  dir.Write("s", "precious");
  EXPECT_THAT(ClearSocket(dir.Path("s"), Duration(0)),
              StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_EQ(dir.Read("s"), "precious");
}

}  // namespace
}  // namespace berth::daemon
