// NRI plugins beside the managers: what they hear, and what they may change.
#include "nri/plugins.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/testing/status_matchers.h"
#include "nri/testing/fake_plugin.h"
#include "sandbox/plugin_runtime.h"
#include "sandbox/testing/manager_fixture.h"

namespace berth::sandbox {
namespace {

namespace api = nri::api;
using namespace ::berth::state::v1;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using CreateRequest = api::CreateContainerRequest;
using CreateAnswer = api::CreateContainerResponse;

class PluginTest : public ManagerTest {
 protected:
  void SetUp() override {
    nri::Options options;
    options.reception.version = "1";
    options.reception.socket = socket_;
    options.reception.times.request = std::chrono::seconds(20);
    service_ = std::make_unique<nri::Plugins>(options);
    plugins_ = service_.get();
    ManagerTest::SetUp();
    if (!world_) return;
    ASSERT_OK(service_->Start(PluginRuntime(*world_)));
  }
  void TearDown() override {
    plugin_.Leave();
    service_->Stop();
    ManagerTest::TearDown();
  }

  // Returns when events go to it.
  void Connect(nri::FakePlugin& plugin) {
    ASSERT_TRUE(plugin.Connect(socket_));
    while (!service_->Wants(api::CREATE_CONTAINER)) sched_yield();
  }
  void OnCreate(std::function<StatusOr<CreateAnswer>(const CreateRequest&)> f) {
    plugin_.On<CreateRequest, CreateAnswer>("CreateContainer", std::move(f));
  }
  std::string Bundle(const ContainerId& id) {
    std::ifstream file(shims_.Process(id.str()).request.bundle +
                       "/config.json");
    return {std::istreambuf_iterator<char>(file), {}};
  }

