// A daemon that comes back, with the managers against fake shims, a fake
// network and fake images (ManagerTest).
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/store/metadata_store.h"
#include "base/sys/socket.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "base/unique_fd.h"
#include "sandbox/testing/manager_fixture.h"

namespace berth::sandbox {
namespace {

using namespace std::chrono_literals;
using namespace ::berth::state::v1;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class RecoveryTest : public ManagerTest {};

TEST_F(RecoveryTest, RecoveryGoesOnWithWhatRuns) {
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

// And none that this one starts meanwhile.
TEST_F(RecoveryTest, ExecsOfTheLastDaemonAreForgotten) {
  const SandboxId pod = StartPod();
  const ContainerId id = StartApp(pod);
  shim::ExecTask exec;
  exec.container_id = id.str();
  exec.exec_id = world_->core().run_id + "left";
  {
    const auto shim = world_->core().shims.Find(pod.str());
    ASSERT_OK_AND_ASSIGN(const auto left, shim->Exec(ctx_, exec));
    ASSERT_OK(left->Start(ctx_));
  }
  Close();
  OpenDoors();
  EXPECT_TRUE(shims_.HasProcess(exec.exec_id)) << "a door waited for it";
  ExecConfig config;
  config.args = {"/bin/app"};
  config.stdin = config.stdout = config.stderr = false;
  ASSERT_OK_AND_ASSIGN(const StreamSession session,
                       streams_->Exec(ctx_, id, config));
  world_->FinishRecovery();
  ASSERT_OK(world_->AwaitRecovery(ctx_));
  EXPECT_FALSE(shims_.HasProcess(exec.exec_id));
  ASSERT_OK(session.Signal(ctx_, SIGKILL));
  EXPECT_THAT(session.Wait(ctx_), IsOkAndHolds(137));
}

TEST_F(RecoveryTest, AShimThatForgetsNoExecsIsAskedOnce) {
  const ContainerId id = StartApp(StartPod());
  for (const Status& answer :
       {Unimplemented("older"), Unavailable("it is busy")}) {
    shims_.failures.Set("shim ForgetExecs", answer);
    const int before = shims_.failures.Calls("shim ForgetExecs");
    Restart();
    EXPECT_EQ(shims_.failures.Calls("shim ForgetExecs"), before + 1);
    EXPECT_EQ(Look(id)->phase(), CONTAINER_PHASE_RUNNING);
  }
}

TEST_F(RecoveryTest, RecoveryAdoptsAProgramThatWasJustExecuted) {
  const SandboxId pod = StartPod();
  const ContainerId id = StartApp(pod);
  Edit(id, CONTAINER_PHASE_STARTING);
  Restart();
  EXPECT_EQ(Look(id)->phase(), CONTAINER_PHASE_RUNNING);
}

TEST_F(RecoveryTest, RecoveryEndsAStartWithoutTask) {
  const SandboxId pod = StartPod();
  ASSERT_OK_AND_ASSIGN(const ContainerId id,
                       containers_->Create(ctx_, pod, App()));
  Edit(id, CONTAINER_PHASE_STARTING);
  Restart();
  EXPECT_EQ(Look(id)->phase(), CONTAINER_PHASE_EXITED);
  EXPECT_EQ(Look(id)->exit_code(), 128);
}

TEST_F(RecoveryTest, RecoveryEndsAStartThatIsUnderWay) {
  const SandboxId pod = StartPod();
  const ContainerId id = StartApp(pod);
  Edit(id, CONTAINER_PHASE_STARTING);
  Close();
  shims_.Unstart(id.str());
  Open();
  EXPECT_EQ(Look(id)->phase(), CONTAINER_PHASE_EXITED);
  EXPECT_EQ(Look(id)->exit_code(), 128);
  EXPECT_FALSE(shims_.HasProcess(id.str())) << "it will run all the same";
}

TEST_F(RecoveryTest, RecoveryKeepsACodeThatOnlyTheRecordKnows) {
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

TEST_F(RecoveryTest, RecoveryUndoesWhatWasBegun) {
  ASSERT_OK_AND_ASSIGN(const SandboxId created,
                       sandboxes_->Create(ctx_, Pod("created")));
  const SandboxId starting = StartPod();
  Edit(starting, SANDBOX_PHASE_STARTING);
  Restart();
  EXPECT_EQ(Look(created), nullptr);
  EXPECT_EQ(Look(starting), nullptr);
  ExpectNothingLeft();
}

TEST_F(RecoveryTest, RecoveryFinishesWhatWasBeingEnded) {
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

TEST_F(RecoveryTest, RecoveryAfterABootStopsEverything) {
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

TEST_F(RecoveryTest, APodOfAHandlerThatIsGoneRunsOn) {
  runtimes_["other"] = Runtime();
  Restart();
  SandboxConfig config = Pod("other");
  config.set_runtime_handler("other");
  ASSERT_OK_AND_ASSIGN(const SandboxId pod, sandboxes_->Run(ctx_, config));
  const ContainerId id = StartApp(pod);
  runtimes_.clear();
  Restart();
  EXPECT_EQ(Look(pod)->phase(), SANDBOX_PHASE_READY);
  EXPECT_EQ(Look(id)->phase(), CONTAINER_PHASE_RUNNING);
  ASSERT_OK(sandboxes_->Stop(ctx_, pod));
  EXPECT_FALSE(shims_.Has(pod.str()));
}

TEST_F(RecoveryTest, AShortageOfOursCostsNoPod) {
  const SandboxId pod = StartPod();
  const ContainerId id = StartApp(pod);
  Close();
  shims_.failures.Set("Reconnect", ResourceExhausted("no thread"));
  OpenDoors();
  EXPECT_EQ(Look(pod)->phase(), SANDBOX_PHASE_READY);
  shims_.failures.Clear("Reconnect");
  world_->FinishRecovery();
  ASSERT_OK(world_->AwaitRecovery(ctx_));
  EXPECT_EQ(Look(pod)->phase(), SANDBOX_PHASE_READY);
  EXPECT_EQ(Look(id)->phase(), CONTAINER_PHASE_RUNNING);
}

TEST_F(RecoveryTest, AContainerOfAPodThatIsStoppedHasItsExitCode) {
  const SandboxId pod = StartPod();
  const ContainerId id = StartApp(pod);
  Edit(pod, SANDBOX_PHASE_STOPPING);
  Close();
  shims_.Exit(id.str(), 9);
  Open();
  EXPECT_EQ(Look(id)->phase(), CONTAINER_PHASE_EXITED);
  EXPECT_EQ(Look(id)->exit_code(), 9);
  EXPECT_EQ(Look(pod)->phase(), SANDBOX_PHASE_STOPPED);
}

TEST_F(RecoveryTest, ImagesOfACreationThatWasCutOffAreGivenBack) {
  const SandboxId pod = StartPod();
  ContainerConfig config = App();
  state::v1::Mount& mount = *config.add_mounts();
  mount.set_type(MOUNT_TYPE_IMAGE);
  mount.set_image_id("sha256:busybox");
  mount.set_container_path("/models");
  mount.set_readonly(true);
  ASSERT_OK_AND_ASSIGN(const ContainerId id,
                       containers_->Create(ctx_, pod, config));
  EXPECT_THAT(images_.keys(), SizeIs(2));
  ContainerRecord record = *Look(id);
  record.set_phase(CONTAINER_PHASE_CREATING);
  record.clear_image_mount_keys();  // as they were saved before
  ASSERT_OK(world_->core().records.Save(record));
  Restart();
  EXPECT_EQ(Look(id), nullptr);
  EXPECT_THAT(images_.keys(), IsEmpty());
}

// While a volume is filled the image is mounted there.
TEST_F(RecoveryTest, WhatIsMountedForAWhileHoldsNoContainer) {
  const SandboxId pod = StartPod();
  ASSERT_OK_AND_ASSIGN(const ContainerId id,
                       containers_->Create(ctx_, pod, App()));
  const std::string place = "run/containers/" + id.str() + "/content";
  dir_.MakeDirectory(place);
  ASSERT_EQ(mount("left", dir_.Path(place).c_str(), "tmpfs", 0, ""), 0);
  Edit(id, CONTAINER_PHASE_CREATING);
  Restart();
  EXPECT_EQ(Look(id), nullptr);
  EXPECT_FALSE(dir_.Exists(place));
}

TEST_F(RecoveryTest, ASilentShimIsWaitedForBehindTheDoors) {
  const SandboxId pod = StartPod();
  const ContainerId id = StartApp(pod);
  Close();
  shims_.failures.Set("Reconnect", DeadlineExceeded("no answer"));
  OpenDoors();
  // As they were: nobody knows better.
  EXPECT_EQ(Look(pod)->phase(), SANDBOX_PHASE_READY);
  EXPECT_EQ(Look(id)->phase(), CONTAINER_PHASE_RUNNING);
  world_->FinishRecovery();
  EXPECT_FALSE(world_->AwaitRecovery(ctx_.WithTimeout(10ms)).ok());
  shims_.failures.Clear("Reconnect");
  ASSERT_OK(world_->AwaitRecovery(ctx_));
  EXPECT_EQ(Look(pod)->phase(), SANDBOX_PHASE_READY);
  shims_.Exit(id.str(), 4);
  ASSERT_OK_AND_ASSIGN(const ContainerStatus ended,
                       containers_->Wait(ctx_, id));
  EXPECT_EQ(ended->exit_code(), 4);
}

TEST_F(RecoveryTest, AVerbWaitsForASilentShimAndJoins) {
  const SandboxId pod = StartPod();
  const ContainerId id = StartApp(pod);
  Close();
  shims_.failures.Set("Reconnect", DeadlineExceeded("no answer"));
  OpenDoors();
  world_->FinishRecovery();
  std::thread stop([&] { EXPECT_OK(sandboxes_->Stop(ctx_, pod)); });
  std::thread remove([&] { EXPECT_OK(containers_->Remove(ctx_, id)); });
  EXPECT_THAT(world_->inventory().Containers({}), SizeIs(1));
  shims_.failures.Clear("Reconnect");
  stop.join();
  remove.join();
  EXPECT_EQ(Look(pod)->phase(), SANDBOX_PHASE_STOPPED);
  EXPECT_EQ(Look(id), nullptr);
}

TEST_F(RecoveryTest, WhatADeadPodOwnsIsGivenBackBehindTheDoors) {
  std::vector<SandboxId> pods;
  std::vector<ContainerId> apps;
  for (int i = 0; i < 40; ++i) {
    ASSERT_OK_AND_ASSIGN(const SandboxId id,
                         sandboxes_->Create(ctx_, Pod(std::to_string(i))));
    ASSERT_OK(sandboxes_->Start(ctx_, id));
    apps.push_back(StartApp(id));
    pods.push_back(id);
    SandboxRecord record = *Look(id);
    if (i % 2 == 0) record.set_boot_id("another");
    ASSERT_OK(world_->core().records.Save(record));
  }
  Close();
  for (const SandboxId& pod : pods) shims_.Crash(pod.str());
  network_.failures.Set("Detach", Unavailable("plugin hangs"));
  OpenDoors();
  for (size_t i = 0; i < pods.size(); ++i) {
    EXPECT_EQ(Look(pods[i])->phase(), SANDBOX_PHASE_STOPPING);
    EXPECT_EQ(Look(pods[i])->reason(), i % 2 == 0 ? "Rebooted" : "Lost");
    EXPECT_EQ(Look(apps[i])->phase(), CONTAINER_PHASE_EXITED);
    EXPECT_EQ(Look(apps[i])->exit_code(), 255);
  }
  world_->FinishRecovery();
  // A client that asks meanwhile hears why, and is served as soon as it can be.
  EXPECT_THAT(sandboxes_->Stop(ctx_, pods[0]),
              StatusIs(StatusCode::kUnavailable, HasSubstr("plugin hangs")));
  EXPECT_THAT(network_.attached(), SizeIs(pods.size()));
  network_.failures.Clear("Detach");
  EXPECT_OK(sandboxes_->Remove(ctx_, pods[0]));
  ASSERT_OK(world_->AwaitRecovery(ctx_));
  EXPECT_THAT(network_.attached(), IsEmpty());
  for (size_t i = 1; i < pods.size(); ++i) {
    EXPECT_EQ(Look(pods[i])->phase(), SANDBOX_PHASE_STOPPED);
  }
}

TEST_F(RecoveryTest, AnInterruptedStartIsShownUntilItIsTakenBack) {
  const SandboxId pod = StartPod();
  Edit(pod, SANDBOX_PHASE_STARTING);
  network_.failures.Set("Detach", Unavailable("plugin hangs"));
  Close();
  OpenDoors();
  EXPECT_EQ(Look(pod)->phase(), SANDBOX_PHASE_STOPPING);
  EXPECT_EQ(Look(pod)->reason(), "StartError");
  EXPECT_THAT(world_->inventory().Sandboxes({}), SizeIs(1));
  world_->FinishRecovery();
  EXPECT_FALSE(sandboxes_->Stop(ctx_, pod).ok());
  network_.failures.Clear("Detach");
  ASSERT_OK(world_->AwaitRecovery(ctx_));
  EXPECT_EQ(Look(pod), nullptr);
}

TEST_F(RecoveryTest, NetworksCollectGarbageOnceBehindTheDoors) {
  network_.failures.Set("CollectGarbage", Unavailable("plugin hangs"));
  Close();
  const int before = network_.failures.Calls("CollectGarbage");
  OpenDoors();
  EXPECT_EQ(network_.failures.Calls("CollectGarbage"), before);
  world_->FinishRecovery();
  ASSERT_OK(world_->AwaitRecovery(ctx_));
  EXPECT_EQ(network_.failures.Calls("CollectGarbage"), before + 1);
}

TEST_F(RecoveryTest, WhatClientsMakeBehindTheDoorsIsLeftAlone) {
  const SandboxId old = StartPod();
  Close();
  network_.failures.Set("Detach", Unavailable("plugin hangs"));
  shims_.Crash(old.str());
  OpenDoors();
  ASSERT_OK_AND_ASSIGN(const SandboxId pod,
                       sandboxes_->Create(ctx_, Pod("new")));
  world_->FinishRecovery();
  ASSERT_OK(sandboxes_->Start(ctx_, pod));
  const ContainerId id = StartApp(pod);
  network_.failures.Clear("Detach");
  ASSERT_OK(world_->AwaitRecovery(ctx_));
  EXPECT_EQ(Look(pod)->phase(), SANDBOX_PHASE_READY);
  EXPECT_EQ(Look(id)->phase(), CONTAINER_PHASE_RUNNING);
  EXPECT_EQ(Look(old)->phase(), SANDBOX_PHASE_STOPPED);
}

// A shim with that id, as far as anybody can see.
UniqueFd ListenAsShim(const TempDir& dir, const std::string& id) {
  dir.MakeDirectory("run/sandboxes/" + id + "/shim");
  auto listener =
      ListenUnix(dir.Path("run/sandboxes/" + id + "/shim/shim.sock"), 0600);
  EXPECT_OK(listener);
  return listener.ok() ? *std::move(listener) : UniqueFd();
}

TEST_F(RecoveryTest, AStartBesideShimsOfAnotherRootTouchesNothing) {
  Close();
  const std::string stranger(64, 'a');
  UniqueFd shim = ListenAsShim(dir_, stranger);
  Make();
  EXPECT_THAT(world_->Recover(ctx_), StatusIs(StatusCode::kFailedPrecondition,
                                              HasSubstr(dir_.Path("run"))));
  EXPECT_TRUE(dir_.Exists("run/sandboxes/" + stranger + "/shim/shim.sock"));
  // A record that cannot be read makes it ours all the same.
  ASSERT_OK(store_->Update([&](Transaction& tx) {
    return tx.Put("sandboxes", stranger, "\xff\xff");
  }));
  Close();
  Make();
  EXPECT_OK(world_->Recover(ctx_));
  Close();
  // And what a dead one left is swept.
  shim.reset();
  Open();
  EXPECT_FALSE(dir_.Exists("run/sandboxes/" + stranger));
}

TEST_F(RecoveryTest, RecordsThatMakeNoSenseStopNothing) {
  const SandboxId pod = StartPod();
  const ContainerId id = StartApp(pod);
  ASSERT_OK(store_->Update([&](Transaction& tx) -> Status {
    RETURN_IF_ERROR(tx.Put("sandboxes", std::string(64, 'b'), "\xff\xff"));
    RETURN_IF_ERROR(tx.Put("containers", std::string(64, 'c'), "\xff"));
    // Parsed, and of nobody.
    return tx.Put("containers", std::string(64, 'd'), "");
  }));
  Restart();
  EXPECT_THAT(world_->inventory().Sandboxes({}), SizeIs(1));
  EXPECT_THAT(world_->inventory().Containers({}), SizeIs(1));
  EXPECT_EQ(Look(id)->phase(), CONTAINER_PHASE_RUNNING);
  EXPECT_THAT(store_->SetAside(), IsOkAndHolds(SizeIs(3)));
}

TEST_F(RecoveryTest, RecoverySweepsWhatNoRecordNames) {
  const SandboxId pod = StartPod();
  ASSERT_OK(world_->core().records.Erase(pod));
  Restart();
  ExpectNothingLeft();
}

}  // namespace
}  // namespace berth::sandbox
