#include "base/sys/process.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

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
