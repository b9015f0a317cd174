// The oci library in forked children, with real containers. Needs root.
#include "shim/runtime/forked_runtime.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/io/event_loop.h"
#include "base/strings.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "shim/process/process_facts.h"
#include "shim/process/reaper.h"

namespace berth::shim {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::Not;

// With its hooks and its cgroup.
constexpr char kStart[] = R"({
  "ociVersion": "1.0.2", "root": {"path": "rootfs"},
  "process": {"user": {"uid": 0, "gid": 0}, "cwd": "/",
              "args": ["/bin/busybox", "sleep", "1000"]},
  "mounts": [{"destination": "/dev", "type": "tmpfs", "source": "tmpfs"}],
  "linux": {"namespaces": [{"type": "pid"}, {"type": "mount"}],
            "cgroupsPath": "/)";
constexpr char kMiddle[] = R"("}, "hooks": {)";

ProcessFds NoStreams() {
  ProcessFds fds;
  for (UniqueFd* fd : {&fds.in, &fds.out, &fds.err}) {
    fd->reset(open("/dev/null", O_RDWR | O_CLOEXEC));
  }
  return fds;
}

std::vector<std::string> Descriptors(pid_t pid) {
  const std::string path = "/proc/" + std::to_string(pid) + "/fd/";
  std::vector<std::string> targets;
  DIR* directory = opendir(path.c_str());
  if (directory == nullptr) return targets;
  while (const dirent* entry = readdir(directory)) {
    char target[256] = {};
    const std::string link = path + entry->d_name;
    if (readlink(link.c_str(), target, sizeof(target) - 1) > 0) {
      targets.push_back(target);
    }
  }
  closedir(directory);
  return targets;
}

bool HoldsSocket(pid_t pid) {
  const std::vector<std::string> held = Descriptors(pid);
  return std::any_of(held.begin(), held.end(), [](const std::string& target) {
    return StartsWith(target, "socket:");
  });
}

class ForkedRuntimeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    cgroup_ = "berth-forked-test-" + std::to_string(getpid());
    dir_.MakeDirectory("rootfs/bin");
    ASSERT_EQ(
        link("/bin/busybox", dir_.Path("rootfs/bin/busybox").c_str()) == 0 ||
            system(("cp /bin/busybox " + dir_.Path("rootfs/bin/busybox"))
                       .c_str()) == 0,
        true);
    ASSERT_OK_AND_ASSIGN(loop_, EventLoop::Create());
    reaper_ = std::make_unique<Reaper>(*loop_);
    ASSERT_OK(reaper_->Start());
    RuntimeOptions options;
    options.root = dir_.Path("state");
    runtime_ = std::make_unique<ForkedRuntime>(*loop_, *reaper_, options);
  }
  void TearDown() override {
    if (runtime_ == nullptr) return;
    runtime_->Delete("c1", [this](const Status&) { loop_->Stop(); });
    EXPECT_OK(loop_->Run());
    EXPECT_EQ(Cgroups(), 0);
  }

  StatusOr<pid_t> Create(const std::string& hooks) {
    dir_.Write("config.json", kStart + cgroup_ + kMiddle + hooks + "}}");
    StatusOr<pid_t> pid = Internal("no answer");
    runtime_->Create("c1", dir_.path(), NoStreams(),
                     [&](StatusOr<StartedProcess> started) {
                       if (started.ok()) {
                         pid = started->pid;
                       } else {
                         pid = started.status();
                       }
                       loop_->Stop();
                     });
    RETURN_IF_ERROR(loop_->Run());
    return pid;
  }

  // Of a bundle without hooks: what both answers say. `seconds`: its life.
  void Run(const std::string& program, const std::string& seconds = "1000") {
    std::string config = kStart + cgroup_ + kMiddle + "}}";
    config.replace(config.find("/bin/busybox"), 12, program);
    config.replace(config.find("1000"), 4, seconds);
    dir_.Write("config.json", config);
    created_ = Internal("no answer");
    started_ = Internal("no answer");
    runtime_->Run(
        "c1", dir_.path(), NoStreams(),
        [&](const StatusOr<StartedProcess>& process) {
          created_ = process.status();
          if (!process.ok()) return loop_->Stop();
          pid_ = process->pid;
          facts_ = process->facts;
          siginfo_t exited = {};
          if (seconds == "0") waitid(P_PID, pid_, &exited, WEXITED | WNOWAIT);
        },
        [&](const Status& status) {
          started_ = status;
          loop_->Stop();
        });
    EXPECT_OK(loop_->Run());
  }

  // In how many hierarchies there is one.
  int Cgroups() const {
    return system(("exit $(ls -d /sys/fs/cgroup/" + cgroup_ +
                   " /sys/fs/cgroup/*/" + cgroup_ + " 2>/dev/null | wc -l)")
                      .c_str());
  }

  TempDir dir_;
  std::string cgroup_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<Reaper> reaper_;
  std::unique_ptr<ForkedRuntime> runtime_;
  Status created_;
  Status started_;
  pid_t pid_ = 0;
  std::optional<ProcessFacts> facts_;
};

