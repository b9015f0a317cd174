// What has happened is shown and kept, whatever fails while it is recorded:
// exits on a full disk, ends on a full disk, clocks that step back, and the
// codes of what goes wrong inside of a verb.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/testing/status_matchers.h"
#include "oci/cgroup/cgroup.h"
#include "sandbox/container_end.h"
#include "sandbox/testing/manager_fixture.h"

namespace berth::sandbox {
namespace {

using namespace std::chrono_literals;
using namespace ::berth::state::v1;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class ExitsTest : public ManagerTest {
 protected:
  // Fails the writes of which `fails` says so, counted from 0.
  void FailWrites(std::function<bool(int)> fails) {
    auto count = std::make_shared<std::atomic<int>>(0);
    fault_ = [this, count, fails = std::move(fails)]() -> Status {
      ++writes_;
      if (!fails((*count)++)) return OkStatus();
      return ResourceExhausted("database or disk is full");
    };
    SetFault();
  }
  void Heal() {
    fault_ = nullptr;
    SetFault();
  }
  // One fault for the life of a ledger, which asks ours.
  void SetFault() {
    MutexLock lock(mutex_);
    current_ = fault_;
    if (told_ == world_.get()) return;
    told_ = world_.get();
    world_->core().records.set_fault([this]() -> Status {
      MutexLock asked(mutex_);
      return current_ ? current_() : OkStatus();
    });
  }
  void AwaitSaved() {
    while (world_->unsaved() > 0) std::this_thread::yield();
  }

  std::function<Status()> fault_;
  Mutex mutex_;
  std::function<Status()> current_ GUARDED_BY(mutex_);
  const World* told_ = nullptr;
  std::atomic<int> writes_ = 0;
};

TEST_F(ExitsTest, AnExitOnAFullDiskIsSeenAtOnceAndSavedWhenThereIsRoom) {
  const SandboxId pod = StartPod();
  const ContainerId id = StartApp(pod);
  const auto reader =
      world_->events().Subscribe({{Event::Type::kContainerExited}, "", ""});
  FailWrites([](int) { return true; });
  shims_.Exit(id.str(), 7);
  ASSERT_OK_AND_ASSIGN(const ContainerStatus ended,
                       containers_->Wait(ctx_, id));
  EXPECT_EQ(ended->exit_code(), 7);
  EXPECT_EQ(Look(id)->phase(), CONTAINER_PHASE_EXITED);
  ASSERT_OK_AND_ASSIGN(const Event event, reader->Next(ctx_));
  EXPECT_EQ(event.exit_code, 7);
  EXPECT_GT(world_->unsaved(), 0u);
  EXPECT_TRUE(shims_.HasProcess(id.str()));  // so it can be asked again
  Heal();
  AwaitSaved();
  while (shims_.HasProcess(id.str())) std::this_thread::yield();
  Restart();
  EXPECT_EQ(Look(id)->phase(), CONTAINER_PHASE_EXITED);
  EXPECT_EQ(Look(id)->exit_code(), 7);
}

TEST_F(ExitsTest, AnEndIsNotMissedThoughItIsStartedAgainAtOnce) {
  SandboxConfig config = Pod();
  config.set_kind(SANDBOX_KIND_STANDALONE);
  ASSERT_OK_AND_ASSIGN(const SandboxId in, sandboxes_->Create(ctx_, config));
  ASSERT_OK(sandboxes_->Start(ctx_, in));
  const ContainerId id = StartApp(in);
  std::atomic<bool> waits = false;
  const auto slowly = [&waits](const ContainerRecord& container) {
    waits = true;
    if (container.phase() == CONTAINER_PHASE_EXITED) return true;
    usleep(30000);  // long enough for the rest of this test
    return false;
  };
  StatusOr<ContainerStatus> ended = Internal("not yet");
  std::thread waiter([&] {
    ended = world_->core().records.Await(ctx_.WithTimeout(10s), id, slowly);
  });
  while (!waits) std::this_thread::yield();
  shims_.Exit(id.str(), 7);
  while (Look(id)->phase() != CONTAINER_PHASE_EXITED) {
    std::this_thread::yield();
  }
  ASSERT_OK(containers_->Start(ctx_, id));
  waiter.join();
  ASSERT_OK(ended);
  EXPECT_EQ((*ended)->exit_code(), 7);
}

TEST_F(ExitsTest, ADaemonThatIsKilledOnAFullDiskLosesNoExit) {
  const SandboxId pod = StartPod();
  const ContainerId failed = StartApp(pod, "failed");
  const ContainerId well = StartApp(pod, "well");
  FailWrites([](int) { return true; });
  const UnixNanos at = Now();
  shims_.Exit(failed.str(), 7, at);
  shims_.Exit(well.str(), 0, at + 1);
  ASSERT_OK(containers_->Wait(ctx_, failed));
  ASSERT_OK(containers_->Wait(ctx_, well));
  Restart();  // what was in memory is lost, and the disk has room again
  EXPECT_EQ(Look(failed)->phase(), CONTAINER_PHASE_EXITED);
  EXPECT_EQ(Look(failed)->exit_code(), 7);
  EXPECT_EQ(Look(failed)->finished_at(), at);
  EXPECT_EQ(Look(well)->exit_code(), 0);
  EXPECT_EQ(Look(well)->reason(), "Completed");
  EXPECT_FALSE(shims_.HasProcess(failed.str()));
  EXPECT_FALSE(shims_.HasProcess(well.str()));
}

TEST_F(ExitsTest, ATaskThatWasLeftAtTheShimIsDeletedByTheNextDaemon) {
  const SandboxId pod = StartPod();
  const ContainerId id = StartApp(pod);
  ContainerRecord record = *Look(id);
  Close();
  shims_.Exit(id.str(), 7);
  record.set_phase(CONTAINER_PHASE_EXITED);
  record.set_exit_code(7);
  record.set_finished_at(Now());
  Make();
  ASSERT_OK(world_->core().records.Save(record));
  Restart();
  EXPECT_EQ(Look(id)->exit_code(), 7);
  EXPECT_FALSE(shims_.HasProcess(id.str()));
}

TEST_F(ExitsTest, TheLastTryIsAtTheEndOfTheDaemon) {
  const ContainerId id = StartApp(StartPod());
  FailWrites([](int) { return true; });
  shims_.Exit(id.str(), 9);
  ASSERT_OK(containers_->Wait(ctx_, id));
  Heal();
  Restart();  // before the retry is due, or after
  EXPECT_EQ(Look(id)->exit_code(), 9);
}

TEST_F(ExitsTest, NoSingleFailedSaveLosesAnExit) {
  const SandboxId pod = StartPod();
  for (int bad = 0; bad < 6; ++bad) {
    for (const bool for_ever : {false, true}) {
      const std::string name =
          "app" + std::to_string(bad) + (for_ever ? "e" : "o");
      const ContainerId id = StartApp(pod, name);
      FailWrites([=](int n) { return for_ever ? n >= bad : n == bad; });
      shims_.Exit(id.str(), 40 + bad);
      ASSERT_OK_AND_ASSIGN(const ContainerStatus ended,
                           containers_->Wait(ctx_, id));
      EXPECT_EQ(ended->exit_code(), 40 + bad) << name;
      Heal();
      AwaitSaved();
    }
  }
  Restart();
  for (const ContainerStatus& container : world_->inventory().Containers({})) {
    EXPECT_EQ(container->phase(), CONTAINER_PHASE_EXITED);
    EXPECT_GE(container->exit_code(), 40) << container->config().name();
  }
}

TEST_F(ExitsTest, WhatEndsAndFreesNeedsNoRoom) {
  const SandboxId pod = StartPod();
  const ContainerId stopped = StartApp(pod, "stopped");
  const ContainerId removed = StartApp(pod, "removed");
  StartApp(pod, "with the pod");
  FailWrites([](int) { return true; });
  EXPECT_OK(containers_->Stop(ctx_, stopped, 10s));
  EXPECT_EQ(Look(stopped)->exit_code(), 128 + SIGTERM);
  EXPECT_OK(containers_->Remove(ctx_, removed));
  EXPECT_EQ(Look(removed), nullptr);
  EXPECT_OK(sandboxes_->Stop(ctx_, pod));
  EXPECT_EQ(Look(pod)->phase(), SANDBOX_PHASE_STOPPED);
  EXPECT_OK(sandboxes_->Remove(ctx_, pod));
  EXPECT_EQ(Look(pod), nullptr);
  ExpectNothingLeft();
  // The name is free, but what is new needs room.
  EXPECT_THAT(sandboxes_->Create(ctx_, Pod()),
              StatusIs(StatusCode::kResourceExhausted));
  Heal();
  AwaitSaved();
  Restart();
  EXPECT_THAT(world_->core().inventory.AllSandboxes(), IsEmpty());
  EXPECT_THAT(world_->core().inventory.AllContainers(), IsEmpty());
}

TEST_F(ExitsTest, AStartThatIsDoneIsNotReportedAsFailed) {
  const SandboxId pod = StartPod();
  ASSERT_OK_AND_ASSIGN(const ContainerId id,
                       containers_->Create(ctx_, pod, App()));
  FailWrites([](int n) { return n > 0; });  // STARTING is saved, RUNNING not
  EXPECT_OK(containers_->Start(ctx_, id));
  EXPECT_EQ(Look(id)->phase(), CONTAINER_PHASE_RUNNING);
  shims_.Exit(id.str(), 3);
  ASSERT_OK_AND_ASSIGN(const ContainerStatus ended,
                       containers_->Wait(ctx_, id));
  EXPECT_EQ(ended->exit_code(), 3);
  Heal();
  AwaitSaved();
}

TEST_F(ExitsTest, AStartThatCannotBeRecordedDoesNotBegin) {
  const SandboxId pod = StartPod();
  ASSERT_OK_AND_ASSIGN(const ContainerId id,
                       containers_->Create(ctx_, pod, App()));
  FailWrites([](int) { return true; });
  EXPECT_THAT(containers_->Start(ctx_, id),
              StatusIs(StatusCode::kResourceExhausted));
  EXPECT_EQ(Look(id)->phase(), CONTAINER_PHASE_CREATED);
  EXPECT_FALSE(shims_.HasProcess(id.str()));
  Heal();
  EXPECT_OK(containers_->Start(ctx_, id));
}

TEST_F(ExitsTest, AnUpdateOfTheKernelIsNotTakenBackByTheDisk) {
  const ContainerId id = StartApp(StartPod());
  FailWrites([](int) { return true; });
  Resources limits;
  limits.set_cpu_shares(512);
  EXPECT_OK(containers_->Update(ctx_, id, limits));
  EXPECT_EQ(Look(id)->config().resources().cpu_shares(), 512);
  EXPECT_OK(containers_->Freeze(ctx_, id, true));
  EXPECT_TRUE(Look(id)->paused());
  Heal();
  AwaitSaved();
}

TEST_F(ExitsTest, ALifeDoesNotEndBeforeItBegan) {
  const SandboxId pod = StartPod();
  const ContainerId id = StartApp(pod);
  const auto reader =
      world_->events().Subscribe({{Event::Type::kContainerExited}, "", ""});
  // The clock was set back an hour while it ran.
  shims_.Exit(id.str(), 0, Look(id)->created_at() - 3600'000'000'000);
  ASSERT_OK_AND_ASSIGN(const ContainerStatus ended,
                       containers_->Wait(ctx_, id));
  EXPECT_LE(ended->created_at(), ended->started_at());
  EXPECT_LE(ended->started_at(), ended->finished_at());
  ASSERT_OK_AND_ASSIGN(const Event event, reader->Next(ctx_));
  EXPECT_GE(event.time, ended->finished_at());
  // And for a sandbox: whoever writes it down.
  SandboxRecord record = *Look(pod);
  record.set_ready_at(record.created_at() - 5);
  record.set_stopped_at(record.created_at() - 7);
  ASSERT_OK(world_->core().records.Save(record));
  EXPECT_LE(Look(pod)->created_at(), Look(pod)->ready_at());
  EXPECT_LE(Look(pod)->ready_at(), Look(pod)->stopped_at());
}

// ---- Codes ------------------------------------------------------------------

TEST_F(ExitsTest, WhatIsMissingInsideIsNotTheObject) {
  const SandboxId pod = StartPod();
  ASSERT_OK_AND_ASSIGN(const ContainerId id,
                       containers_->Create(ctx_, pod, App()));
  for (const auto& [call, code] :
       {std::pair("task Start", NotFound("no such program")),
        std::pair("shim Create", NotFound("no such file")),
        std::pair("shim Create", AlreadyExists("task"))}) {
    ASSERT_OK_AND_ASSIGN(
        const ContainerId one,
        containers_->Create(ctx_, pod, App(call + Message(code))));
    shims_.failures.Set(call, code);
    EXPECT_THAT(containers_->Start(ctx_, one),
                StatusIs(StatusCode::kInvalidArgument))
        << call;
    shims_.failures.Clear(call);
  }
  ASSERT_OK(containers_->Start(ctx_, id));
  shims_.failures.Set("shim ExecSync", NotFound("no such command"));
  EXPECT_THAT(streams_->ExecSync(ctx_, id, {"x"}, 0s, 1),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("command")));
  shims_.failures.Set("task Update", NotFound("process has exited"));
  EXPECT_THAT(containers_->Update(ctx_, id, Resources()),
              StatusIs(StatusCode::kInvalidArgument));
  shims_.failures.Set("task Kill", NotFound("process has exited"));
  EXPECT_THAT(containers_->Kill(ctx_, id, SIGUSR1),
              StatusIs(StatusCode::kFailedPrecondition));
  shims_.failures.Clear("task Kill");
  images_.failures.Set("Acquire", NotFound("image is gone"));
  EXPECT_THAT(containers_->Create(ctx_, pod, App("no image")),
              StatusIs(StatusCode::kInvalidArgument));
  images_.failures.Clear("Acquire");
}

TEST_F(ExitsTest, APluginThatIsMissingIsNotAPodThatIsGone) {
  const SandboxId pod = StartPod();
  network_.failures.Set("Detach", NotFound("no plugin \"bridge\""));
  EXPECT_THAT(sandboxes_->Stop(ctx_, pod),
              StatusIs(StatusCode::kFailedPrecondition, HasSubstr("bridge")));
  EXPECT_THAT(sandboxes_->Remove(ctx_, pod),
              StatusIs(StatusCode::kFailedPrecondition));
  network_.failures.Clear("Detach");
  EXPECT_OK(sandboxes_->Remove(ctx_, pod));
  network_.failures.Set("Attach", NotFound("no plugin \"bridge\""));
  EXPECT_THAT(sandboxes_->Run(ctx_, Pod("other")),
              StatusIs(StatusCode::kFailedPrecondition));
}

TEST_F(ExitsTest, AFailedSandboxIsAFailedStartOfItsContainer) {
  SandboxConfig config = Pod();
  config.set_kind(SANDBOX_KIND_STANDALONE);
  ASSERT_OK_AND_ASSIGN(const SandboxId id, sandboxes_->Create(ctx_, config));
  ASSERT_OK_AND_ASSIGN(const ContainerId app,
                       containers_->Create(ctx_, id, App()));
  ASSERT_OK(containers_->FailStart(ctx_, app, Internal("port is taken")));
  EXPECT_EQ(Look(app)->phase(), CONTAINER_PHASE_EXITED);
  EXPECT_EQ(Look(app)->exit_code(), 128);
  EXPECT_EQ(Look(app)->message(), "port is taken");
  // Tried again, it may succeed.
  ASSERT_OK(sandboxes_->Start(ctx_, id));
  ASSERT_OK(containers_->Start(ctx_, app));
  EXPECT_EQ(Look(app)->exit_code(), 0);
  EXPECT_THAT(containers_->FailStart(ctx_, app, Internal("too late")),
              StatusIs(StatusCode::kFailedPrecondition));
}

// A process in a container's cgroup that no task knows of.
class LeftProcess {
 public:
  LeftProcess(const oci::CgroupHost& host, const std::string& path) {
    const auto cgroup = oci::OpenCgroup(host, path);
    EXPECT_OK(cgroup);
    EXPECT_OK((*cgroup)->Create({}));
    int ready[2];
    EXPECT_EQ(pipe(ready), 0);
    pid_ = fork();
    if (pid_ == 0) {
      const bool in = (*cgroup)->EnterSelf().ok();
      (void)!write(ready[1], in ? "y" : "n", 1);
      while (true) pause();
    }
    char in = 'n';
    EXPECT_EQ(read(ready[0], &in, 1), 1);
    EXPECT_EQ(in, 'y');
    close(ready[0]);
    close(ready[1]);
  }
  ~LeftProcess() { Kill(); }
  bool Lives() { return pid_ > 0 && waitpid(pid_, nullptr, WNOHANG) == 0; }
  void Kill() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

