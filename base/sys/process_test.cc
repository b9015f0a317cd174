#include "base/sys/process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <new>

#include "base/testing/status_matchers.h"

namespace berth {
namespace {

TEST(CloneProcessTest, ChildRunsAndIsReaped) {
  ASSERT_OK_AND_ASSIGN(const ClonedProcess child, CloneProcess({}));
  if (child.pid == 0) _exit(7);
  EXPECT_TRUE(child.pidfd.valid());
  int status = 0;
  ASSERT_EQ(waitpid(child.pid, &status, 0), child.pid);
  EXPECT_EQ(ExitCodeOf(status), 7);
  EXPECT_THAT(SignalProcess(child.pidfd.get(), SIGTERM),
              StatusIs(StatusCode::kNotFound));
}

TEST(CloneProcessTest, SiblingBelongsToTheParentsParent) {
  const pid_t me = getpid();
  ASSERT_OK_AND_ASSIGN(const ClonedProcess child, CloneProcess({}));
  if (child.pid == 0) {
    const auto sibling = CloneProcess({.sibling = true});
    if (sibling.ok() && sibling->pid == 0) _exit(getppid() == me ? 5 : 6);
    _exit(sibling.ok() ? 0 : 1);
  }
  int codes = 0;
  for (int i = 0; i < 2; ++i) {
    int status = 0;
    ASSERT_GT(waitpid(-1, &status, 0), 0);
    codes += ExitCodeOf(status);
  }
  EXPECT_EQ(codes, 5);
}

TEST(CloneProcessTest, GoesOnWhenTheChildHasCalledExec) {
  void* memory = mmap(nullptr, sizeof(std::atomic<int>), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  auto* const steps = new (memory) std::atomic<int>(0);
  ASSERT_OK_AND_ASSIGN(const ClonedProcess child,
                       CloneProcess({.until_exec = true}));
  if (child.pid == 0) {
    usleep(20000);
    *steps = 1;
    execl("/bin/sleep", "sleep", "100", nullptr);
    _exit(1);
  }
  EXPECT_EQ(*steps, 1);
  EXPECT_EQ(waitpid(child.pid, nullptr, WNOHANG), 0);
  kill(child.pid, SIGKILL);
  waitpid(child.pid, nullptr, 0);
  munmap(memory, sizeof(std::atomic<int>));
}

TEST(CloneProcessTest, ChildHasMemoryOfItsOwnUntilExec) {
  volatile int value = 1;
  ASSERT_OK_AND_ASSIGN(const ClonedProcess child,
                       CloneProcess({.until_exec = true}));
  if (child.pid == 0) {
    value = 2;
    _exit(value);
  }
  EXPECT_EQ(value, 1);
  int status = 0;
  ASSERT_EQ(waitpid(child.pid, &status, 0), child.pid);
  EXPECT_EQ(ExitCodeOf(status), 2);
}

bool IsOpen(int fd) { return fcntl(fd, F_GETFD) >= 0; }

TEST(OpenPidfdTest, ANumberThatNamesAGroupOnlyIsNoProcess) {
  ASSERT_OK_AND_ASSIGN(const ClonedProcess leader, CloneProcess({}));
  if (leader.pid == 0) {
    // Its child stays in the group that has its number.
    setpgid(0, 0);
    if (fork() == 0) {
      pause();
      _exit(0);
    }
    _exit(0);
  }
  ASSERT_EQ(waitpid(leader.pid, nullptr, 0), leader.pid);
  ASSERT_EQ(kill(-leader.pid, 0), 0);
  EXPECT_THAT(OpenPidfd(leader.pid), StatusIs(StatusCode::kNotFound));
  kill(-leader.pid, SIGKILL);
}

TEST(CloseAllButTest, KeepsWhatIsNamedAndWhatIsBelow) {
  ASSERT_OK_AND_ASSIGN(const ClonedProcess child, CloneProcess({}));
  if (child.pid == 0) {
    for (const int fd : {50, 51, 52, 60, 70}) dup2(0, fd);
    const bool done = CloseAllBut(51, {60, -1, 52, 7, 60}).ok();
    const bool right =
        IsOpen(50) && !IsOpen(51) && IsOpen(52) && IsOpen(60) && !IsOpen(70);
    _exit(done && right ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child.pid, &status, 0), child.pid);
  EXPECT_EQ(ExitCodeOf(status), 0);
}

TEST(ReadProcessStatTest, TellsParentAndZombie) {
  ASSERT_OK_AND_ASSIGN(const ProcessStat self, ReadProcessStat(getpid()));
  EXPECT_EQ(self.parent, getppid());
  EXPECT_GT(self.start_time, 0u);
  ASSERT_OK_AND_ASSIGN(const ClonedProcess child, CloneProcess({}));
  if (child.pid == 0) _exit(0);
  siginfo_t info;
  ASSERT_EQ(
      waitid(P_PID, static_cast<id_t>(child.pid), &info, WEXITED | WNOWAIT), 0);
  EXPECT_EQ(ReadProcessStat(child.pid)->state, 'Z');
  waitpid(child.pid, nullptr, 0);
  EXPECT_THAT(ReadProcessStat(child.pid), StatusIs(StatusCode::kNotFound));
}

TEST(ParseSignalTest, TakesNamesAndNumbers) {
  EXPECT_EQ(*ParseSignal("KILL"), SIGKILL);
  EXPECT_EQ(*ParseSignal("SIGKILL"), SIGKILL);
  EXPECT_EQ(*ParseSignal("sigterm"), SIGTERM);
  EXPECT_EQ(*ParseSignal("15"), 15);
  EXPECT_EQ(*ParseSignal("RTMIN+3"), SIGRTMIN + 3);
  for (const char* bad : {"", "NOPE", "-1", "65", "9x", "SIG", "RTMIN+99"}) {
    EXPECT_THAT(ParseSignal(bad), StatusIs(StatusCode::kInvalidArgument))
        << bad;
  }
}

}  // namespace
}  // namespace berth
