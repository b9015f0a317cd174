// The managers against fake shims, a fake network and fake images: order,
// failure on the way, and retries. Namespaces are real.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/testing/status_matchers.h"
#include "sandbox/container_end.h"
#include "sandbox/testing/manager_fixture.h"

namespace berth::sandbox {
namespace {

using namespace std::chrono_literals;
using namespace ::berth::state::v1;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

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
  EXPECT_THAT(streams_->ExecSync(ctx_, container, {"a"}, 0s, 1),
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
              Loss{"ShimLost", Unavailable("long ago")});
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

TEST_F(ManagerTest, TheOomScoreIsOfTheStart) {
  const SandboxId pod = StartPod();
  ContainerConfig config = App();
  config.mutable_resources()->set_oom_score_adj(100);
  ASSERT_OK_AND_ASSIGN(const ContainerId id,
                       containers_->Create(ctx_, pod, config));
  Resources limits;
  limits.set_oom_score_adj(200);
  ASSERT_OK(containers_->Update(ctx_, id, limits));
  ASSERT_OK(containers_->Start(ctx_, id));
  EXPECT_EQ(Look(id)->config().resources().oom_score_adj(), 200);
  limits.set_oom_score_adj(300);
  limits.set_cpu_shares(512);
  ASSERT_OK(containers_->Update(ctx_, id, limits));
  EXPECT_EQ(Look(id)->config().resources().oom_score_adj(), 200);
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

// A claim is taken before anything is made, and is the container's then.
TEST_F(ManagerTest, AStandaloneContainersNameIsItsOwnOnTheNode) {
  const auto make = [this](const std::string& token, const std::string& name) {
    SandboxConfig config = Pod(token);
    config.set_kind(SANDBOX_KIND_STANDALONE);
    const auto in = sandboxes_->Create(ctx_, config);
    EXPECT_OK(in);
    std::optional<NameIndex::Claim> claim = world_->ClaimName(name);
    EXPECT_TRUE(claim->mine());
    return containers_->Create(ctx_, *in, App(name), std::move(claim));
  };
  const auto holder = [this](const std::string& name) {
    const NameIndex::Claim claim = world_->ClaimName(name);
    return claim.mine() ? "" : claim.id();
  };
  images_.failures.Set("Acquire", Unavailable("on purpose"));
  EXPECT_FALSE(make("1", "a").ok());
  images_.failures.Clear("Acquire");
  EXPECT_EQ(holder("a"), "");  // at once
  ASSERT_OK_AND_ASSIGN(const ContainerId a, make("2", "a"));
  ASSERT_OK_AND_ASSIGN(const ContainerId b, make("3", "b"));
  EXPECT_EQ(holder("a"), a.str());
  EXPECT_THAT(containers_->Rename(ctx_, b, "a"),
              StatusIs(StatusCode::kAlreadyExists));
  EXPECT_EQ(Look(b)->config().name(), "b");
  Restart();
  EXPECT_EQ(holder("a"), a.str());
  ASSERT_OK(containers_->Rename(ctx_, a, "c"));
  EXPECT_EQ(holder("a"), "");
  ASSERT_OK(containers_->Rename(ctx_, b, "a"));
  EXPECT_EQ(holder("b"), "");
  ASSERT_OK(containers_->Remove(ctx_, b));
  EXPECT_EQ(holder("a"), "");
  EXPECT_EQ(holder("c"), a.str());
}

// A question of the shim's stays there until the process ends.
TEST_F(ManagerTest, AnExecIsWaitedForWithOneQuestion) {
  const SandboxId pod = StartPod();
  const ContainerId id = StartApp(pod);
  ExecConfig config;
  config.args = {"/bin/app"};
  config.stdin = config.stdout = config.stderr = false;
  ASSERT_OK_AND_ASSIGN(const StreamSession session,
                       streams_->Exec(ctx_, id, config));
  const int before = shims_.failures.Calls("task WhenExited");
  for (int i = 0; i < 5; ++i) {
    EXPECT_THAT(session.Wait(ctx_.WithTimeout(1ms)),
                StatusIs(StatusCode::kDeadlineExceeded));
  }
  EXPECT_EQ(shims_.failures.Calls("task WhenExited"), before + 1);
  ASSERT_OK(session.Signal(ctx_, SIGKILL));
  EXPECT_THAT(session.Wait(ctx_), IsOkAndHolds(137));
  EXPECT_THAT(session.Wait(ctx_), IsOkAndHolds(137));
}

TEST_F(ManagerTest, WhatANetworkHasNotTakenBackIsTriedAgain) {
  const SandboxId removed = StartPod();
  network_.LetGo(true);
  ASSERT_OK(sandboxes_->Remove(ctx_, removed));
  shims_.failures.Set("Launch", Internal("no shim"));
  EXPECT_FALSE(sandboxes_->Run(ctx_, Pod("fails")).ok());
  shims_.failures.Clear("Launch");
  EXPECT_THAT(network_.attached(), SizeIs(2));
  EXPECT_THAT(world_->core().releases.AwaitDone(ctx_.WithTimeout(10ms)),
              StatusIs(StatusCode::kDeadlineExceeded));
  // One more daemon, and it is not well yet.
  Restart();
  EXPECT_THAT(network_.attached(), SizeIs(2));
  network_.LetGo(false);
  ASSERT_OK(world_->core().releases.AwaitDone(ctx_));
  EXPECT_THAT(network_.attached(), IsEmpty());
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
  // While it runs, the end of the run before is known.
  const ContainerStatus last = Look(app);
  ASSERT_OK(sandboxes_->Start(ctx_, id));
  ASSERT_OK(containers_->Start(ctx_, app));
  EXPECT_EQ(Look(app)->exit_code(), 0);
  EXPECT_EQ(Look(app)->last_exit_code(), 1);
  EXPECT_EQ(Look(app)->last_finished_at(), last->finished_at());
}

TEST_F(ManagerTest, AnUpdateKeepsWhatItDoesNotName) {
  const SandboxId pod = StartPod();
  Resources overhead, limits;
  overhead.set_memory_limit(1 << 20);
  limits.set_memory_limit(1 << 26);
  ASSERT_OK(sandboxes_->Update(ctx_, pod, overhead, std::nullopt));
  ASSERT_OK(sandboxes_->Update(ctx_, pod, std::nullopt, limits));
  EXPECT_EQ(Look(pod)->config().overhead().memory_limit(), 1 << 20);
  EXPECT_EQ(Look(pod)->config().resources().memory_limit(), 1 << 26);
  ASSERT_OK(sandboxes_->Update(ctx_, pod, Resources(), std::nullopt));
  EXPECT_EQ(Look(pod)->config().overhead().memory_limit(), 0);
  EXPECT_EQ(Look(pod)->config().resources().memory_limit(), 1 << 26);
}

// Here the empty one, which all have without SELinux.
TEST_F(ManagerTest, ALevelIsFreeWhenTheLastThatHasItIsGone) {
  const auto free = [&] {
    return world_->core().levels.Take("", "another").mine();
  };
  std::vector<SandboxId> pods;
  for (const char* name : {"a", "b", "c"}) {
    ASSERT_OK_AND_ASSIGN(const SandboxId id, sandboxes_->Run(ctx_, Pod(name)));
    if (!Look(id)->selinux_level().empty()) GTEST_SKIP() << "SELinux is on";
    pods.push_back(id);
  }
  ASSERT_OK(sandboxes_->Remove(ctx_, pods[0]));
  EXPECT_FALSE(free());
  Restart();
  ASSERT_OK(sandboxes_->Remove(ctx_, pods[2]));
  EXPECT_FALSE(free());
  ASSERT_OK(sandboxes_->Remove(ctx_, pods[1]));
  EXPECT_TRUE(free());
}

}  // namespace
}  // namespace berth::sandbox
