// berth-shim as berthd drives it: the launcher, the client, the shim and a
// real runtime with real containers. Needs root.
#include "shim/shim.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "base/context.h"
#include "base/strings.h"
#include "base/sys/file.h"
#include "base/testing/status_matchers.h"
#include "shim/client/shim_launcher.h"
#include "shim/shim_fixture.h"

namespace berth::shim {
namespace {

using std::chrono::seconds;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

TEST_P(ShimTest, RunsAContainerAndKeepsItsLogAndExit) {
  ASSERT_NO_FATAL_FAILURE(Launch());
  auto task = StartLogged("c1", "echo hello; echo oops >&2; exit 7");
  ASSERT_NE(task, nullptr);
  ASSERT_OK_AND_ASSIGN(const ExitStatus exit, AwaitExit(ctx_, *task));
  EXPECT_EQ(exit.code, 7u);
  EXPECT_GT(exit.at, Now() - 60'000'000'000);
  ExpectLog("c1.log", "stdout F hello\nstderr F oops\n");
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
              StatusIs(InWrongPhase(StatusCode::kAlreadyExists)));
  ASSERT_OK_AND_ASSIGN(TaskState state, task->State(ctx_));
  EXPECT_EQ(state.phase, TaskPhase::kCreated);
  ASSERT_OK(task->Start(ctx_));
  EXPECT_THAT(task->Start(ctx_), StatusIs(InWrongPhase()));
  EXPECT_THAT(task->Delete(ctx_), StatusIs(InWrongPhase()));
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

TEST_P(ShimTest, AnswersEachOfTwoWhoDelete) {
  ASSERT_NO_FATAL_FAILURE(Launch());
  auto task = StartLogged("c1", "sleep 1 & exit 0");
  ASSERT_NE(task, nullptr);
  ASSERT_OK(AwaitExit(ctx_, *task));
  const Context limit = ctx_.WithTimeout(seconds(20));
  Status first, second;
  std::thread other([&] { first = task->Delete(limit).status(); });
  second = task->Delete(limit).status();
  other.join();
  EXPECT_TRUE(first.ok() || second.ok()) << Message(first) << Message(second);
  for (const Status& each : {first, second}) EXPECT_OK(IgnoreNotFound(each));
  EXPECT_OK(shim_->Shutdown(ctx_));
}

// Of an exec that never runs.
TEST_P(ShimTest, AnswersThoseWhoWaitForNothing) {
  if (IsForeign()) GTEST_SKIP() << "others answer when they like";
  ASSERT_NO_FATAL_FAILURE(Launch());
  ASSERT_NE(StartLogged("c1", "exec sleep 100"), nullptr);
  ExecTask exec;
  exec.container_id = "c1";
  exec.exec_id = "e1";
  exec.process = ProcessJson("true");
  const auto wait = [&](Task& process, const std::function<void()>& end) {
    StatusOr<ExitStatus> exit = Internal("none");
    std::thread waiter(
        [&] { exit = AwaitExit(ctx_.WithTimeout(seconds(20)), process); });
    usleep(200'000);  // until it waits
    end();
    waiter.join();
    return exit.status();
  };
  ASSERT_OK_AND_ASSIGN(auto process, shim_->Exec(ctx_, exec));
  EXPECT_THAT(wait(*process, [&] { EXPECT_OK(process->Delete(ctx_)); }),
              StatusIs(StatusCode::kNotFound));
  exec.process = "{ this is not JSON";
  ASSERT_OK_AND_ASSIGN(process, shim_->Exec(ctx_, exec));
  const Status failed =
      wait(*process, [&] { EXPECT_FALSE(process->Start(ctx_).ok()); });
  EXPECT_FALSE(failed.ok());
  EXPECT_NE(failed.code(), StatusCode::kDeadlineExceeded);
  EXPECT_OK(process->Delete(ctx_));
  ASSERT_OK_AND_ASSIGN(auto task, shim_->Find(ctx_, "c1", ""));
  ASSERT_OK(task->Kill(ctx_, SIGKILL, false));
  ASSERT_OK(AwaitExit(ctx_, *task));
  EXPECT_OK(task->Delete(ctx_));
}

// Of a client that is gone: those that it had.
TEST_P(ShimTest, ForgetsExecs) {
  ASSERT_NO_FATAL_FAILURE(Launch());
  auto task = StartLogged("c1", "exec sleep 100");
  ASSERT_NE(task, nullptr);
  if (IsForeign()) {
    EXPECT_THAT(shim_->ForgetExecs(ctx_, "c1", "new-"),
                StatusIs(StatusCode::kUnimplemented));
    return;
  }
  EXPECT_THAT(shim_->ForgetExecs(ctx_, "c2", "new-"),
              StatusIs(StatusCode::kNotFound));
  UniqueFd out = NewFifo("out");
  NewFifo("in");
  ExecTask exec;
  exec.container_id = "c1";
  const auto start = [&](const std::string& id, const std::string& script) {
    exec.exec_id = id;
    exec.process = ProcessJson(script);
    StatusOr<std::unique_ptr<Task>> made = shim_->Exec(ctx_, exec);
    EXPECT_OK(made);
    EXPECT_OK((*made)->Start(ctx_));
    return *std::move(made);
  };
  const auto ended = start("old-ended", "exit 3");
  ASSERT_OK(AwaitExit(ctx_, *ended));
  const auto kept = start("new-ended", "exit 4");
  ASSERT_OK(AwaitExit(ctx_, *kept));
  exec.stdio = {dir_.Path("in"), dir_.Path("out"), "", false};
  // More than the fifo and the pipe hold; then until its input ends.
  const auto runs = start("old-runs", "yes | head -c 1000000; cat; exit 5");
  exec.exec_id = "old-made";
  ASSERT_OK_AND_ASSIGN(const auto made, shim_->Exec(ctx_, exec));

  ASSERT_OK(shim_->ForgetExecs(ctx_, "c1", "new-"));
  EXPECT_THAT(ended->State(ctx_), StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(made->State(ctx_), StatusIs(StatusCode::kNotFound));
  EXPECT_TRUE(WaitUntil([&] { return IsNotFound(runs->State(ctx_).status()); }))
      << "it was held back, or not freed at its end";
  ASSERT_OK_AND_ASSIGN(const ExitStatus exit, kept->Delete(ctx_));
  EXPECT_EQ(exit.code, 4u);
  ASSERT_OK(task->Kill(ctx_, SIGKILL, false));
  ASSERT_OK(AwaitExit(ctx_, *task));
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

TEST_P(ShimTest, EndsAProcessWhoseCallerHasGone) {
  ASSERT_NO_FATAL_FAILURE(Launch());
  auto task = StartLogged("c1", "exec sleep 100");
  ASSERT_NE(task, nullptr);
  ExecSyncTask look;
  look.container_id = "c1";
  look.process = ProcessJson("ps");
  const auto finds = [&](const std::string& what) {
    const auto result = shim_->ExecSync(ctx_, look);
    EXPECT_OK(result.status());
    return result.ok() && result->out.find(what) != std::string::npos;
  };
  ExecSyncTask exec = look;
  exec.process = ProcessJson("sleep 121 & sleep 122");
  const Context call = ctx_.WithCancel();
  StatusOr<ExecSyncResult> result = ExecSyncResult();
  std::thread caller([&] { result = shim_->ExecSync(call, exec); });
  EXPECT_TRUE(WaitUntil([&] { return finds("sleep 122"); }));
  call.Cancel();
  caller.join();
  EXPECT_EQ(result.status().code(), StatusCode::kCancelled);
  EXPECT_TRUE(WaitUntil([&] { return !finds("sleep 12"); }));
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
    // The foreign shim reads one input alone.
    const std::string input = IsForeign() ? "" : dir_.Path("in");
    ASSERT_OK(task->Attach(ctx_, {input, dir_.Path("out"), "", false}));
    UniqueFd in = OpenWriter(IsForeign() ? "stdin" : "in");
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
  ExpectLog("c1.log", "stdout F got one\nstdout F bye\n");
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
  ExpectLog("old.log", "stdout F one\n");
  ExpectLog("c1.log", "stdout F two\n");
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
  ASSERT_EQ(kill(ShimPid(), SIGKILL), 0);
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
  EXPECT_TRUE(WaitUntil([&] { return !dir_.Read("c1.log").empty(); }));
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
  EXPECT_THAT(task->Freeze(ctx_, true), StatusIs(InWrongPhase()));
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

INSTANTIATE_TEST_SUITE_P(Runtimes, ShimTest,
                         ::testing::Values("", "runc", kForeign), NameOf);

}  // namespace
}  // namespace berth::shim