TEST_F(ForkedRuntimeTest, RunTellsOfTheProcessAndThenOfItsStart) {
  Run("/bin/busybox");
  EXPECT_OK(created_);
  EXPECT_OK(started_);
  EXPECT_THAT(Descriptors(pid_), Each(std::string("/dev/null")));
  char program[256] = {};
  const std::string exe = "/proc/" + std::to_string(pid_) + "/exe";
  EXPECT_GT(readlink(exe.c_str(), program, sizeof(program) - 1), 0);
  EXPECT_THAT(program, HasSubstr("busybox"));
}

// Whoever hears of the process may hear late: it has exited, and /proc says
// that it is in no namespace, and with v1 in the root cgroup.
TEST_F(ForkedRuntimeTest, TellsWhatTheProcessWasBeforeItsStart) {
  Run("/bin/busybox", "0");
  EXPECT_OK(created_);
  ASSERT_TRUE(facts_.has_value());
  EXPECT_EQ(facts_->cgroup, "/" + cgroup_);
  EXPECT_TRUE(facts_->namespace_init);
}

TEST_F(ForkedRuntimeTest, RunOfWhatIsNoProgram) {
  Run("/bin/none");
  EXPECT_THAT(created_, StatusIs(StatusCode::kNotFound));
  EXPECT_NE(access(dir_.Path("state/c1").c_str(), F_OK), 0);
  EXPECT_EQ(Cgroups(), 0);
  // Found, and of no format that the kernel knows: left for Delete.
  dir_.Write("rootfs/bin/text", "neither a script nor a program");
  chmod(dir_.Path("rootfs/bin/text").c_str(), 0755);
  Run("/bin/text");
  EXPECT_OK(created_);
  EXPECT_FALSE(started_.ok());
}

// As where the containers of a dead shim are deleted one after the other.
TEST_F(ForkedRuntimeTest, MayEndBeforeItsChildIsReaped) {
  RuntimeOptions options;
  options.root = dir_.Path("state");
  ForkedRuntime other(*loop_, *reaper_, options);
  runtime_->Delete("none", [this](const Status&) { loop_->Stop(); });
  EXPECT_OK(loop_->Run());
  runtime_.reset();
  for (int i = 0; i < 100; ++i) {
    other.Delete("none", [this](const Status&) { loop_->Stop(); });
    EXPECT_OK(loop_->Run());
  }
}

TEST_F(ForkedRuntimeTest, AnAbortedCreationLeavesNothing) {
  ASSERT_EQ(mkfifo(dir_.Path("config.json").c_str(), 0600), 0);
  Status created;
  runtime_->Run(
      "c1", dir_.path(), NoStreams(),
      [&](const StatusOr<StartedProcess>& process) {
        created = process.status();
        loop_->Stop();
      },
      [](const Status&) {});
  runtime_->Abort("c1");
  EXPECT_OK(loop_->Run());
  EXPECT_THAT(created, StatusIs(StatusCode::kInternal, HasSubstr("died")));
  EXPECT_NE(access(dir_.Path("state/c1").c_str(), F_OK), 0);
  runtime_->Abort("c1");  // no effect
}

TEST_F(ForkedRuntimeTest, WaitingInitHoldsNothingOfTheShim) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  UniqueFd own(ends[0]);
  const UniqueFd peer(ends[1]);
  ASSERT_OK_AND_ASSIGN(const pid_t pid, Create(""));
  // The child answers before the init has closed its end of their channel.
  for (int i = 0; i < 5000 && HoldsSocket(pid); ++i) usleep(1000);
  EXPECT_THAT(Descriptors(pid),
              Each(AllOf(Not(HasSubstr("socket:")), Not(HasSubstr("event")),
                         Not(HasSubstr("signalfd")))));
  // So the other side of a connection hears when the shim is gone.
  own.reset();
  char byte;
  EXPECT_EQ(recv(peer.get(), &byte, 1, MSG_DONTWAIT), 0);
}

TEST_F(ForkedRuntimeTest, KilledChildLeavesNothing) {
  for (const char* hook : {"prestart", "createRuntime"}) {
    EXPECT_THAT(Create("\"" + std::string(hook) +
                       R"(": [{"path": "/bin/sh",
                       "args": ["sh", "-c", "kill -9 $PPID"]}])"),
                StatusIs(StatusCode::kInternal, HasSubstr("died")));
    EXPECT_NE(access(dir_.Path("state/c1").c_str(), F_OK), 0);
    EXPECT_EQ(Cgroups(), 0);
  }
  // And the name can be used again.
  EXPECT_OK(Create("").status());
}

TEST_F(ForkedRuntimeTest, NameInUseIsLeftAlone) {
  ASSERT_OK_AND_ASSIGN(const pid_t pid, Create(""));
  EXPECT_THAT(Create("").status(), StatusIs(StatusCode::kAlreadyExists));
  EXPECT_EQ(kill(pid, 0), 0);
}

}  // namespace
}  // namespace berth::shim
