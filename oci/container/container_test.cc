// What the shim does with the library, and the parts that need no container.
#include "oci/container/container.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sys/file.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "oci/container/hooks.h"

namespace berth::oci {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kConfig[] = R"({
  "ociVersion": "1.0.2",
  "process": {"args": ["/bin/sh", "-c", "exit 23"], "cwd": "/",
              "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}},
  "root": {"path": "rootfs"},
  "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
  "linux": {"cgroupsPath": "/%ID",
            "namespaces": [{"type": "pid"}, {"type": "mount"},
                           {"type": "ipc"}, {"type": "uts"}]}
})";

std::string UniqueId() { return "container-test-" + std::to_string(getpid()); }

class ContainerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (getuid() != 0 || access("/bin/busybox", X_OK) != 0) {
      GTEST_SKIP() << "needs root and busybox-static";
    }
    chmod(dir_.path().c_str(), 0711);
    for (const char* name : {"bin", "proc", "dev", "sys"}) {
      dir_.MakeDirectory("bundle/rootfs/" + std::string(name));
    }
    const auto busybox = ReadFile("/bin/busybox", 16 << 20);
    ASSERT_OK(busybox);
    dir_.Write("bundle/rootfs/bin/sh", *busybox);
    chmod(dir_.Path("bundle/rootfs/bin/sh").c_str(), 0755);
    std::string config = kConfig;
    config.replace(config.find("%ID"), 3, UniqueId());
    dir_.Write("bundle/config.json", config);
    options_.id = UniqueId();
    options_.bundle = dir_.Path("bundle");
    options_.io.sibling = true;
  }

  // Create (and, by its maker, Start) in a forked child, as the shim does it:
  // its exit code.
  int CreateInChild() {
    const pid_t child = fork();
    if (child == 0) {
      auto made = Container::Create(dir_.Path("root"), options_);
      Status done = made.status();
      if (done.ok() && start_) done = made->Start();
      if (!done.ok()) dir_.Write("error", Message(done));
      _exit(done.ok() ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WEXITSTATUS(status);
  }

  TempDir dir_;
  CreateOptions options_;
  bool start_ = false;
};

TEST_F(ContainerTest, ItsMakerStartsItWithoutAFifo) {
  options_.start_by_maker = start_ = true;
  ASSERT_EQ(CreateInChild(), 0) << dir_.Read("error");
  EXPECT_FALSE(dir_.Exists("root/" + options_.id + "/exec.fifo"));
  ASSERT_OK_AND_ASSIGN(Container container,
                       Container::Load(dir_.Path("root"), options_.id));
  int status = 0;
  ASSERT_EQ(waitpid(container.init_pid(), &status, 0), container.init_pid());
  EXPECT_EQ(WEXITSTATUS(status), 23);
  EXPECT_THAT(container.Start(), StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_OK(container.Delete(false));
}

TEST_F(ContainerTest, AnInitWhoseMakerDoesNotStartItEnds) {
  options_.start_by_maker = true;
  ASSERT_EQ(CreateInChild(), 0) << dir_.Read("error");
  ASSERT_OK_AND_ASSIGN(Container container,
                       Container::Load(dir_.Path("root"), options_.id));
  int status = 0;
  ASSERT_EQ(waitpid(container.init_pid(), &status, 0), container.init_pid());
  EXPECT_NE(WEXITSTATUS(status), 23);
  EXPECT_OK(container.Delete(false));
}

TEST_F(ContainerTest, InitOfAForkedCreateIsOurChild) {
  ASSERT_EQ(CreateInChild(), 0) << dir_.Read("error");
  ASSERT_OK_AND_ASSIGN(Container container,
                       Container::Load(dir_.Path("root"), options_.id));
  EXPECT_EQ(container.State()->status, ContainerStatus::kCreated);
  ASSERT_OK(container.Start());
  int status = 0;
  ASSERT_EQ(waitpid(container.init_pid(), &status, 0), container.init_pid());
  EXPECT_EQ(WEXITSTATUS(status), 23);
  EXPECT_EQ(container.State()->status, ContainerStatus::kStopped);
  EXPECT_OK(container.Delete(false));
  EXPECT_THAT(ListContainers(dir_.Path("root")), IsOkAndHolds(IsEmpty()));
}

TEST_F(ContainerTest, FailedCreateSaysWhyAndLeavesNothing) {
  std::string config = dir_.Read("bundle/config.json");
  config.replace(config.find("/bin/sh"), 7, "/no/one");
  dir_.Write("bundle/config.json", config);
  ASSERT_EQ(CreateInChild(), 1);
  EXPECT_THAT(dir_.Read("error"), HasSubstr("no such file or directory"));
  int status = 0;
  EXPECT_GT(waitpid(-1, &status, 0), 0);  // the init, killed
  EXPECT_THAT(ListContainers(dir_.Path("root")), IsOkAndHolds(IsEmpty()));
  EXPECT_THAT(Container::Load(dir_.Path("root"), options_.id),
              StatusIs(StatusCode::kNotFound, HasSubstr("does not exist")));
}

TEST(ContainerIdTest, OnlyPlainNames) {
  for (const char* good : {"a", "A-b_c.d+e", "..a", "0f"}) {
    EXPECT_OK(CheckContainerId(good)) << good;
  }
  for (const char* bad : {"", ".", "..", "a/b", "a b", "@seccomp", "\n"}) {
    EXPECT_THAT(CheckContainerId(bad), StatusIs(StatusCode::kInvalidArgument))
        << bad;
  }
}

TEST(StateFileTest, ComesBackAsSaved) {
  TempDir dir;
  dir.MakeDirectory("x");
  StateFile state;
  state.directory = dir.Path("x");
  state.id = "x";
  state.pid = 12;
  state.start_time = 18446744073709551615u;
  state.bundle = "/b";
  state.annotations = {{"k", "v"}};
  state.crun_dialect = true;
  state.made_mount = 7;
  state.resctrl_control = "/r/x";
  state.resctrl_tasks = {"/r/x/tasks"};
  ASSERT_OK(state.Save());
  EXPECT_THAT(dir.Names("x"), ElementsAre("state.json"));
  ASSERT_OK_AND_ASSIGN(const StateFile loaded,
                       StateFile::Load(dir.path(), "x"));
  EXPECT_EQ(loaded.start_time, state.start_time);
  EXPECT_EQ(loaded.annotations, state.annotations);
  EXPECT_TRUE(loaded.crun_dialect);
  EXPECT_EQ(loaded.made_mount, 7u);
  EXPECT_EQ(loaded.resctrl_control, "/r/x");
  EXPECT_THAT(loaded.resctrl_tasks, ElementsAre("/r/x/tasks"));
  dir.Write("x/state.json", "{\"pid\": \"no\"}");
  EXPECT_THAT(StateFile::Load(dir.path(), "x"),
              StatusIs(StatusCode::kInvalidArgument));
}

Hook ShellHook(const std::string& script) {
  Hook hook;
  hook.path = "/bin/sh";
  hook.args = {"sh", "-c", script};
  return hook;
}

TEST(RunHooksTest, GetTheStateAndRunInOrder) {
  TempDir dir;
  const std::string out = dir.Path("out");
  EXPECT_OK(
      RunHooks("prestart",
               {ShellHook("cat > " + out), ShellHook("echo second >> " + out)},
               "{state}"));
  EXPECT_EQ(dir.Read("out"), "{state}second\n");
}

TEST(RunHooksTest, FailureCarriesStatusAndComplaint) {
  TempDir dir;
  const std::string out = dir.Path("out");
  EXPECT_THAT(
      RunHooks("poststart",
               {ShellHook("true"), ShellHook("echo why >&2; exit 4"),
                ShellHook("touch " + out)},
               ""),
      StatusIs(StatusCode::kInternal, AllOf(HasSubstr("poststart hook #1"),
                                            HasSubstr("4"), HasSubstr("why"))));
  EXPECT_FALSE(dir.Exists("out"));
}

TEST(RunHooksTest, TimesOut) {
  Hook hook = ShellHook("exec sleep 1000");
  hook.timeout = 1;
  EXPECT_THAT(RunHooks("prestart", {hook}, ""),
              StatusIs(StatusCode::kDeadlineExceeded));
}

TEST(RunHooksTest, MissingProgramIsAnError) {
  Hook hook;
  hook.path = "/no/such/hook";
  EXPECT_THAT(RunHooks("prestart", {hook}, ""),
              StatusIs(StatusCode::kInternal, HasSubstr("No such file")));
}

}  // namespace
}  // namespace berth::oci
