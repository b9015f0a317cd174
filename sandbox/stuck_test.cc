// What hangs costs its own pod only: shims that do not answer, or not to all
// calls; plugins that hang; and the waits of everybody else, which end with
// their contexts.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>

#include <chrono>
#include <future>
#include <string>
#include <thread>

#include "base/testing/status_matchers.h"
#include "base/unique_fd.h"
#include "sandbox/testing/manager_fixture.h"

namespace berth::sandbox {
namespace {

using namespace std::chrono_literals;
using namespace ::berth::state::v1;
using ::testing::AnyOf;
using ::testing::HasSubstr;

class StuckTest : public ManagerTest {
 protected:
  // With another patience.
  void BePatient(Duration silence) {
    silence_ = silence;
    Restart();
  }
  SandboxId StartPodNamed(const std::string& name) {
    const auto id = sandboxes_->Run(ctx_, Pod(name));
    EXPECT_OK(id);
    return id.ok() ? *id : SandboxId();
  }
};

TEST_F(StuckTest, APodWithAShimThatIsStuckCanBeStoppedAndRemoved) {
  BePatient(50ms);
  const SandboxId pod = StartPod();
  const ContainerId id = StartApp(pod);
  shims_.Hang(pod.str(), "*");
  EXPECT_OK(sandboxes_->Stop(ctx_, pod));
  EXPECT_EQ(Look(pod)->phase(), SANDBOX_PHASE_STOPPED);
  EXPECT_EQ(Look(id)->phase(), CONTAINER_PHASE_EXITED);
  EXPECT_EQ(Look(id)->exit_code(), 255);
  EXPECT_EQ(Look(id)->reason(), "Unknown");
  EXPECT_GE(shims_.failures.Calls("shim Kill"), 1);
  EXPECT_OK(sandboxes_->Remove(ctx_, pod));
}

TEST_F(StuckTest, AStuckShimIsWaitedForOnce) {
  BePatient(4s);
  const SandboxId pod = StartPod();
  StartApp(pod);
  shims_.Hang(pod.str(), "*");
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_OK(sandboxes_->Stop(ctx_, pod));
  const auto took = std::chrono::steady_clock::now() - begin;
  EXPECT_GE(took, 4s);
  EXPECT_LT(took, 7500ms);
}

TEST_F(StuckTest, AContainerOfAStuckShimCanBeRemovedAlone) {
  BePatient(50ms);
  const SandboxId pod = StartPod();
  const ContainerId id = StartApp(pod);
  shims_.Hang(pod.str(), "*");
  EXPECT_OK(containers_->Remove(ctx_, id));
  EXPECT_EQ(Look(id), nullptr);
  // Its shim is gone, and the pod with it.
  while (Look(pod)->phase() == SANDBOX_PHASE_READY) std::this_thread::yield();
  EXPECT_EQ(Look(pod)->reason(), "ShimLost");
}

TEST_F(StuckTest, TheKillsOfOtherPodsDoNotWaitForAStuckShim) {
  BePatient(1h);  // it stays stuck
  shims_.IgnoreTerm(true);
  const SandboxId stuck = StartPodNamed("stuck");
  const ContainerId one = StartApp(stuck, "one");
  const ContainerId two = StartApp(stuck, "two");
  shims_.Hang(stuck.str(), "*");
  auto ends = [&](const ContainerId& id) {
    return std::async(std::launch::async,
                      [&, id] { return containers_->Stop(ctx_, id, 1ms); });
  };
  auto first = ends(one);
  auto second = ends(two);
  const ContainerId fine = StartApp(StartPodNamed("fine"));
  EXPECT_OK(containers_->Stop(ctx_, fine, 5ms));
  EXPECT_EQ(Look(fine)->exit_code(), 128 + SIGKILL);
  EXPECT_EQ(first.wait_for(0s), std::future_status::timeout);
  shims_.Crash(stuck.str());
  EXPECT_OK(first.get());
  EXPECT_OK(second.get());
  EXPECT_EQ(Look(one)->exit_code(), 255);
}

TEST_F(StuckTest, QueriesAndOtherVerbsGoOnBesideAStuckShim) {
  const SandboxId stuck = StartPodNamed("stuck");
  const ContainerId id = StartApp(stuck);
  shims_.Hang(stuck.str(), "*");
  EXPECT_EQ(world_->inventory().Containers({}).size(), 1u);
  EXPECT_THAT(containers_->Kill(ctx_.WithTimeout(10ms), id, SIGUSR1),
              StatusIs(StatusCode::kDeadlineExceeded));
  EXPECT_THAT(streams_->ExecSync(ctx_.WithTimeout(10ms), id, {"x"}, 0s, 1),
              StatusIs(StatusCode::kDeadlineExceeded));
  EXPECT_OK(containers_->Rename(ctx_, id, "renamed"));
  StartApp(StartPodNamed("fine"));
  shims_.Crash(stuck.str());
}

TEST_F(StuckTest, AStartThatHangsIsEndedByARemove) {
  BePatient(20ms);
  const SandboxId pod = StartPod();
  ASSERT_OK_AND_ASSIGN(const ContainerId id,
                       containers_->Create(ctx_, pod, App()));
  // It answers, but not to this: it is given some time.
  shims_.Hang(pod.str(), "shim Create");
  auto start = std::async(std::launch::async,
                          [&] { return containers_->Start(ctx_, id); });
  while (Look(id)->phase() != CONTAINER_PHASE_STARTING) {
    std::this_thread::yield();
  }
  // What waits for the same container waits no longer than it wants to.
  EXPECT_THAT(containers_->Rename(ctx_.WithTimeout(10ms), id, "other"),
              StatusIs(StatusCode::kDeadlineExceeded, HasSubstr(id.str())));
  EXPECT_THAT(containers_->Stop(ctx_.WithTimeout(10ms), id, 10s),
              StatusIs(StatusCode::kDeadlineExceeded));
  EXPECT_OK(sandboxes_->Remove(ctx_, pod));
  EXPECT_THAT(start.get(), StatusIs(StatusCode::kUnavailable));
  EXPECT_EQ(Look(id), nullptr);
}

TEST_F(StuckTest, AStartThatHangsIsEndedByAKill) {
  BePatient(1h);
  const SandboxId pod = StartPod();
  for (const bool removed : {false, true}) {
    ASSERT_OK_AND_ASSIGN(const ContainerId id,
                         containers_->Create(ctx_, pod, App()));
    shims_.Hang(pod.str(), "shim Create");
    auto start = std::async(std::launch::async,
                            [&] { return containers_->Start(ctx_, id); });
    while (shims_.failures.Calls("shim Create") < (removed ? 2 : 1)) {
      std::this_thread::yield();
    }
    if (!removed) {
      EXPECT_OK(containers_->Stop(ctx_.WithTimeout(10s), id, 0s));
      EXPECT_EQ(Look(id)->reason(), "StartError");
    }
    EXPECT_OK(containers_->Remove(ctx_.WithTimeout(10s), id));
    EXPECT_THAT(start.get(),
                StatusIs(StatusCode::kUnavailable, HasSubstr("ended before")));
    EXPECT_EQ(Look(id), nullptr);
  }
  EXPECT_EQ(Look(pod)->phase(), SANDBOX_PHASE_READY);
}

TEST_F(StuckTest, AnExitThatOnlyStateTellsIsTaken) {
  BePatient(50ms);
  const SandboxId pod = StartPod();
  const ContainerId id = StartApp(pod);
  shims_.ForgetWaiters(pod.str());
  EXPECT_OK(containers_->Stop(ctx_, id, 0s));
  EXPECT_EQ(Look(id)->exit_code(), 128 + SIGKILL);
  EXPECT_EQ(Look(pod)->phase(), SANDBOX_PHASE_READY);
  EXPECT_EQ(shims_.failures.Calls("shim Kill"), 0);
}

TEST_F(StuckTest, APodWhosePidOneEndsIsNotReady) {
  const auto reader =
      world_->events().Subscribe({{Event::Type::kSandboxStopped}, "", ""});
  const SandboxId pod = StartPod();
  ASSERT_OK_AND_ASSIGN(const ContainerId later,
                       containers_->Create(ctx_, pod, App("later")));
  shims_.ExitInit(pod.str());
  ASSERT_OK_AND_ASSIGN(const Event event, reader->Next(ctx_));
  EXPECT_EQ(event.sandbox_id, pod.str());
  EXPECT_EQ(Look(pod)->phase(), SANDBOX_PHASE_STOPPING);
  EXPECT_EQ(Look(pod)->reason(), "PodInitExited");
  EXPECT_THAT(containers_->Create(ctx_, pod, App()),
              StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_THAT(containers_->Start(ctx_, later),
              StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_OK(sandboxes_->Stop(ctx_, pod));
}

TEST_F(StuckTest, ARetryWaitsForTheCleaningUpAndThenMakesItsOwn) {
  network_.HangAttach(true);
  auto first = std::async(std::launch::async, [&] {
    return sandboxes_->Run(ctx_.WithTimeout(300ms), Pod());
  });
  while (world_->core().inventory.AllSandboxes().empty()) {
    std::this_thread::yield();
  }
  // One that gives up says so, and nothing else.
  EXPECT_THAT(sandboxes_->Run(ctx_.WithTimeout(10ms), Pod()).status().code(),
              AnyOf(StatusCode::kDeadlineExceeded, StatusCode::kUnavailable));
  auto second = std::async(std::launch::async,
                           [&] { return sandboxes_->Run(ctx_, Pod()); });
  EXPECT_THAT(first.get(), StatusIs(StatusCode::kDeadlineExceeded));
  network_.HangAttach(false);
  const StatusOr<SandboxId> made = second.get();
  ASSERT_OK(made);
  EXPECT_EQ(Look(*made)->phase(), SANDBOX_PHASE_READY);
}

// A file system whose server reads no request.
TEST_F(StuckTest, ASubpathOfADeadVolumeEndsWithItsCaller) {
  dir_.MakeDirectory("dead");
  const std::string dead = dir_.Path("dead");
  UniqueFd server(open("/dev/fuse", O_RDWR | O_CLOEXEC));
  const std::string options = "fd=" + std::to_string(server.get()) +
                              ",rootmode=40000,user_id=0,group_id=0";
  if (mount("dead", dead.c_str(), "fuse", 0, options.c_str()) != 0) {
    GTEST_SKIP() << "cannot mount FUSE here";
  }
  const SandboxId pod = StartPod();
  ContainerConfig config = App();
  auto& volume = *config.add_mounts();
  volume.set_host_path(dead);
  volume.set_sub_path("below");
  volume.set_container_path("/v");
  auto made = std::async(std::launch::async, [&] {
    return containers_->Create(ctx_.WithTimeout(200ms), pod, config).status();
  });
  const bool ended = made.wait_for(10s) == std::future_status::ready;
  server.reset();  // all its requests fail
  EXPECT_TRUE(ended);
  EXPECT_THAT(made.get(), StatusIs(StatusCode::kDeadlineExceeded));
  EXPECT_EQ(umount2(dead.c_str(), MNT_DETACH), 0);
}

}  // namespace
}  // namespace berth::sandbox