 private:
  pid_t pid_ = 0;
};

TEST_F(ExitsTest, RemovalKillsWhatIsLeftInTheCgroup) {
  const SandboxId pod = StartPod();
  const ContainerId id = StartApp(pod);
  ASSERT_OK(containers_->Stop(ctx_, id, Duration(0)));
  const oci::CgroupHost& host = world_->core().cgroups;
  ASSERT_OK_AND_ASSIGN(const std::string path,
                       oci::CgroupPath(Look(id)->cgroup(), id.str()));
  LeftProcess left(host, path);
  EXPECT_OK(containers_->Remove(ctx_, id));
  EXPECT_FALSE(left.Lives());
}

TEST_F(ExitsTest, RemovalLeavesACgroupThatOthersMayHave) {
  const SandboxId pod = StartPod();
  const ContainerId id = StartApp(pod);
  ASSERT_OK(containers_->Stop(ctx_, id, Duration(0)));
  const std::string path =
      world_->core().settings.cgroup_parent + "-of-a-plugin";
  ContainerRecord record = *Look(id);
  record.set_cgroup(path);
  ASSERT_OK(world_->core().records.Save(record));
  LeftProcess other(world_->core().cgroups, path);
  EXPECT_OK(containers_->Remove(ctx_, id));
  EXPECT_TRUE(other.Lives());
  other.Kill();
  ASSERT_OK_AND_ASSIGN(const auto cgroup,
                       oci::OpenCgroup(world_->core().cgroups, path));
  EXPECT_OK(cgroup->Remove());
}

TEST_F(ExitsTest, WhatIsMeantForARunDoesNotHitTheNext) {
  SandboxConfig config = Pod();
  config.set_kind(SANDBOX_KIND_STANDALONE);
  ASSERT_OK_AND_ASSIGN(const SandboxId pod, sandboxes_->Create(ctx_, config));
  ASSERT_OK(sandboxes_->Start(ctx_, pod));
  ASSERT_OK_AND_ASSIGN(const ContainerId app,
                       containers_->Create(ctx_, pod, App()));
  // A run that failed counts, too.
  shims_.failures.Set("task Start", Unavailable("no such program"));
  EXPECT_FALSE(containers_->Start(ctx_, app).ok());
  shims_.failures.Clear("task Start");
  const ContainerRun failed = RunOf(*Look(app));
  ASSERT_OK(containers_->Start(ctx_, app));
  const ContainerRun first = RunOf(*Look(app));
  EXPECT_LT(failed.number, first.number);
  shims_.Exit(app.str(), 0);
  ASSERT_OK(containers_->Wait(ctx_, app));
  ASSERT_OK(containers_->Start(ctx_, app));
  EXPECT_LT(first.number, Look(app)->run());

  Core& core = world_->core();
  KillContainer(core, first);
  OnGraceOver(core, first);
  OnExit(core, first, shim::ExitStatus{3, Now()});
  EXPECT_OK(containers_->Stop(ctx_, app, 0s, {0, first.number}));
  EXPECT_OK(containers_->Stop(ctx_, app, 1s, {SIGTERM, first.number}));
  EXPECT_EQ(Look(app)->phase(), CONTAINER_PHASE_RUNNING);
  EXPECT_OK(containers_->Stop(ctx_, app, 0s, {0, Look(app)->run()}));
  EXPECT_EQ(Look(app)->exit_code(), 128 + SIGKILL);
}

TEST_F(ExitsTest, TheKillAtTheEndOfTheGraceIsTold) {
  const auto reader = world_->events().Subscribe(
      {{Event::Type::kContainerKilled, Event::Type::kContainerExited}, "", ""});
  const SandboxId pod = StartPod();
  shims_.IgnoreTerm(true);
  ASSERT_OK(containers_->Stop(ctx_, StartApp(pod), 5ms));
  ASSERT_OK_AND_ASSIGN(Event event, reader->Next(ctx_));
  EXPECT_EQ(event.type, Event::Type::kContainerKilled);
  ASSERT_OK_AND_ASSIGN(event, reader->Next(ctx_));
  EXPECT_EQ(event.type, Event::Type::kContainerExited);
}

}  // namespace
}  // namespace berth::sandbox
