// Real namespaces. Needs root.
#include "shim/runtime/pod_init.h"

#include <errno.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <vector>

#include "base/testing/status_matchers.h"

namespace berth::shim {
namespace {

// A process that ends with the test, however that ends.
template <typename Life>
pid_t Spawn(Life life) {
  const pid_t pid = fork();
  if (pid != 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  life();
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // a new user namespace forgets it
  while (true) pause();
}

void End(pid_t pid) {
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
}

void Write(const std::string& path, const std::string& text) {
  std::ofstream(path) << text;
}

std::string NamespaceOf(pid_t pid, const std::string& kind) {
  char target[64] = {};
  const std::string path = "/proc/" + std::to_string(pid) + "/ns/" + kind;
  (void)!readlink(path.c_str(), target, sizeof(target) - 1);
  return target;
}

// A process in a user namespace of its own, mapped when this returns.
pid_t MakeUserNamespace() {
  const pid_t pid = Spawn([] { (void)unshare(CLONE_NEWUSER); });
  while (NamespaceOf(pid, "user") == NamespaceOf(getpid(), "user")) {
    usleep(1000);
  }
  for (const char* const map : {"uid_map", "gid_map"}) {
    Write("/proc/" + std::to_string(pid) + "/" + map, "0 500000 65536");
  }
  return pid;
}

// Processes that leave the others little.
std::vector<pid_t> KeepBusy(int count) {
  std::vector<pid_t> busy;
  for (int i = 0; i < count; ++i) {
    busy.push_back(Spawn([] {
      while (true) (void)getppid();
    }));
  }
  return busy;
}

TEST(PodInit, HasAPidNamespaceOfItsOwn) {
  ASSERT_OK_AND_ASSIGN(const pid_t pid, MakePodInit(""));
  EXPECT_NE(NamespaceOf(pid, "pid"), NamespaceOf(getpid(), "pid"));
  EXPECT_EQ(NamespaceOf(pid, "user"), NamespaceOf(getpid(), "user"));
  End(pid);
}

// Whether all children end by themselves, within ten seconds.
bool AllEnd() {
  for (int i = 0; i < 100000; ++i) {
    const pid_t ended = waitpid(-1, nullptr, WNOHANG);
    if (ended < 0) return errno == ECHILD;
    if (ended == 0) usleep(100);
  }
  return false;
}

// Its maker may be killed before it is told to end with it.
TEST(PodInit, EndsWithItsMakerWheneverThatIs) {
  ASSERT_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  for (int i = 0; i < 300; ++i) {
    const pid_t maker = Spawn([] {
      while (true) {
        const StatusOr<pid_t> made = MakePodInit("");
        if (made.ok()) End(*made);
      }
    });
    usleep(static_cast<useconds_t>(300 + i * 7));
    kill(maker, SIGKILL);
    ASSERT_TRUE(AllEnd()) << "one was left in round " << i;
  }
}

// Which of the two new processes comes first is the scheduler's to choose.
TEST(PodInit, IsMadeInAUserNamespaceWhoeverRunsFirst) {
  const pid_t user = MakeUserNamespace();
  const std::string path = "/proc/" + std::to_string(user) + "/ns/user";
  const std::vector<pid_t> busy = KeepBusy(8);
  for (int i = 0; i < 300; ++i) {
    ASSERT_OK_AND_ASSIGN(const pid_t pid, MakePodInit(path));
    EXPECT_EQ(NamespaceOf(pid, "user"), NamespaceOf(user, "user"));
    EXPECT_NE(NamespaceOf(pid, "pid"), NamespaceOf(user, "pid"));
    End(pid);
  }
  for (const pid_t pid : busy) End(pid);
  End(user);
}

}  // namespace
}  // namespace berth::shim
