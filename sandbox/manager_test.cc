// The managers against fake shims, a fake network and fake images: order,
// failure on the way, retries, and coming back. Namespaces are real.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/store/metadata_store.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "sandbox/container_end.h"
#include "sandbox/container_manager.h"
#include "sandbox/core.h"
#include "sandbox/sandbox_manager.h"
#include "sandbox/testing/fakes.h"
#include "sandbox/world.h"

namespace berth::sandbox {
namespace {

using namespace std::chrono_literals;
using namespace ::berth::state::v1;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
namespace fs = std::filesystem;

class ManagerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    images_.config.add_cmd("/bin/app");
    Open();
  }

  void TearDown() override {
    if (geteuid() != 0) return;
    shims_.failures.Clear("Destroy");
    network_.failures.Clear("Detach");
    images_.failures.Clear("Release");
    for (const auto& sandbox : world_->core().inventory.AllSandboxes()) {
      EXPECT_OK(sandboxes_->Remove(ctx_, SandboxId(sandbox->id())));
    }
    Close();
    ExpectNothingLeft();
  }

  void Open() {
    auto store = MetadataStore::Open(dir_.Path("meta.db"));
    ASSERT_OK(store);
    store_ = *std::move(store);
    Settings settings;
    settings.root = dir_.Path("lib");
    settings.state = dir_.Path("run");
    settings.cgroup_parent = "/berth-unit-" + std::to_string(getpid());
    settings.runtimes[""] = Runtime();
    settings.log_line = 4096;
    world_ = std::make_unique<World>(settings,
                                     Parts{*store_, shims_, network_, images_});
    sandboxes_ = std::make_unique<SandboxManager>(*world_);
    containers_ = std::make_unique<ContainerManager>(*world_);
    ASSERT_OK(world_->Recover(ctx_));
  }

  void Close() {
    containers_.reset();
    sandboxes_.reset();
    world_.reset();
    store_.reset();
  }

  void Restart() {
    Close();
    Open();
  }

  // What a daemon that was killed left in the store.
  void Edit(const ContainerId& id, ContainerPhase phase) {
    ContainerRecord record = *world_->core().inventory.FindContainer(id);
    record.set_phase(phase);
    ASSERT_OK(world_->core().records.Save(record));
  }
  void Edit(const SandboxId& id, SandboxPhase phase) {
    SandboxRecord record = *world_->core().inventory.FindSandbox(id);
    record.set_phase(phase);
    ASSERT_OK(world_->core().records.Save(record));
  }

  void ExpectNothingLeft() {
    EXPECT_EQ(shims_.size(), 0u);
    EXPECT_THAT(network_.attached(), IsEmpty());
    EXPECT_THAT(images_.keys(), IsEmpty());
    for (const char* kind : {"run/sandboxes", "run/containers", "lib/sandboxes",
                             "lib/containers", "run/shims"}) {
      if (dir_.Exists(kind)) {
        EXPECT_THAT(dir_.Names(kind), IsEmpty()) << kind;
      }
    }
  }

  SandboxConfig Pod(const std::string& name = "pod") {
    SandboxConfig config;
    config.mutable_metadata()->set_name(name);
    config.mutable_metadata()->set_namespace_("ns");
    config.mutable_metadata()->set_uid("uid");
    config.set_log_directory(dir_.Path("logs"));
    config.mutable_namespaces()->set_pid(NAMESPACE_MODE_CONTAINER);
    return config;
  }

  ContainerConfig App(const std::string& name = "app") {
    ContainerConfig config;
    config.set_name(name);
    config.set_image_id("sha256:busybox");
    config.mutable_security()->mutable_namespaces()->set_pid(
        NAMESPACE_MODE_CONTAINER);
    return config;
  }

  SandboxId StartPod() {
    auto id = sandboxes_->Create(ctx_, Pod());
    EXPECT_OK(id);
    EXPECT_OK(sandboxes_->Start(ctx_, *id));
    return *id;
  }

  ContainerId StartApp(const SandboxId& in, const std::string& name = "app") {
    auto id = containers_->Create(ctx_, in, App(name));
    EXPECT_OK(id);
    if (!id.ok()) return ContainerId();
    EXPECT_OK(containers_->Start(ctx_, *id));
    return *id;
  }