  const std::string socket_ = dir_.Path("nri.sock");
  std::unique_ptr<nri::Plugins> service_;
  nri::FakePlugin plugin_{"10", "a"};
};

TEST_F(PluginTest, HearsOfAWholeLifeInOrder) {
  Connect(plugin_);
  const SandboxId pod = StartPod();
  const ContainerId app = StartApp(pod);
  Resources limits;
  limits.set_memory_limit(1 << 26);
  ASSERT_OK(containers_->Update(ctx_, app, limits));
  ASSERT_OK(sandboxes_->Update(ctx_, pod, limits, limits));
  ASSERT_OK(containers_->Stop(ctx_, app, Duration(0)));
  ASSERT_OK(containers_->Remove(ctx_, app));
  ASSERT_OK(sandboxes_->Stop(ctx_, pod));
  ASSERT_OK(sandboxes_->Remove(ctx_, pod));
  EXPECT_THAT(
      plugin_.calls(),
      ElementsAre("RunPodSandbox", "CreateContainer",
                  "ValidateContainerAdjustment", "PostCreateContainer",
                  "StartContainer", "PostStartContainer", "UpdateContainer",
                  "PostUpdateContainer", "UpdatePodSandbox",
                  "PostUpdatePodSandbox", "StopContainer", "RemoveContainer",
                  "StopPodSandbox", "RemovePodSandbox"));
}

TEST_F(PluginTest, WhatIsAdjustedIsInThePlanOfEachStart) {
  OnCreate([](const CreateRequest& request) {
    EXPECT_EQ(request.container().name(), "app");
    EXPECT_EQ(request.container().args(0), "/bin/app");
    EXPECT_GT(request.container().mounts_size(), 3);
    CreateAnswer answer;
    api::ContainerAdjustment& adjust = *answer.mutable_adjust();
    api::KeyValue& env = *adjust.add_env();
    env.set_key("BY_PLUGIN");
    env.set_value("yes");
    auto& linux = *adjust.mutable_linux();
    linux.mutable_resources()->mutable_memory()->mutable_limit()->set_value(
        1 << 26);
    linux.mutable_oom_score_adj()->set_value(500);
    return answer;
  });
  Connect(plugin_);
  const SandboxId pod = StartPod();
  ASSERT_OK_AND_ASSIGN(const ContainerId app,
                       containers_->Create(ctx_, pod, App()));
  EXPECT_EQ(Look(app)->config().resources().memory_limit(), 1 << 26);
  EXPECT_EQ(Look(app)->config().resources().oom_score_adj(), 500);
  // A daemon that comes after has no plugin, and starts it all the same.
  plugin_.Leave();
  service_->Stop();
  plugins_ = nullptr;
  Restart();
  Resources limits;
  limits.set_memory_limit(1 << 27);
  ASSERT_OK(containers_->Update(ctx_, app, limits));
  ASSERT_OK(containers_->Start(ctx_, app));
  EXPECT_THAT(Bundle(app), HasSubstr("BY_PLUGIN=yes"));
  EXPECT_THAT(Bundle(app), HasSubstr("\"limit\":134217728"));
}

TEST_F(PluginTest, NothingIsSeenBeforeItsWord) {
  std::atomic<bool> pod_seen = false, app_seen = false;
  plugin_.On("RunPodSandbox", [&](const std::string&) -> StatusOr<std::string> {
    pod_seen = !world_->inventory().Sandboxes({}).empty();
    return std::string();
  });
  OnCreate([&](const CreateRequest&) {
    app_seen = !world_->inventory().Containers({}).empty();
    return CreateAnswer();
  });
  Connect(plugin_);
  StartApp(StartPod());
  EXPECT_FALSE(pod_seen);
  EXPECT_FALSE(app_seen);
}

TEST_F(PluginTest, WhatIsRefusedLeavesNothingAndIsTold) {
  OnCreate([](const CreateRequest& request) -> StatusOr<CreateAnswer> {
    CreateAnswer answer;
    if (request.container().name() == "bad") {
      return InvalidArgument("not this one");
    }
    answer.mutable_adjust()->mutable_linux()->mutable_rdt();
    return answer;
  });
  Connect(plugin_);
  const SandboxId pod = StartPod();
  EXPECT_THAT(
      containers_->Create(ctx_, pod, App("bad")),
      StatusIs(StatusCode::kInvalidArgument,
               ::testing::AllOf(HasSubstr("not this one"), HasSubstr("10-a"))));
  EXPECT_THAT(containers_->Create(ctx_, pod, App("odd")),
              StatusIs(StatusCode::kUnimplemented, HasSubstr("linux.rdt")));
  EXPECT_THAT(world_->core().inventory.AllContainers(), IsEmpty());
  EXPECT_THAT(images_.keys(), IsEmpty());
  EXPECT_THAT(plugin_.calls(),
              ElementsAre("RunPodSandbox", "CreateContainer", "RemoveContainer",
                          "CreateContainer", "ValidateContainerAdjustment",
                          "RemoveContainer"));
}

TEST_F(PluginTest, ARefusedPodLeavesNothing) {
  plugin_.On("RunPodSandbox", [](const std::string&) -> StatusOr<std::string> {
    return ResourceExhausted("no room");
  });
  Connect(plugin_);
  EXPECT_THAT(sandboxes_->Run(ctx_, Pod()),
              StatusIs(StatusCode::kResourceExhausted, HasSubstr("no room")));
  ExpectNothingLeft();
}

TEST_F(PluginTest, OthersAreChangedAndWhatFailsIsAnError) {
  std::string other;
  OnCreate([&](const CreateRequest& request) {
    CreateAnswer answer;
    if (request.container().name() == "first") return answer;
    api::ContainerUpdate& update = *answer.add_update();
    update.set_container_id(request.container().name() == "second" ? other
                                                                   : "none");
    update.mutable_linux()->mutable_resources()->mutable_pids()->set_limit(77);
    return answer;
  });
  Connect(plugin_);
  const SandboxId pod = StartPod();
  const ContainerId first = StartApp(pod, "first");
  other = first.str();
  ASSERT_OK(containers_->Create(ctx_, pod, App("second")));
  EXPECT_EQ(Look(first)->config().resources().pids_limit(), 77);
  EXPECT_THAT(shims_.Process(first.str()).resources, HasSubstr("77"));
  EXPECT_THAT(containers_->Create(ctx_, pod, App("third")),
              StatusIs(StatusCode::kFailedPrecondition, HasSubstr("none")));
}

TEST_F(PluginTest, NewLimitsAreAsThePluginWantsThem) {
  plugin_.On<api::UpdateContainerRequest, api::UpdateContainerResponse>(
      "UpdateContainer", [](const api::UpdateContainerRequest& request) {
        EXPECT_EQ(request.linux_resources().memory().limit().value(), 1 << 26);
        api::UpdateContainerResponse answer;
        api::ContainerUpdate& update = *answer.add_update();
        update.set_container_id(request.container().id());
        update.mutable_linux()
            ->mutable_resources()
            ->mutable_memory()
            ->mutable_limit()
            ->set_value(1 << 27);
        return answer;
      });
  Connect(plugin_);
  const ContainerId app = StartApp(StartPod());
  Resources limits;
  limits.set_memory_limit(1 << 26);
  limits.set_memory_swap_limit(1 << 26);  // it may not swap
  limits.set_cpu_shares(512);
  ASSERT_OK(containers_->Update(ctx_, app, limits));
  EXPECT_EQ(Look(app)->config().resources().memory_limit(), 1 << 27);
  EXPECT_EQ(Look(app)->config().resources().memory_swap_limit(), 1 << 27);
  EXPECT_EQ(Look(app)->config().resources().cpu_shares(), 512);
}

TEST_F(PluginTest, ByItselfItUpdatesAndEvicts) {
  Connect(plugin_);
  const ContainerId app = StartApp(StartPod());
  api::UpdateContainersRequest request;
  api::ContainerUpdate& update = *request.add_update();
  update.set_container_id(app.str());
  update.mutable_linux()->mutable_resources()->mutable_pids()->set_limit(5);
  request.add_update()->set_container_id("nobody");
  request.add_evict()->set_container_id(app.str());
  ASSERT_OK_AND_ASSIGN(
      const std::string bytes,
      plugin_.Ask("UpdateContainers", request.SerializeAsString()));
  api::UpdateContainersResponse response;
  ASSERT_TRUE(response.ParseFromString(bytes));
  ASSERT_EQ(response.failed_size(), 1);
  EXPECT_EQ(response.failed(0).container_id(), "nobody");
  EXPECT_EQ(Look(app)->config().resources().pids_limit(), 5);
  EXPECT_OK(containers_->Wait(ctx_, app));
}

TEST_F(PluginTest, StandaloneContainersAreNoneOfItsBusiness) {
  Connect(plugin_);
  SandboxConfig alone = Pod("alone");
  alone.set_kind(SANDBOX_KIND_STANDALONE);
  ASSERT_OK_AND_ASSIGN(const SandboxId id, sandboxes_->Create(ctx_, alone));
  ASSERT_OK(sandboxes_->Start(ctx_, id));
  StartApp(id);
  ASSERT_OK(sandboxes_->Remove(ctx_, id));
  EXPECT_THAT(plugin_.calls(), IsEmpty());
}

// Each container is in what a plugin is shown when it comes, or it is asked.
TEST_F(PluginTest, MissesNoContainerThatIsMadeWhileItComes) {
  const SandboxId pod = StartPod();
  std::set<std::string> known;  // of the plugin's thread, until it has left
  plugin_.On<api::SynchronizeRequest, api::SynchronizeResponse>(
      "Synchronize", [&](const api::SynchronizeRequest& request) {
        for (const auto& one : request.containers()) known.insert(one.name());
        return api::SynchronizeResponse();
      });
  OnCreate([&](const CreateRequest& request) {
    known.insert(request.container().name());
    return CreateAnswer();
  });
  std::atomic<int> made = 0;
  std::thread maker([&] {
    for (int i = 0; i < 40; ++i) {
      EXPECT_OK(containers_->Create(ctx_, pod, App(std::to_string(i))));
      ++made;
    }
  });
  while (made < 10) sched_yield();
  Connect(plugin_);
  maker.join();
  plugin_.Leave();
  EXPECT_EQ(known.size(), 40u);
}

}  // namespace
}  // namespace berth::sandbox
