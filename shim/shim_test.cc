// berth-shim as berthd drives it: the launcher, the client, the shim and a
// real runtime with real containers. Needs root.
#include "shim/shim.h"

#include <fcntl.h>
#include <glob.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>

#include "base/context.h"
#include "base/strings.h"
#include "base/sys/file.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "shim/client/shim_launcher.h"

namespace berth::shim {
namespace {

using std::chrono::seconds;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

const char kConfig[] = R"json({
  "ociVersion": "1.0.2",
  "process": {
    "terminal": %s, "user": {"uid": 0, "gid": 0}, "cwd": "/",
    "args": ["/bin/sh", "-c", "%s"],
    "env": ["PATH=/bin", "TERM=xterm"],
    "capabilities": {"bounding": ["CAP_KILL"], "effective": ["CAP_KILL"],
                     "permitted": ["CAP_KILL"]}
  },
  "root": {"path": "rootfs", "readonly": false},
  "hostname": "shim-test",
  "mounts": [
    {"destination": "/proc", "type": "proc", "source": "proc"},
    {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
     "options": ["nosuid", "mode=755", "size=65536k"]},
    {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
     "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666",
                 "mode=0620"]}
  ],
  "linux": {
    "cgroupsPath": "/berth-shim-test-%d/%s",
    "resources": {"memory": {"limit": %lld}, "pids": {"limit": 64}},
    "namespaces": [%s{"type": "mount"}, {"type": "ipc"}, {"type": "uts"}]
  }
})json";

const char kProcess[] = R"json({
  "terminal": %s, "user": {"uid": 0, "gid": 0}, "cwd": "/",
  "args": ["/bin/sh", "-c", "%s"], "env": ["PATH=/bin"]
})json";

template <typename... Args>
std::string Format(const char* format, Args... args) {
  std::string text(8192, '\0');
  const int size = snprintf(text.data(), text.size(), format, args...);
  text.resize(static_cast<size_t>(size));
  return text;
}

StatusOr<std::string> ProcFile(pid_t pid, const std::string& name) {
  return ReadFile("/proc/" + std::to_string(pid) + "/" + name, 1 << 20);
}

std::string ProcessJson(const std::string& script, bool terminal = false) {
  return Format(kProcess, terminal ? "true" : "false", script.c_str());
}

std::string FindProgram(const std::string& name) {
  for (const char* folder : {"/usr/sbin/", "/usr/bin/", "/usr/local/bin/"}) {
    const std::string path = folder + name;
    if (access(path.c_str(), X_OK) == 0) return path;
  }
  return "";
}