  ContainerStatus Look(const ContainerId& id) {
    return world_->core().inventory.FindContainer(id);
  }
  SandboxStatus Look(const SandboxId& id) {
    return world_->core().inventory.FindSandbox(id);
  }

  TempDir dir_;
  const Context ctx_ = Context::Background("test").WithTimeout(60s);
  FakeShims shims_;
  FakeNetwork network_;
  FakeImages images_{""};
  std::unique_ptr<MetadataStore> store_;
  std::unique_ptr<World> world_;
  std::unique_ptr<SandboxManager> sandboxes_;
  std::unique_ptr<ContainerManager> containers_;
};

TEST_F(ManagerTest, APodIsInvisibleUntilItIsReady) {
  ASSERT_OK_AND_ASSIGN(const SandboxId id, sandboxes_->Create(ctx_, Pod()));
  EXPECT_THAT(world_->inventory().Sandboxes({}), IsEmpty());
  EXPECT_THAT(world_->inventory().Sandbox(id.str()),
              StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(containers_->Create(ctx_, id, App()),
              StatusIs(StatusCode::kFailedPrecondition));
  ASSERT_OK(sandboxes_->Start(ctx_, id));
  EXPECT_THAT(world_->inventory().Sandboxes({}), SizeIs(1));
  EXPECT_EQ(Look(id)->network().ips(0).address(), "10.1.2.3");
}

TEST_F(ManagerTest, ARetryJoinsAndAThirdTryIsTold) {
  ASSERT_OK_AND_ASSIGN(const SandboxId id, sandboxes_->Create(ctx_, Pod()));
  EXPECT_THAT(sandboxes_->Create(ctx_, Pod()), IsOkAndHolds(id));
  ASSERT_OK(sandboxes_->Start(ctx_, id));
  EXPECT_OK(sandboxes_->Start(ctx_, id));
  EXPECT_THAT(sandboxes_->Create(ctx_, Pod()),
              StatusIs(StatusCode::kAlreadyExists));
}

TEST_F(ManagerTest, AFailedStartLeavesNothingAndFreesTheName) {
  for (const char* step : {"Launch", "Attach"}) {
    Failures& failures =
        step == std::string("Launch") ? shims_.failures : network_.failures;
    failures.Set(step, Unavailable("on purpose"));
    ASSERT_OK_AND_ASSIGN(const SandboxId id, sandboxes_->Create(ctx_, Pod()));
    EXPECT_THAT(sandboxes_->Start(ctx_, id),
                StatusIs(StatusCode::kUnavailable, HasSubstr("on purpose")));
    ExpectNothingLeft();
    failures.Clear(step);
    ASSERT_OK_AND_ASSIGN(const SandboxId again,
                         sandboxes_->Create(ctx_, Pod()));
    EXPECT_NE(again, id);
    ASSERT_OK(sandboxes_->Start(ctx_, again));
    ASSERT_OK(sandboxes_->Remove(ctx_, again));
  }
}

TEST_F(ManagerTest, WhatCannotBeRolledBackStaysToBeStopped) {
  shims_.failures.Set("Launch", Unavailable("on purpose"));
  network_.failures.Set("Detach", Unavailable("plugin hangs"));
  ASSERT_OK_AND_ASSIGN(const SandboxId id, sandboxes_->Create(ctx_, Pod()));
  EXPECT_FALSE(sandboxes_->Start(ctx_, id).ok());
  ASSERT_THAT(world_->inventory().Sandboxes({}), SizeIs(1));
  EXPECT_FALSE(sandboxes_->Stop(ctx_, id).ok());
  network_.failures.Clear("Detach");
  EXPECT_OK(sandboxes_->Stop(ctx_, id));
  EXPECT_EQ(Look(id)->phase(), SANDBOX_PHASE_STOPPED);
  EXPECT_OK(sandboxes_->Remove(ctx_, id));
}

TEST_F(ManagerTest, WhatCouldNotBeReleasedIsReleasedAgainAndNoMore) {
  const SandboxId pod = StartPod();
  network_.failures.Set("Detach", Unavailable("plugin hangs"));
  EXPECT_THAT(sandboxes_->Stop(ctx_, pod),
              StatusIs(StatusCode::kUnavailable, HasSubstr("release network")));
  // The shim, released beside it, is gone.
  EXPECT_EQ(Look(pod)->begun(Look(pod)->begun_size() - 1), "network");
  EXPECT_EQ(Look(pod)->phase(), SANDBOX_PHASE_STOPPING);
  network_.failures.Clear("Detach");
  EXPECT_OK(sandboxes_->Stop(ctx_, pod));
  EXPECT_EQ(Look(pod)->begun_size(), 0);
  EXPECT_OK(sandboxes_->Remove(ctx_, pod));
}

TEST_F(ManagerTest, AFailedCreateLeavesNothingAndFreesTheName) {
  const SandboxId pod = StartPod();
  ContainerConfig bad = App();
  bad.mutable_security()->set_run_as_group(5);
  EXPECT_THAT(
      containers_->Create(ctx_, pod, bad),
      StatusIs(StatusCode::kInvalidArgument, HasSubstr("run_as_group")));
  images_.failures.Set("Acquire", ResourceExhausted("disk full"));
  EXPECT_THAT(containers_->Create(ctx_, pod, App()),
              StatusIs(StatusCode::kResourceExhausted));
  images_.failures.Clear("Acquire");
  EXPECT_THAT(images_.keys(), IsEmpty());
  EXPECT_OK(containers_->Create(ctx_, pod, App()));
  EXPECT_THAT(containers_->Create(ctx_, pod, App()),
              StatusIs(StatusCode::kAlreadyExists));
}

TEST_F(ManagerTest, AFailedStartIsAnExitWithAReason) {
  const SandboxId pod = StartPod();
  shims_.failures.Set("task Start", NotFound("no such program"));
  ASSERT_OK_AND_ASSIGN(const ContainerId id,
                       containers_->Create(ctx_, pod, App()));
  EXPECT_FALSE(containers_->Start(ctx_, id).ok());
  EXPECT_EQ(Look(id)->phase(), CONTAINER_PHASE_EXITED);
  EXPECT_EQ(Look(id)->exit_code(), 128);
  EXPECT_EQ(Look(id)->reason(), "StartError");
  EXPECT_THAT(Look(id)->message(), HasSubstr("no such program"));
  EXPECT_FALSE(shims_.HasProcess(id.str()));
  shims_.failures.Clear("task Start");
  EXPECT_THAT(containers_->Start(ctx_, id),
              StatusIs(StatusCode::kFailedPrecondition));
}

TEST_F(ManagerTest, StopSignalsOnceThenKills) {
  const SandboxId pod = StartPod();
  shims_.IgnoreTerm(true);
  const ContainerId id = StartApp(pod);
  std::thread first([&] { EXPECT_OK(containers_->Stop(ctx_, id, 50s)); });
  while (Look(id)->phase() != CONTAINER_PHASE_STOPPING) {
    std::this_thread::yield();
  }
  // A shorter grace shortens the first caller's too, and sends no second TERM.
  const auto before = std::chrono::steady_clock::now();
  EXPECT_OK(containers_->Stop(ctx_, id, 50ms));
  first.join();
  EXPECT_LT(std::chrono::steady_clock::now() - before, 20s);
  EXPECT_EQ(Look(id)->exit_code(), 128 + SIGKILL);
  EXPECT_OK(containers_->Stop(ctx_, id, 1s));
}

TEST_F(ManagerTest, TheKillOutlivesItsCaller) {
  const SandboxId pod = StartPod();
  shims_.IgnoreTerm(true);
  const ContainerId id = StartApp(pod);
  EXPECT_THAT(containers_->Stop(ctx_.WithTimeout(20ms), id, 200ms),
              StatusIs(StatusCode::kDeadlineExceeded));
  ASSERT_OK_AND_ASSIGN(const ContainerStatus ended,
                       containers_->Wait(ctx_, id));
  EXPECT_EQ(ended->exit_code(), 128 + SIGKILL);
}

TEST_F(ManagerTest, ListsDoNotWaitForAVerb) {
  const SandboxId pod = StartPod();
  shims_.IgnoreTerm(true);
  const ContainerId id = StartApp(pod);
  std::thread stop([&] { EXPECT_OK(containers_->Stop(ctx_, id, 30s)); });
  while (Look(id)->phase() != CONTAINER_PHASE_STOPPING) {
    std::this_thread::yield();
  }
  EXPECT_THAT(world_->inventory().Containers({}), SizeIs(1));
  EXPECT_OK(containers_->Remove(ctx_, id));
  stop.join();
}

TEST_F(ManagerTest, UnknownIdsAreGoneAlready) {
  const ContainerId container("ab");
  const SandboxId sandbox("cd");
  EXPECT_OK(containers_->Stop(ctx_, container, 1s));
  EXPECT_OK(containers_->Remove(ctx_, container));
  EXPECT_OK(sandboxes_->Stop(ctx_, sandbox));
  EXPECT_OK(sandboxes_->Remove(ctx_, sandbox));
  EXPECT_THAT(containers_->Start(ctx_, container),
              StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(containers_->ExecSync(ctx_, container, {"a"}, 0s, 1),
              StatusIs(StatusCode::kNotFound));
}

TEST_F(ManagerTest, StoppingAPodEndsItsContainersAndKeepsThem) {
  const SandboxId pod = StartPod();
  const ContainerId one = StartApp(pod, "one");
  const ContainerId two = StartApp(pod, "two");
  ASSERT_OK(sandboxes_->Stop(ctx_, pod));
  EXPECT_EQ(Look(one)->phase(), CONTAINER_PHASE_EXITED);
  EXPECT_EQ(Look(two)->exit_code(), 128 + SIGKILL);
  EXPECT_EQ(shims_.size(), 0u);
  EXPECT_THAT(network_.attached(), IsEmpty());
  EXPECT_OK(sandboxes_->Stop(ctx_, pod));
  EXPECT_THAT(containers_->Create(ctx_, pod, App("three")),
              StatusIs(StatusCode::kFailedPrecondition));
}

TEST_F(ManagerTest, ALostShimIsAPodThatIsNotReady) {
  const SandboxId pod = StartPod();
  const ContainerId id = StartApp(pod);
  shims_.Crash(pod.str());
  ASSERT_OK_AND_ASSIGN(const ContainerStatus ended,
                       containers_->Wait(ctx_, id));
  EXPECT_EQ(ended->exit_code(), 255);
  while (Look(pod)->phase() == SANDBOX_PHASE_READY) std::this_thread::yield();
  EXPECT_EQ(Look(pod)->reason(), "ShimLost");
}

TEST_F(ManagerTest, APodWithoutContainersHearsOfItsShimToo) {
  const auto reader = world_->events().Subscribe({});
  const SandboxId idle = StartPod();
  shims_.Crash(idle.str());
  Event event;
  do {
    ASSERT_OK_AND_ASSIGN(event, reader->Next(ctx_));
  } while (event.type != Event::Type::kSandboxStopped);
  EXPECT_EQ(event.sandbox_id, idle.str());
  EXPECT_EQ(Look(idle)->reason(), "ShimLost");
  ASSERT_OK(sandboxes_->Stop(ctx_, idle));
  EXPECT_EQ(Look(idle)->phase(), SANDBOX_PHASE_STOPPED);
}

TEST_F(ManagerTest, TheEndOfAnEarlierShimIsNotALoss) {
  SandboxConfig config = Pod("standalone");
  config.set_kind(SANDBOX_KIND_STANDALONE);
  ASSERT_OK_AND_ASSIGN(const SandboxId id, sandboxes_->Create(ctx_, config));
  for (int i = 0; i < 20; ++i) {
    ASSERT_OK(sandboxes_->Start(ctx_, id));
    ASSERT_OK(sandboxes_->Stop(ctx_, id));
  }
  ASSERT_OK(sandboxes_->Start(ctx_, id));
  // What a late message of the first one would do.
  LoseSandbox(world_->core(), id, std::weak_ptr<shim::Shim>(),
              Unavailable("long ago"));
  EXPECT_EQ(Look(id)->phase(), SANDBOX_PHASE_READY);
  EXPECT_EQ(Look(id)->reason(), "");
}

TEST_F(ManagerTest, CutsLogLinesWhereTheConfigurationSays) {
  const SandboxId pod = StartPod();
  ContainerConfig config = App();
  config.mutable_log()->set_path("app.log");
  ASSERT_OK_AND_ASSIGN(const ContainerId id,
                       containers_->Create(ctx_, pod, config));
  ASSERT_OK(containers_->Start(ctx_, id));
  EXPECT_THAT(shims_.Process(id.str()).request.stdio.out,
              HasSubstr("app.log?format=cri&line=4096"));
}

TEST_F(ManagerTest, AFailedUpdateKeepsTheOldLimits) {
  const SandboxId pod = StartPod();
  const ContainerId id = StartApp(pod);
  Resources limits;
  limits.set_cpu_shares(512);
  ASSERT_OK(containers_->Update(ctx_, id, limits));
  EXPECT_THAT(shims_.Process(id.str()).resources, HasSubstr("512"));
  shims_.failures.Set("task Update", Internal("EBUSY"));
  limits.set_cpu_shares(1024);
  EXPECT_FALSE(containers_->Update(ctx_, id, limits).ok());
  EXPECT_EQ(Look(id)->config().resources().cpu_shares(), 512);
}

TEST_F(ManagerTest, EventsFollowTheirRecords) {
  const auto reader = world_->events().Subscribe({});
  const SandboxId pod = StartPod();
  const ContainerId id = StartApp(pod);
  shims_.Exit(id.str(), 3);
  std::vector<Event::Type> seen;
  while (true) {
    ASSERT_OK_AND_ASSIGN(const Event event, reader->Next(ctx_));
    seen.push_back(event.type);
    if (event.type != Event::Type::kContainerExited) continue;
    EXPECT_EQ(event.exit_code, 3);
    EXPECT_EQ(Look(id)->phase(), CONTAINER_PHASE_EXITED);
    break;
  }
  EXPECT_THAT(seen, ElementsAre(Event::Type::kSandboxCreated,
                                Event::Type::kSandboxStarted,
                                Event::Type::kContainerCreated,
                                Event::Type::kContainerStarted,
                                Event::Type::kContainerExited));
}

// ---- A daemon that comes back -----------------------------------------------

TEST_F(ManagerTest, RecoveryGoesOnWithWhatRuns) {
  const SandboxId pod = StartPod();
  const ContainerId id = StartApp(pod);
  const ContainerId ends = StartApp(pod, "ends");
  Close();
  shims_.Exit(ends.str(), 9);
  Open();
  EXPECT_EQ(Look(pod)->phase(), SANDBOX_PHASE_READY);
  EXPECT_EQ(Look(id)->phase(), CONTAINER_PHASE_RUNNING);
  EXPECT_EQ(Look(ends)->phase(), CONTAINER_PHASE_EXITED);
  EXPECT_EQ(Look(ends)->exit_code(), 9);
  shims_.Exit(id.str(), 4);
  ASSERT_OK_AND_ASSIGN(const ContainerStatus ended,
                       containers_->Wait(ctx_, id));
  EXPECT_EQ(ended->exit_code(), 4);
  EXPECT_THAT(containers_->Create(ctx_, pod, App()),
              StatusIs(StatusCode::kAlreadyExists));
}

TEST_F(ManagerTest, RecoveryAdoptsAProgramThatWasJustExecuted) {
  const SandboxId pod = StartPod();
  const ContainerId id = StartApp(pod);
  Edit(id, CONTAINER_PHASE_STARTING);
  Restart();
  EXPECT_EQ(Look(id)->phase(), CONTAINER_PHASE_RUNNING);
}

TEST_F(ManagerTest, RecoveryEndsAStartWithoutTask) {
  const SandboxId pod = StartPod();
  ASSERT_OK_AND_ASSIGN(const ContainerId id,
                       containers_->Create(ctx_, pod, App()));
  Edit(id, CONTAINER_PHASE_STARTING);
  Restart();
  EXPECT_EQ(Look(id)->phase(), CONTAINER_PHASE_EXITED);
  EXPECT_EQ(Look(id)->exit_code(), 128);
}

TEST_F(ManagerTest, RecoveryKeepsACodeThatOnlyTheRecordKnows) {
  const SandboxId pod = StartPod();
  const ContainerId id = StartApp(pod);
  ContainerRecord record = *Look(id);
  record.set_exit_code(42);
  record.set_finished_at(Now());
  record.set_reason("Error");
  Close();
  shims_.Exit(id.str(), 42);
  Open();  // from a record without the code: the shim's
  EXPECT_EQ(Look(id)->exit_code(), 42);
  ASSERT_OK(world_->core().records.Save(record));  // and now the task is gone
  Restart();
  EXPECT_EQ(Look(id)->phase(), CONTAINER_PHASE_EXITED);
  EXPECT_EQ(Look(id)->exit_code(), 42);
}

TEST_F(ManagerTest, RecoveryUndoesWhatWasBegun) {
  ASSERT_OK_AND_ASSIGN(const SandboxId created,
                       sandboxes_->Create(ctx_, Pod("created")));
  const SandboxId starting = StartPod();
  Edit(starting, SANDBOX_PHASE_STARTING);
  Restart();
  EXPECT_EQ(Look(created), nullptr);
  EXPECT_EQ(Look(starting), nullptr);
  ExpectNothingLeft();
}

TEST_F(ManagerTest, RecoveryFinishesWhatWasBeingEnded) {
  const SandboxId pod = StartPod();
  const ContainerId creating = StartApp(pod, "creating");
  Edit(creating, CONTAINER_PHASE_CREATING);
  const ContainerId removing = StartApp(pod, "removing");
  ASSERT_OK(containers_->Stop(ctx_, removing, 0s));
  Edit(removing, CONTAINER_PHASE_REMOVING);
  const ContainerId stopping = StartApp(pod, "stopping");
  Edit(stopping, CONTAINER_PHASE_STOPPING);
  Restart();
  EXPECT_EQ(Look(creating), nullptr);
  EXPECT_EQ(Look(removing), nullptr);
  EXPECT_OK(containers_->Wait(ctx_, stopping));
  Edit(pod, SANDBOX_PHASE_REMOVING);
  SandboxRecord record = *Look(pod);
  Edit(pod, SANDBOX_PHASE_STOPPING);
  Restart();
  EXPECT_EQ(Look(pod)->phase(), SANDBOX_PHASE_STOPPED);
}

TEST_F(ManagerTest, RecoveryAfterABootStopsEverything) {
  const SandboxId pod = StartPod();
  const ContainerId id = StartApp(pod);
  SandboxRecord record = *Look(pod);
  record.set_boot_id("another");
  ASSERT_OK(world_->core().records.Save(record));
  Restart();
  EXPECT_EQ(Look(pod)->phase(), SANDBOX_PHASE_STOPPED);
  EXPECT_EQ(Look(id)->phase(), CONTAINER_PHASE_EXITED);
  EXPECT_EQ(Look(id)->exit_code(), 255);
  EXPECT_THAT(network_.attached(), IsEmpty());
}

TEST_F(ManagerTest, RecoverySweepsWhatNoRecordNames) {
  const SandboxId pod = StartPod();
  ASSERT_OK(world_->core().records.Erase(pod));
  Restart();
  ExpectNothingLeft();
}

TEST_F(ManagerTest, AStandaloneSandboxStartsAgain) {
  SandboxConfig config = Pod();
  config.set_kind(SANDBOX_KIND_STANDALONE);
  ASSERT_OK_AND_ASSIGN(const SandboxId id, sandboxes_->Create(ctx_, config));
  ASSERT_OK_AND_ASSIGN(const ContainerId app,
                       containers_->Create(ctx_, id, App()));
  for (int round = 0; round < 2; ++round) {
    ASSERT_OK(sandboxes_->Start(ctx_, id));
    ASSERT_OK(containers_->Start(ctx_, app));
    EXPECT_THAT(dir_.Read("lib/sandboxes/" + id.str() + "/hosts"),
                HasSubstr("10.1.2.3\t" + id.str().substr(0, 12)));
    shims_.Exit(app.str(), round);
    ASSERT_OK(containers_->Wait(ctx_, app));
    ASSERT_OK(sandboxes_->Stop(ctx_, id));
  }
  EXPECT_EQ(Look(app)->restart_count(), 1u);
}

}  // namespace
}  // namespace berth::sandbox
