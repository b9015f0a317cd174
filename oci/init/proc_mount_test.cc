#include "oci/init/proc_mount.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "base/sys/file.h"
#include "base/sys/namespace.h"
#include "base/sys/process.h"
#include "base/testing/status_matchers.h"

namespace berth::oci {
namespace {

// A pid namespace with one process.
class ProcMountTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    ASSERT_OK_AND_ASSIGN(const ClonedProcess init,
                         CloneProcess({.namespaces = CLONE_NEWPID}));
    if (init.pid == 0) {
      while (true) pause();
    }
    pid_ = init.pid;
    ASSERT_OK_AND_ASSIGN(
        pids_, OpenNamespace("/proc/" + std::to_string(pid_) + "/ns/pid",
                             CLONE_NEWPID));
  }
  void TearDown() override {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    // Nobody else was made, or all are reaped.
    EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1);
  }

  // The numbers that the mount shows, as text.
  static std::string Pids(int mount) {
    const auto root = OpenFileAt(mount, ".", O_RDONLY | O_DIRECTORY);
    if (!root.ok()) return Message(root.status());
    const auto names = ListDirectory(root->get());
    if (!names.ok()) return Message(names.status());
    std::string pids;
    for (const std::string& name : *names) {
      if (name.find_first_not_of("0123456789") == std::string::npos) {
        pids += name + " ";
      }
    }
    return pids;
  }

  pid_t pid_ = -1;
  UniqueFd pids_;
};

TEST_F(ProcMountTest, ShowsTheOtherNamespace) {
  ASSERT_OK_AND_ASSIGN(const UniqueFd mount,
                       MountProcOf(pids_.get(), {.source = "proc"}));
  EXPECT_EQ(Pids(mount.get()), "1 ");
}

TEST_F(ProcMountTest, ByAMember) {
  ASSERT_OK_AND_ASSIGN(const UniqueFd mount,
                       MountProcByMember(pids_.get(), {.source = "proc"}));
  EXPECT_EQ(Pids(mount.get()), "1 ");
}

TEST_F(ProcMountTest, OptionsThatAreNoneAreRefused) {
  for (const auto make : {MountProcOf, MountProcByMember}) {
    EXPECT_THAT(make(pids_.get(), {.source = "proc", .data = {"nonsense=1"}}),
                StatusIs(StatusCode::kInvalidArgument));
  }
}

}  // namespace
}  // namespace berth::oci