bool WaitUntil(const std::function<bool()>& condition) {
  for (int i = 0; i < 1000; ++i) {
    if (condition()) return true;
    usleep(10'000);
  }
  return false;
}

std::string ReadFifo(const std::string& path, UniqueFd& fd) {
  std::string text;
  char bytes[4096];
  while (true) {
    pollfd ready{fd.get(), POLLIN, 0};
    if (poll(&ready, 1, 10'000) <= 0) {
      ADD_FAILURE() << path << " does not end";
      return text;
    }
    const ssize_t n = read(fd.get(), bytes, sizeof(bytes));
    if (n <= 0) return text;
    text.append(bytes, static_cast<size_t>(n));
  }
}

// The parameter is the runtime: a program's name, or "" for the shim's own.
class ShimTest : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (!GetParam().empty() && FindProgram(GetParam()).empty()) {
      GTEST_SKIP() << "no " << GetParam() << " here";
    }
    dir_.MakeDirectory("state");
    dir_.MakeDirectory("rootfs/bin");
    ASSERT_EQ(system(("cp /bin/busybox " + dir_.Path("rootfs/bin/busybox") +
                      " && for a in sh cat sleep echo kill yes head dd tr "
                      "stty ps; do ln -s busybox " +
                      dir_.Path("rootfs/bin/") + "$a; done")
                         .c_str()),
              0);
    for (const char* name : {"rootfs/proc", "rootfs/dev"}) {
      dir_.MakeDirectory(name);
    }
    sandbox_.id = "pod1";
    sandbox_.state_dir = dir_.Path("state");
    sandbox_.binary = std::filesystem::current_path() / "shim/berth-shim";
    sandbox_.runtime_program =
        GetParam().empty() ? "" : FindProgram(GetParam());
    sandbox_.runtime_root = dir_.Path("runtime");
    launcher_ = NewShimLauncher();
  }

  void TearDown() override {
    shim_.reset();
    if (launcher_ != nullptr) {
      EXPECT_OK(launcher_->Destroy(ctx_, sandbox_));
    }
    // The parents of the containers' cgroups, in whatever hierarchies the
    // runtime made them.
    const std::string pattern =
        Format("/sys/fs/cgroup/{,*/}berth-shim-test-%d", getpid());
    glob_t found{};
    glob(pattern.c_str(), GLOB_BRACE, nullptr, &found);
    for (size_t i = 0; i < found.gl_pathc; ++i) {
      EXPECT_EQ(rmdir(found.gl_pathv[i]), 0) << found.gl_pathv[i];
    }
    globfree(&found);
  }

  void Launch() {
    ASSERT_OK_AND_ASSIGN(shim_, launcher_->Launch(ctx_, sandbox_));
  }

  CreateTask Bundle(const std::string& id, const std::string& script,
                    bool terminal = false, bool own_pids = true,
                    long long memory = 64 << 20) {
    CreateTask task;
    task.id = id;
    task.bundle = dir_.Path(id);
    dir_.MakeDirectory(id + "/rootfs");
    dir_.Write(
        id + "/config.json",
        Format(kConfig, terminal ? "true" : "false", script.c_str(), getpid(),
               id.c_str(), memory, own_pids ? "{\"type\": \"pid\"}, " : ""));
    task.rootfs = {{"bind", dir_.Path("rootfs"), "", {"rbind"}}};
    task.stdio.terminal = terminal;
    return task;
  }

  std::string LogUri(const std::string& name) {
    return "berth-log://" + dir_.Path(name) + "?format=cri";
  }

  std::unique_ptr<Task> StartLogged(const std::string& id,
                                    const std::string& script) {
    CreateTask create = Bundle(id, script);
    create.stdio.out = create.stdio.err = LogUri(id + ".log");
    return StartTask(create);
  }

  std::unique_ptr<Task> StartTask(const CreateTask& create) {
    StatusOr<RunningTask> run = shim_->Run(ctx_, create);
    EXPECT_OK(run);
    return run.ok() ? std::move(run->task) : nullptr;
  }

  UniqueFd NewFifo(const std::string& name) {
    EXPECT_EQ(mkfifo(dir_.Path(name).c_str(), 0600), 0);
    return UniqueFd(
        open(dir_.Path(name).c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  }

  UniqueFd OpenWriter(const std::string& name) {
    return UniqueFd(open(dir_.Path(name).c_str(), O_WRONLY | O_CLOEXEC));
  }

  // Lines with "TIME stream tag " cut off after the time.
  std::string LogWithoutTimes(const std::string& name) {
    std::string text;
    for (const std::string& line : Split(dir_.Read(name), '\n')) {
      if (!line.empty()) text += line.substr(line.find(' ') + 1) + "\n";
    }
    return text;
  }

  TempDir dir_;
  const Context ctx_ =
      Context::Background("test").WithTimeout(std::chrono::minutes(2));
  SandboxShim sandbox_;
  std::unique_ptr<ShimLauncher> launcher_;
  std::unique_ptr<Shim> shim_;
};

TEST_P(ShimTest, RunsAContainerAndKeepsItsLogAndExit) {
  ASSERT_NO_FATAL_FAILURE(Launch());
  auto task = StartLogged("c1", "echo hello; echo oops >&2; exit 7");
  ASSERT_NE(task, nullptr);
  ASSERT_OK_AND_ASSIGN(const ExitStatus exit, AwaitExit(ctx_, *task));
  EXPECT_EQ(exit.code, 7u);
  EXPECT_GT(exit.at, Now() - 60'000'000'000);
  EXPECT_EQ(LogWithoutTimes("c1.log"), "stdout F hello\nstderr F oops\n");
  // The same answer, again and by another handle, until Delete.
  ASSERT_OK_AND_ASSIGN(auto again, shim_->Find(ctx_, "c1", ""));
  ASSERT_OK_AND_ASSIGN(const ExitStatus second, AwaitExit(ctx_, *again));
  EXPECT_EQ(second.at, exit.at);
  ASSERT_OK_AND_ASSIGN(const TaskState state, task->State(ctx_));
  EXPECT_EQ(state.phase, TaskPhase::kStopped);
  EXPECT_THAT(task->Kill(ctx_, SIGKILL, false),
              StatusIs(StatusCode::kNotFound));
  ASSERT_OK_AND_ASSIGN(const ExitStatus deleted, task->Delete(ctx_));
  EXPECT_EQ(deleted.code, 7u);
  EXPECT_THAT(task->State(ctx_), StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(dir_.Names("c1/rootfs"), IsEmpty()) << "still mounted";
  EXPECT_OK(shim_->Shutdown(ctx_));
}

TEST_P(ShimTest, KillsAndRefusesVerbsInTheWrongPhase) {
  ASSERT_NO_FATAL_FAILURE(Launch());
  ASSERT_OK_AND_ASSIGN(auto task,
                       shim_->Create(ctx_, Bundle("c1", "exec sleep 100")));
  EXPECT_THAT(shim_->Create(ctx_, Bundle("c1", "true")),
              StatusIs(StatusCode::kAlreadyExists));
  ASSERT_OK_AND_ASSIGN(TaskState state, task->State(ctx_));
  EXPECT_EQ(state.phase, TaskPhase::kCreated);
  ASSERT_OK(task->Start(ctx_));
  EXPECT_THAT(task->Start(ctx_), StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_THAT(task->Delete(ctx_), StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_THAT(shim_->Shutdown(ctx_), StatusIs(StatusCode::kFailedPrecondition));
  // A Wait that takes its time holds nothing up.
  StatusOr<ExitStatus> exit = Internal("none");
  std::thread waiter([&] { exit = AwaitExit(ctx_, *task); });
  ASSERT_OK(task->State(ctx_));
  ASSERT_OK(task->Kill(ctx_, SIGKILL, false));
  waiter.join();
  ASSERT_OK(exit);
  EXPECT_EQ(exit->code, 137u);
  EXPECT_OK(task->Delete(ctx_));
}

TEST_P(ShimTest, DeletesWhatWasNeverStarted) {
  ASSERT_NO_FATAL_FAILURE(Launch());
  ASSERT_OK_AND_ASSIGN(auto task,
                       shim_->Create(ctx_, Bundle("c1", "exec sleep 100")));
  ASSERT_OK(task->Delete(ctx_));
  EXPECT_THAT(task->State(ctx_), StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(dir_.Names("c1/rootfs"), IsEmpty());
}

TEST_P(ShimTest, LeavesNothingOfAContainerThatCannotBeCreated) {
  ASSERT_NO_FATAL_FAILURE(Launch());
  CreateTask create = Bundle("c1", "true");
  dir_.Write("c1/config.json", "{ this is not JSON");
  EXPECT_FALSE(shim_->Create(ctx_, create).ok());
  EXPECT_FALSE(shim_->Run(ctx_, create).ok());
  EXPECT_THAT(dir_.Names("c1/rootfs"), IsEmpty());
  EXPECT_THAT(shim_->Find(ctx_, "c1", ""), StatusIs(StatusCode::kNotFound));
  create = Bundle("../c1", "true");
  EXPECT_THAT(shim_->Create(ctx_, create),
              StatusIs(StatusCode::kInvalidArgument));
  EXPECT_OK(shim_->Shutdown(ctx_));
}

TEST_P(ShimTest, ExecsWithFifos) {
  ASSERT_NO_FATAL_FAILURE(Launch());
  auto task = StartLogged("c1", "exec sleep 100");
  ASSERT_NE(task, nullptr);
  UniqueFd out = NewFifo("out");
  UniqueFd err = NewFifo("err");
  NewFifo("in");
  ExecTask exec;
  exec.container_id = "c1";
  exec.exec_id = "e1";
  exec.process = ProcessJson("echo begin; cat; echo end >&2; exit 3");
  exec.stdio = {dir_.Path("in"), dir_.Path("out"), dir_.Path("err"), false};
  ASSERT_OK_AND_ASSIGN(auto process, shim_->Exec(ctx_, exec));
  EXPECT_THAT(shim_->Exec(ctx_, exec), StatusIs(StatusCode::kAlreadyExists));
  ASSERT_OK(process->Start(ctx_));
  {
    UniqueFd in = OpenWriter("in");
    ASSERT_EQ(write(in.get(), "input\n", 6), 6);
  }
  ASSERT_OK(process->CloseStdin(ctx_));
  ASSERT_OK_AND_ASSIGN(const ExitStatus exit, AwaitExit(ctx_, *process));
  EXPECT_EQ(exit.code, 3u);
  EXPECT_EQ(ReadFifo("out", out), "begin\ninput\n");
  EXPECT_EQ(ReadFifo("err", err), "end\n");
  EXPECT_OK(process->Delete(ctx_));
  ASSERT_OK(task->Kill(ctx_, SIGKILL, false));
  EXPECT_OK(AwaitExit(ctx_, *task));
  exec.exec_id = "e2";
  EXPECT_THAT(shim_->Exec(ctx_, exec),
              StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_OK(task->Delete(ctx_));
}

TEST_P(ShimTest, GivesAnExecATerminalOfTheRightSize) {
  ASSERT_NO_FATAL_FAILURE(Launch());
  auto task = StartLogged("c1", "exec sleep 100");
  ASSERT_NE(task, nullptr);
  UniqueFd out = NewFifo("out");
  NewFifo("in");
  ExecTask exec;
  exec.container_id = "c1";
  exec.exec_id = "e1";
  exec.process = ProcessJson("read go; stty size; exit 4", true);
  exec.stdio = {dir_.Path("in"), dir_.Path("out"), "", true};
  ASSERT_OK_AND_ASSIGN(auto process, shim_->Exec(ctx_, exec));
  ASSERT_OK(process->Start(ctx_));
  ASSERT_OK(process->Resize(ctx_, {101, 37}));
  UniqueFd in = OpenWriter("in");
  ASSERT_EQ(write(in.get(), "go\n", 3), 3);
  ASSERT_OK_AND_ASSIGN(const ExitStatus exit, AwaitExit(ctx_, *process));
  EXPECT_EQ(exit.code, 4u);
  EXPECT_THAT(ReadFifo("out", out), HasSubstr("37 101"));
  ASSERT_OK(task->Kill(ctx_, SIGKILL, false));
}

TEST_P(ShimTest, RunsAProcessToItsEndInOneCall) {
  ASSERT_NO_FATAL_FAILURE(Launch());
  auto task = StartLogged("c1", "exec sleep 100");
  ASSERT_NE(task, nullptr);
  ExecSyncTask exec;
  exec.container_id = "c1";
  exec.process = ProcessJson("echo out; echo err >&2; exit 5");
  ASSERT_OK_AND_ASSIGN(ExecSyncResult result, shim_->ExecSync(ctx_, exec));
  EXPECT_EQ(result.exit_status, 5u);
  EXPECT_FALSE(result.timed_out);
  EXPECT_EQ(result.out, "out\n");
  EXPECT_EQ(result.err, "err\n");

  // More than a message may have, and more than the limit.
  exec.process = ProcessJson("yes | head -c 6000000");
  ASSERT_OK_AND_ASSIGN(result, shim_->ExecSync(ctx_, exec));
  EXPECT_EQ(result.exit_status, 0u);
  EXPECT_EQ(result.out.size(), 6000000u);
  exec.output_limit = 1000;
  ASSERT_OK_AND_ASSIGN(result, shim_->ExecSync(ctx_, exec));
  EXPECT_EQ(result.out.size(), 1000u);

  exec.process = ProcessJson("echo x; sleep 111 & sleep 112");
  exec.timeout = std::chrono::milliseconds(300);
  ASSERT_OK_AND_ASSIGN(result, shim_->ExecSync(ctx_, exec));
  EXPECT_TRUE(result.timed_out);
  EXPECT_EQ(result.out, "x\n");
  exec.timeout = Duration(0);
  exec.process = ProcessJson("ps");
  ASSERT_OK_AND_ASSIGN(result, shim_->ExecSync(ctx_, exec));
  EXPECT_THAT(result.out, Not(HasSubstr("sleep 11")));
  ASSERT_OK(task->Kill(ctx_, SIGKILL, false));
}

TEST_P(ShimTest, SharesTheOutputWithThoseWhoAttach) {
  ASSERT_NO_FATAL_FAILURE(Launch());
  CreateTask create =
      Bundle("c1", "read line; echo got $line; read line; echo bye");
  NewFifo("stdin");
  create.stdio.in = dir_.Path("stdin");
  create.stdio.out = create.stdio.err = LogUri("c1.log");
  auto task = StartTask(create);
  ASSERT_NE(task, nullptr);
  UniqueFd out = NewFifo("out");
  NewFifo("in");
  {
    ASSERT_OK(
        task->Attach(ctx_, {dir_.Path("in"), dir_.Path("out"), "", false}));
    UniqueFd in = OpenWriter("in");
    ASSERT_EQ(write(in.get(), "one\n", 4), 4);
    ASSERT_TRUE(WaitUntil([&] {
      return dir_.Read("c1.log").find("got one") != std::string::npos;
    }));
    char bytes[64];
    EXPECT_EQ(read(out.get(), bytes, sizeof(bytes)), 8);
    out.reset();  // goes away; the container does not care
  }
  UniqueFd in = OpenWriter("stdin");
  ASSERT_EQ(write(in.get(), "two\n", 4), 4);
  ASSERT_OK_AND_ASSIGN(const ExitStatus exit, AwaitExit(ctx_, *task));
  EXPECT_EQ(exit.code, 0u);
  EXPECT_EQ(LogWithoutTimes("c1.log"), "stdout F got one\nstdout F bye\n");
}

TEST_P(ShimTest, ReopensARotatedLog) {
  ASSERT_NO_FATAL_FAILURE(Launch());
  CreateTask create = Bundle("c1", "echo one; read line; echo two");
  NewFifo("stdin");
  create.stdio.in = dir_.Path("stdin");
  create.stdio.out = create.stdio.err = LogUri("c1.log");
  auto task = StartTask(create);
  ASSERT_NE(task, nullptr);
  ASSERT_TRUE(WaitUntil([&] { return !dir_.Read("c1.log").empty(); }));
  ASSERT_EQ(rename(dir_.Path("c1.log").c_str(), dir_.Path("old.log").c_str()),
            0);
  ASSERT_OK(task->ReopenLog(ctx_));
  UniqueFd in = OpenWriter("stdin");
  ASSERT_EQ(write(in.get(), "\n", 1), 1);
  ASSERT_OK(AwaitExit(ctx_, *task));
  EXPECT_EQ(LogWithoutTimes("old.log"), "stdout F one\n");
  EXPECT_EQ(LogWithoutTimes("c1.log"), "stdout F two\n");
}

TEST_P(ShimTest, OutlivesItsManager) {
  ASSERT_NO_FATAL_FAILURE(Launch());
  auto task = StartLogged("c1", "exec sleep 100");
  ASSERT_NE(task, nullptr);
  task.reset();
  shim_.reset();  // as far as the shim can see, berthd has died
  ASSERT_OK_AND_ASSIGN(shim_, NewShimLauncher()->Reconnect(ctx_, sandbox_));
  ASSERT_OK_AND_ASSIGN(task, shim_->Find(ctx_, "c1", ""));
  ASSERT_OK_AND_ASSIGN(const TaskState state, task->State(ctx_));
  EXPECT_EQ(state.phase, TaskPhase::kRunning);
  ASSERT_OK(task->Kill(ctx_, SIGTERM, false));
  ASSERT_OK(task->Kill(ctx_, SIGKILL, false));
  ASSERT_OK_AND_ASSIGN(const ExitStatus exit, AwaitExit(ctx_, *task));
  EXPECT_EQ(exit.code, 137u);
}

TEST_P(ShimTest, IsCleanedUpAfterWhenItIsKilled) {
  ASSERT_NO_FATAL_FAILURE(Launch());
  auto task = StartLogged("c1", "exec sleep 100");
  ASSERT_NE(task, nullptr);
  ASSERT_OK_AND_ASSIGN(const TaskState state, task->State(ctx_));
  StatusOr<ExitStatus> exit = Internal("none");
  std::thread waiter([&] { exit = AwaitExit(ctx_, *task); });
  const Context lost = Context::Background().WithCancel();
  shim_->WhenLost([&](const Status&) { lost.Cancel(); });
  ASSERT_OK_AND_ASSIGN(const std::string bootstrap,
                       ReadFile(dir_.Path("state/bootstrap.json"), 4096));
  ASSERT_EQ(kill(atoi(&bootstrap[bootstrap.find("\"pid\":") + 6]), SIGKILL), 0);
  waiter.join();
  EXPECT_THAT(exit, StatusIs(StatusCode::kUnavailable));
  EXPECT_TRUE(WaitUntil([&] { return lost.cancelled(); }));
  EXPECT_THAT(launcher_->Reconnect(ctx_, sandbox_),
              StatusIs(StatusCode::kUnavailable));
  ASSERT_OK(launcher_->Destroy(ctx_, sandbox_));
  EXPECT_TRUE(WaitUntil([&] { return kill(state.pid, 0) != 0; }));
  EXPECT_THAT(dir_.Names("c1/rootfs"), IsEmpty());
  EXPECT_OK(launcher_->Destroy(ctx_, sandbox_)) << "nothing left to do";
}

TEST_P(ShimTest, KillsWhatAnInitLeavesInTheHostsPidNamespace) {
  ASSERT_NO_FATAL_FAILURE(Launch());
  CreateTask create = Bundle("c1", "sleep 1234 & echo $!; exit 2", false,
                             /*own_pids=*/false);
  create.stdio.out = create.stdio.err = LogUri("c1.log");
  auto task = StartTask(create);
  ASSERT_NE(task, nullptr);
  ASSERT_OK_AND_ASSIGN(const ExitStatus exit, AwaitExit(ctx_, *task));
  EXPECT_EQ(exit.code, 2u);
  const std::string log = LogWithoutTimes("c1.log");
  const int left = atoi(log.c_str() + std::string("stdout F ").size());
  ASSERT_GT(left, 0);
  EXPECT_TRUE(WaitUntil([&] { return kill(left, 0) != 0; }));
  EXPECT_OK(task->Delete(ctx_));
}

TEST_P(ShimTest, FreezesUpdatesAndMeasures) {
  ASSERT_NO_FATAL_FAILURE(Launch());
  auto task = StartLogged("c1", "exec sleep 100");
  ASSERT_NE(task, nullptr);
  ASSERT_OK(task->Freeze(ctx_, true));
  ASSERT_OK_AND_ASSIGN(TaskState state, task->State(ctx_));
  EXPECT_EQ(state.phase, TaskPhase::kPaused);
  EXPECT_THAT(task->Freeze(ctx_, true),
              StatusIs(StatusCode::kFailedPrecondition));
  ASSERT_OK(task->Freeze(ctx_, false));
  ASSERT_OK(task->Update(ctx_, "{\"memory\": {\"limit\": 33554432}}"));
  ASSERT_OK_AND_ASSIGN(const TaskStats stats, task->Stats(ctx_));
  EXPECT_EQ(stats.memory_limit, 33554432u);
  EXPECT_GT(stats.memory_usage, 0u);
  EXPECT_GT(stats.cpu_usage_ns, 0u);
  EXPECT_EQ(stats.pids, 1u);
  EXPECT_EQ(stats.pids_limit, 64u);
  ASSERT_OK(task->Kill(ctx_, SIGKILL, true));
  ASSERT_OK(AwaitExit(ctx_, *task));
}

TEST_P(ShimTest, CountsKillsForWantOfMemory) {
  ASSERT_NO_FATAL_FAILURE(Launch());
  auto task = StartTask(Bundle(
      "c1", "x=$(dd if=/dev/zero bs=1M count=64 | tr '\\\\000' x); echo $x",
      false, true, 16 << 20));
  ASSERT_NE(task, nullptr);
  ASSERT_OK_AND_ASSIGN(const ExitStatus exit, AwaitExit(ctx_, *task));
  EXPECT_NE(exit.code, 0u);
  ASSERT_OK_AND_ASSIGN(const TaskStats stats, task->Stats(ctx_));
  EXPECT_GT(stats.oom_kills, 0u);
  EXPECT_OK(task->Delete(ctx_));
}

TEST_P(ShimTest, HoldsAPodsPidNamespace) {
  sandbox_.annotations["berth.pid-namespace"] = "pod";
  ASSERT_NO_FATAL_FAILURE(Launch());
  const pid_t pid = shim_->sandbox_pid();
  ASSERT_GT(pid, 0);
  // All containers of the pod see it, and some may take it over.
  ASSERT_OK_AND_ASSIGN(const std::string status, ProcFile(pid, "status"));
  EXPECT_THAT(status, HasSubstr(std::to_string(pid) + "\t1\n"));  // NSpid
  EXPECT_THAT(status, HasSubstr("CapPrm:\t0000000000000000"));
  EXPECT_THAT(status, HasSubstr("Seccomp:\t1"));
  ASSERT_OK_AND_ASSIGN(const std::string mounts, ProcFile(pid, "mountinfo"));
  EXPECT_EQ(Split(Trim(mounts), '\n').size(), 1u) << mounts;
  shim_.reset();
  ASSERT_OK_AND_ASSIGN(shim_, launcher_->Reconnect(ctx_, sandbox_));
  EXPECT_EQ(shim_->sandbox_pid(), pid);
  ASSERT_OK(shim_->Shutdown(ctx_));
  EXPECT_TRUE(WaitUntil([&] { return kill(pid, 0) != 0; }));
}

TEST_P(ShimTest, RefusesUnknownStreams) {
  ASSERT_NO_FATAL_FAILURE(Launch());
  CreateTask create = Bundle("c1", "true");
  create.stdio.out = "binary:///bin/logger";
  EXPECT_THAT(shim_->Create(ctx_, create),
              StatusIs(StatusCode::kUnimplemented, HasSubstr("binary")));
  create.stdio.out = "berth-log:///x?format=nonsense";
  EXPECT_THAT(shim_->Create(ctx_, create),
              StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(dir_.Names("c1/rootfs"), IsEmpty());
}

// containerd's own shim, if it is installed: what it lacks is made up for.
class ForeignShimTest : public ShimTest {};
TEST_P(ForeignShimTest, DrivesOne) {
  if (FindProgram("containerd-shim-runc-v2").empty()) {
    GTEST_SKIP() << "no containerd-shim-runc-v2 here";
  }
  sandbox_.binary = "io.containerd.runc.v2";
  ASSERT_NO_FATAL_FAILURE(Launch());
  CreateTask create = Bundle("c1", "echo hello; exec sleep 100");
  create.stdio.out = create.stdio.err = "file://" + dir_.Path("c1.log");
  auto task = StartTask(create);
  ASSERT_NE(task, nullptr);
  ExecSyncTask exec;
  exec.container_id = "c1";
  exec.process = ProcessJson("echo out; echo err >&2; exit 5");
  ASSERT_OK_AND_ASSIGN(ExecSyncResult result, shim_->ExecSync(ctx_, exec));
  EXPECT_EQ(result.exit_status, 5u);
  EXPECT_EQ(result.out, "out\n");
  EXPECT_EQ(result.err, "err\n");
  exec.process = ProcessJson("exec sleep 111");
  exec.timeout = std::chrono::milliseconds(300);
  ASSERT_OK_AND_ASSIGN(result, shim_->ExecSync(ctx_, exec));
  EXPECT_TRUE(result.timed_out);
  EXPECT_THAT(task->ReopenLog(ctx_), StatusIs(StatusCode::kUnimplemented));
  ASSERT_OK_AND_ASSIGN(const TaskStats stats, task->Stats(ctx_));
  EXPECT_EQ(stats.pids_limit, 64u);
  EXPECT_EQ(dir_.Read("c1.log"), "hello\n");

  // It is killed: what it held is found and ended all the same.
  ASSERT_OK_AND_ASSIGN(const TaskState state, task->State(ctx_));
  ASSERT_OK_AND_ASSIGN(const std::string bootstrap,
                       ReadFile(dir_.Path("state/bootstrap.json"), 4096));
  ASSERT_EQ(kill(atoi(&bootstrap[bootstrap.find("\"pid\":") + 6]), SIGKILL), 0);
  ASSERT_OK(launcher_->Destroy(ctx_, sandbox_));
  EXPECT_TRUE(WaitUntil([&] { return kill(state.pid, 0) != 0; }));
  EXPECT_THAT(dir_.Names("c1/rootfs"), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Runtimes, ShimTest, ::testing::Values("", "runc"),
                         [](const auto& info) {
                           return info.param.empty() ? "own" : info.param;
                         });
INSTANTIATE_TEST_SUITE_P(Runc, ForeignShimTest, ::testing::Values("runc"));

}  // namespace
}  // namespace berth::shim
