// A shim of others as berthd drives it: what it lacks, the berth-shim beside it
// makes up for. The cases of shim_test.cc run on it as well. Needs root.
#include "shim/client/foreign_shim.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <string>

#include "base/context.h"
#include "base/strings.h"
#include "base/testing/status_matchers.h"
#include "shim/client/foreign_bundles.h"
#include "shim/client/shim_command.h"
#include "shim/client/shim_launcher.h"
#include "shim/shim.h"
#include "shim/shim_fixture.h"

namespace berth::shim {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::IsEmpty;

class ForeignShimTest : public ShimTest {
 protected:
  // A zombie has ended, too.
  static bool HasEnded(pid_t pid) {
    const StatusOr<std::string> stat = ProcFile(pid, "stat");
    return !stat.ok() || stat->find(") Z ") != std::string::npos;
  }
};

TEST_P(ForeignShimTest, KeepsTheLogWithoutADaemon) {
  ASSERT_NO_FATAL_FAILURE(Launch());
  CreateTask create = Bundle("c1", "read line; echo got $line; exit 3");
  NewFifo("stdin");
  create.stdio.in = dir_.Path("stdin");
  create.stdio.out = create.stdio.err = LogUri("c1.log");
  auto task = StartTask(create);
  ASSERT_NE(task, nullptr);
  task.reset();
  shim_.reset();
  {
    UniqueFd in = OpenWriter("stdin");
    ASSERT_EQ(write(in.get(), "one\n", 4), 4);
  }
  EXPECT_TRUE(WaitUntil(
      [&] { return LogWithoutTimes("c1.log") == "stdout F got one\n"; }));
  ASSERT_OK_AND_ASSIGN(shim_, NewShimLauncher()->Reconnect(ctx_, sandbox_));
  ASSERT_OK_AND_ASSIGN(task, shim_->Find(ctx_, "c1", ""));
  ASSERT_OK_AND_ASSIGN(const ExitStatus exit, AwaitExit(ctx_, *task));
  EXPECT_EQ(exit.code, 3u);
  EXPECT_OK(task->Delete(ctx_));
  EXPECT_OK(shim_->Shutdown(ctx_));
}

TEST_P(ForeignShimTest, HasTheLogWholeWhenTheTaskIsDeleted) {
  ASSERT_NO_FATAL_FAILURE(Launch());
  for (int i = 0; i < 10; ++i) {
    const std::string id = "c" + std::to_string(i);
    auto task = StartLogged(id, "yes | head -n 50000; printf end");
    ASSERT_NE(task, nullptr);
    ASSERT_OK(AwaitExit(ctx_, *task));
    ASSERT_OK(task->Delete(ctx_));
    const std::string log = LogWithoutTimes(id + ".log");
    EXPECT_EQ(Split(log, '\n').size(), 50002u);
    EXPECT_THAT(log, EndsWith("stdout P end\n"));
  }
}

TEST_P(ForeignShimTest, EndsTheInputAsAsked) {
  ASSERT_NO_FATAL_FAILURE(Launch());
  CreateTask create = Bundle("c1", "cat; echo end");
  NewFifo("stdin");
  create.stdio.in = dir_.Path("stdin");
  create.stdio.out = create.stdio.err = LogUri("c1.log");
  auto task = StartTask(create);
  ASSERT_NE(task, nullptr);
  for (const char* line : {"one\n", "two\n"}) {  // writers come and go
    UniqueFd in = OpenWriter("stdin");
    ASSERT_EQ(write(in.get(), line, 4), 4);
  }
  ASSERT_OK(task->CloseStdin(ctx_));
  ASSERT_OK(AwaitExit(ctx_, *task));
  ASSERT_OK(task->Delete(ctx_));
  EXPECT_EQ(LogWithoutTimes("c1.log"),
            "stdout F one\nstdout F two\nstdout F end\n");
}

TEST_P(ForeignShimTest, IsLostWithTheShimOfItsLogs) {
  ASSERT_NO_FATAL_FAILURE(Launch());
  auto task = StartLogged("c1", "exec sleep 100");
  ASSERT_NE(task, nullptr);
  ASSERT_OK_AND_ASSIGN(const TaskState state, task->State(ctx_));
  std::atomic<int> told = 0;
  shim_->WhenLost([&](const Status&) { ++told; });
  ASSERT_EQ(kill(ShimPid(/*of_logs=*/true), SIGKILL), 0);
  EXPECT_THAT(AwaitExit(ctx_, *task), StatusIs(StatusCode::kUnavailable));
  EXPECT_TRUE(WaitUntil([&] { return told > 0; }));
  // What the shim cannot free any more goes by its program.
  EXPECT_THAT(task->Delete(ctx_), StatusIs(StatusCode::kUnavailable));
  EXPECT_TRUE(WaitUntil([&] { return kill(state.pid, 0) != 0; }));
  EXPECT_THAT(dir_.Names("c1/rootfs"), IsEmpty());
  EXPECT_THAT(dir_.Names("state/foreign/runtime/berth"), IsEmpty());
  ASSERT_OK(launcher_->Destroy(ctx_, sandbox_));
  EXPECT_EQ(told, 1);
}

// Its task keeps the connection to the shim of its logs.
TEST_P(ForeignShimTest, IsLostAfterItsOwnEndAsWell) {
  ASSERT_NO_FATAL_FAILURE(Launch());
  auto task = StartLogged("c1", "exec sleep 100");
  ASSERT_NE(task, nullptr);
  const pid_t foreign = ShimPid();
  shim_->WhenLost([](const Status&) {});
  shim_.reset();
  ASSERT_EQ(kill(ShimPid(/*of_logs=*/true), SIGKILL), 0);
  EXPECT_TRUE(WaitUntil([&] { return HasEnded(foreign); }));
  task.reset();
}

TEST_P(ForeignShimTest, MarksAContainerThatRanOutOfMemory) {
  ASSERT_NO_FATAL_FAILURE(Launch());
  auto task = StartTask(Bundle(
      "c1", "x=$(dd if=/dev/zero bs=1M count=64 | tr '\\\\000' x); echo $x",
      false, true, 16 << 20));
  ASSERT_NE(task, nullptr);
  ASSERT_OK(AwaitExit(ctx_, *task));
  const std::string mark = dir_.Path("c1/" + std::string(kOomMark));
  EXPECT_TRUE(WaitUntil([&] { return access(mark.c_str(), F_OK) == 0; }));
  EXPECT_OK(task->Delete(ctx_));
}

// A daemon died after its note and before its call.
TEST_P(ForeignShimTest, DoesNotWaitForWhatTheShimWasNeverGiven) {
  ASSERT_NO_FATAL_FAILURE(Launch());
  const SandboxShim foreign = ForeignOf(sandbox_);
  ASSERT_OK(NoteForeignBundle(foreign, "c1", dir_.Path("c1")));
  const auto find = [&] {
    const Context soon = ctx_.WithTimeout(std::chrono::milliseconds(300));
    return shim_->Find(soon, "c1", "").status();
  };
  EXPECT_THAT(find(), StatusIs(StatusCode::kDeadlineExceeded));
  const timespec times[2] = {{0, UTIME_OMIT}, {time(nullptr) - 60, 0}};
  const std::string note = foreign.state_dir + "/bundles/c1";
  ASSERT_EQ(utimensat(AT_FDCWD, note.c_str(), times, 0), 0);
  EXPECT_THAT(find(), StatusIs(StatusCode::kNotFound));
}

TEST(ForeignBundlesTest, HalfANoteIsNoContainer) {
  TempDir dir;
  dir.MakeDirectory("bundle");
  dir.MakeDirectory("state/bundles");
  dir.Write("state/bundles/.c1.tmp", dir.Path("bundle"));
  SandboxShim foreign;
  foreign.state_dir = dir.Path("state");
  foreign.binary = "/nonexistent/shim";
  EXPECT_OK(CleanUpForeign(Context::Background("test"), foreign));
  EXPECT_THAT(dir.Names("state/bundles"), IsEmpty());
}

TEST(WithQuotedLabelsTest, QuotesNothingElse) {
  const std::vector<Mount> mounts = WithQuotedLabels(
      {{"overlay", "overlay", "", {"lowerdir=/a:/b", "context=u:r:t:s0:c7,c9"}},
       {"bind", "/a", "", {"rbind", "ro"}}});
  ASSERT_EQ(mounts.size(), 2u);
  EXPECT_THAT(mounts[0].options,
              ElementsAre("lowerdir=/a:/b", "context=\"u:r:t:s0:c7,c9\""));
  EXPECT_THAT(mounts[1].options, ElementsAre("rbind", "ro"));
}

TEST_P(ForeignShimTest, ForgetsAnExecWhoseOutputCannotBeHeld) {
  ASSERT_NO_FATAL_FAILURE(Launch());
  auto task = StartLogged("c1", "exec sleep 100");
  ASSERT_NE(task, nullptr);
  ExecTask exec;
  exec.container_id = "c1";
  exec.exec_id = "e1";
  exec.process = ProcessJson("exit 0");
  exec.stdio.out = dir_.Path("no-fifo");
  EXPECT_THAT(shim_->Exec(ctx_, exec), StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(shim_->Find(ctx_, "c1", "e1"), StatusIs(StatusCode::kNotFound));
  ASSERT_OK(task->Kill(ctx_, SIGKILL, false));
  ASSERT_OK(AwaitExit(ctx_, *task));
  EXPECT_OK(task->Delete(ctx_));
}

INSTANTIATE_TEST_SUITE_P(Runtimes, ForeignShimTest, ::testing::Values(kForeign),
                         NameOf);

}  // namespace
}  // namespace berth::shim
