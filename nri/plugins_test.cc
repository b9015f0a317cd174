#include "nri/plugins.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "base/thread.h"
#include "nri/testing/fake_plugin.h"

namespace berth::nri {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using CreateAnswer = api::CreateContainerResponse;
using CreateRequest = api::CreateContainerRequest;

class PluginsTest : public ::testing::Test {
 protected:
  void Start() {
    Options options;
    options.reception.version = "1";
    options.reception.socket = socket_;
    options.reception.plugin_dir = dir_.Path("plugins");
    options.reception.config_dir = dir_.Path("conf.d");
    // Long enough for a busy machine: only what hangs waits for it.
    options.reception.times.request = request_time_;
    options.reception.times.registration = request_time_;
    options.validator = validator_;
    plugins_ = std::make_unique<Plugins>(options);
    ASSERT_OK(plugins_->Start({[this] { return everything_; },
                               [this](const Context&, const Changes& changes) {
                                 MutexLock lock(mutex_);
                                 changes_.push_back(changes);
                                 return failed_;
                               }}));
  }

  StatusOr<Merge> Create() {
    request_.mutable_container()->set_id("c1");
    return plugins_->Create(ctx_, request_);
  }
  Status Tell(api::Event event) {
    api::StateChangeEvent told;
    told.set_event(event);
    told.mutable_pod()->set_id("p1");
    return plugins_->Tell(ctx_, told);
  }
  std::vector<Changes> changes() {
    MutexLock lock(mutex_);
    return changes_;
  }

  TempDir dir_;
  const std::string socket_ = dir_.Path("nri.sock");
  Duration request_time_ = std::chrono::seconds(20);
  ValidatorSettings validator_;
  const Context ctx_ = Context::Background();
  api::SynchronizeRequest everything_;
  std::vector<api::ContainerUpdate> failed_;
  CreateRequest request_;
  Mutex mutex_;
  std::vector<Changes> changes_ GUARDED_BY(mutex_);
  std::unique_ptr<Plugins> plugins_;
};

FakePlugin::Handler SetsEnv(const std::string& key, const std::string& value) {
  return [=](const std::string&) -> StatusOr<std::string> {
    CreateAnswer answer;
    api::KeyValue& env = *answer.mutable_adjust()->add_env();
    env.set_key(key);
    env.set_value(value);
    return answer.SerializeAsString();
  };
}

TEST_F(PluginsTest, AreAskedInTheOrderOfTheirIndices) {
  Start();
  EXPECT_FALSE(plugins_->Wants(api::CREATE_CONTAINER));
  std::vector<std::string> seen;
  FakePlugin late("20", "b"), early("10", "a");
  late.On<CreateRequest, CreateAnswer>(
      "CreateContainer", [&](const CreateRequest& request) {
        seen.assign(request.container().env().begin(),
                    request.container().env().end());
        return CreateAnswer();
      });
  early.On("CreateContainer", SetsEnv("FIRST", "yes"));
  ASSERT_TRUE(late.Connect(socket_));
  ASSERT_TRUE(early.Connect(socket_));
  // Synchronized is not yet asked: Join ends a moment later.
  while (!plugins_->Wants(api::CREATE_CONTAINER)) sched_yield();
  ASSERT_OK(plugins_->KeepJoinersOut(ctx_).status());
  ASSERT_OK_AND_ASSIGN(const Merge merge, Create());
  EXPECT_THAT(merge.adjustment().env(), SizeIs(1));
  EXPECT_THAT(seen, ElementsAre("FIRST=yes"));
}

TEST_F(PluginsTest, HearOnlyOfWhatTheyWant) {
  Start();
  FakePlugin plugin("10", "a");
  plugin.set_events(MaskOf(api::STOP_POD_SANDBOX));
  ASSERT_TRUE(plugin.Connect(socket_));
  while (!plugins_->Wants(api::STOP_POD_SANDBOX)) sched_yield();
  EXPECT_FALSE(plugins_->Wants(api::RUN_POD_SANDBOX));
  ASSERT_OK(Tell(api::RUN_POD_SANDBOX));
  ASSERT_OK(Tell(api::STOP_POD_SANDBOX));
  ASSERT_OK_AND_ASSIGN(const Merge merge, Create());
  EXPECT_THAT(plugin.calls(), ElementsAre("StopPodSandbox"));
}

TEST_F(PluginsTest, AnOldOneHearsOfStateChanges) {
  Start();
  FakePlugin plugin("10", "a");
  const auto unknown = [](const std::string&) -> StatusOr<std::string> {
    return Unimplemented("no such method");
  };
  plugin.On("RunPodSandbox", unknown);
  plugin.On("StopPodSandbox", unknown);
  ASSERT_TRUE(plugin.Connect(socket_));
  while (!plugins_->Wants(api::RUN_POD_SANDBOX)) sched_yield();
  ASSERT_OK(Tell(api::RUN_POD_SANDBOX));
  ASSERT_OK(Tell(api::STOP_POD_SANDBOX));
  EXPECT_THAT(plugin.calls(),
              ElementsAre("RunPodSandbox", "StateChange", "StateChange"));
}

TEST_F(PluginsTest, AnErrorIsTheEvents) {
  Start();
  FakePlugin first("10", "a"), second("20", "b");
  first.On("RunPodSandbox", [](const std::string&) -> StatusOr<std::string> {
    return ResourceExhausted("no room for it");
  });
  ASSERT_TRUE(first.Connect(socket_));
  ASSERT_TRUE(second.Connect(socket_));
  ASSERT_OK(plugins_->KeepJoinersOut(ctx_).status());
  EXPECT_THAT(Tell(api::RUN_POD_SANDBOX),
              StatusIs(StatusCode::kResourceExhausted,
                       ::testing::AllOf(HasSubstr("no room for it"),
                                        HasSubstr("10-a"))));
  EXPECT_THAT(second.calls(), IsEmpty());
}

TEST_F(PluginsTest, OneThatHangsIsDroppedAndTheRestGoesOn) {
  request_time_ = std::chrono::milliseconds(300);
  Start();
  FakePlugin hangs("10", "a"), works("20", "b");
  hangs.Hang("CreateContainer");
  works.On("CreateContainer", SetsEnv("B", "1"));
  ASSERT_TRUE(hangs.Connect(socket_));
  ASSERT_TRUE(works.Connect(socket_));
  ASSERT_OK(plugins_->KeepJoinersOut(ctx_).status());
  ASSERT_OK_AND_ASSIGN(const Merge merge, Create());
  EXPECT_THAT(merge.adjustment().env(), SizeIs(1));
  hangs.AwaitEnd();
}

TEST_F(PluginsTest, OneThatDiesOrLiesIsDroppedAndTheRestGoesOn) {
  for (const bool lies : {true, false}) {
    Start();
    FakePlugin bad("10", "a"), works("20", "b");
    bad.On("CreateContainer", [&](const std::string&) -> StatusOr<std::string> {
      if (lies) return std::string("\xff\xff\xff no message");
      bad.SendRaw(std::string(8, '\xff'));
      return std::string();
    });
    works.On("CreateContainer", SetsEnv("B", "1"));
    ASSERT_TRUE(bad.Connect(socket_));
    ASSERT_TRUE(works.Connect(socket_));
    ASSERT_OK(plugins_->KeepJoinersOut(ctx_).status());
    ASSERT_OK_AND_ASSIGN(const Merge merge, Create());
    EXPECT_THAT(merge.adjustment().env(), SizeIs(1));
    bad.AwaitEnd();
    plugins_.reset();
  }
}

TEST_F(PluginsTest, ACallersOwnTimeCostsNoPlugin) {
  Start();
  FakePlugin slow("10", "a");
  slow.Hang("RunPodSandbox");
  ASSERT_TRUE(slow.Connect(socket_));
  ASSERT_OK(plugins_->KeepJoinersOut(ctx_).status());
  api::StateChangeEvent event;
  event.set_event(api::RUN_POD_SANDBOX);
  EXPECT_THAT(
      plugins_->Tell(ctx_.WithTimeout(std::chrono::milliseconds(50)), event),
      StatusIs(StatusCode::kDeadlineExceeded));
  EXPECT_OK(Tell(api::STOP_POD_SANDBOX));
  EXPECT_THAT(slow.calls(), ElementsAre("RunPodSandbox", "StopPodSandbox"));
}

TEST_F(PluginsTest, WhoDoesNotRegisterInTimeOrRightlyIsTurnedAway) {
  request_time_ = std::chrono::milliseconds(300);
  Start();
  FakePlugin silent("10", "a"), wrong_index("1", "a"), wrong_name("10", "a/b");
  FakePlugin wants_unknown("10", "a");
  EXPECT_FALSE(wrong_index.Connect(socket_));
  EXPECT_FALSE(wrong_name.Connect(socket_));
  wants_unknown.set_events(1u << 20);
  EXPECT_FALSE(wants_unknown.Connect(socket_));
  silent.Hang("Configure");
  EXPECT_FALSE(silent.Connect(socket_));
  EXPECT_FALSE(plugins_->Wants(api::RUN_POD_SANDBOX));
}

TEST_F(PluginsTest, AManyPartedSynchronizeHasEachObjectOnce) {
  for (int i = 0; i < 100; ++i) {
    api::Container& container = *everything_.add_containers();
    container.set_id(std::to_string(i));
    container.set_status_message(std::string(100000, 'x'));
    everything_.add_pods()->set_id(std::to_string(i));
  }
  Start();
  FakePlugin plugin("10", "a");
  int parts = 0, pods = 0, containers = 0;
  plugin.On<api::SynchronizeRequest, api::SynchronizeResponse>(
      "Synchronize", [&](const api::SynchronizeRequest& request) {
        ++parts;
        pods += request.pods_size();
        containers += request.containers_size();
        api::SynchronizeResponse response;
        response.set_more(request.more());
        if (!request.more()) response.add_update()->set_container_id("7");
        return response;
      });
  ASSERT_TRUE(plugin.Connect(socket_));
  EXPECT_EQ(parts, 3);
  EXPECT_EQ(pods, 100);
  EXPECT_EQ(containers, 100);
  while (changes().empty()) sched_yield();
  EXPECT_EQ(changes()[0].updates[0].container_id(), "7");
}

TEST_F(PluginsTest, ASynchronizeWaitsForWhatIsBeingMade) {
  Start();
  FakePlugin plugin("10", "a");
  std::string seen;
  std::atomic<bool> configured = false;
  plugin.On("Configure", [&](const std::string&) -> StatusOr<std::string> {
    configured = true;
    return std::string();
  });
  plugin.On<api::SynchronizeRequest, api::SynchronizeResponse>(
      "Synchronize", [&](const api::SynchronizeRequest& request) {
        seen = request.pods_size() > 0 ? request.pods(0).id() : "nothing";
        return api::SynchronizeResponse();
      });
  Thread connects;
  {
    ASSERT_OK_AND_ASSIGN(const Gate::Pass making,
                         plugins_->KeepJoinersOut(ctx_));
    connects = *StartThread("c", [&] { plugin.Connect(socket_); });
    while (!configured) sched_yield();  // next it is shown what is there
    everything_.add_pods()->set_id("made");
  }
  connects.Join();
  EXPECT_EQ(seen, "made");
}

TEST_F(PluginsTest, UpdatesByItselfAreDoneAndTheFailedTold) {
  Start();
  FakePlugin plugin("10", "a");
  ASSERT_TRUE(plugin.Connect(socket_));
  failed_.emplace_back().set_container_id("c2");
  api::UpdateContainersRequest request;
  request.add_update()->set_container_id("c2");
  request.add_evict()->set_container_id("c3");
  ASSERT_OK_AND_ASSIGN(
      const std::string answer,
      plugin.Ask("UpdateContainers", request.SerializeAsString()));
  api::UpdateContainersResponse response;
  ASSERT_TRUE(response.ParseFromString(answer));
  ASSERT_THAT(response.failed(), SizeIs(1));
  ASSERT_THAT(changes(), SizeIs(1));
  EXPECT_EQ(changes()[0].evictions[0].container_id(), "c3");
  EXPECT_THAT(plugin.Ask("NoSuchMethod", ""),
              StatusIs(StatusCode::kUnimplemented));
  EXPECT_THAT(plugin.Ask("RegisterPlugin", ""),
              StatusIs(StatusCode::kFailedPrecondition));
}

TEST_F(PluginsTest, AValidatorSeesAllAndMayReject) {
  Start();
  FakePlugin adjusts("10", "a"), validates("90", "v");
  adjusts.set_events(MaskOf(api::CREATE_CONTAINER));
  validates.set_events(MaskOf(api::VALIDATE_CONTAINER_ADJUSTMENT));
  adjusts.On("CreateContainer", SetsEnv("A", "1"));
  using Request = api::ValidateContainerAdjustmentRequest;
  using Answer = api::ValidateContainerAdjustmentResponse;
  validates.On<Request, Answer>(
      "ValidateContainerAdjustment", [](const Request& request) {
        Answer answer;
        const auto& owners = request.owners().owners().at("c1").compound();
        answer.set_reject(true);
        answer.set_reason(owners.at(api::Env).owners().at("A") + " of " +
                          std::to_string(request.plugins_size()));
        return answer;
      });
  ASSERT_TRUE(adjusts.Connect(socket_));
  ASSERT_TRUE(validates.Connect(socket_));
  ASSERT_OK(plugins_->KeepJoinersOut(ctx_).status());
  EXPECT_THAT(Create(), StatusIs(StatusCode::kFailedPrecondition,
                                 HasSubstr("10-a of 2")));
}

TEST_F(PluginsTest, RequiredPluginsAreAskedForWithoutAnyPlugin) {
  validator_.enabled = true;
  validator_.required_plugins = {"must"};
  Start();
  EXPECT_TRUE(plugins_->Wants(api::CREATE_CONTAINER));
  EXPECT_THAT(Create(),
              StatusIs(StatusCode::kFailedPrecondition, HasSubstr("\"must\"")));
  FakePlugin must("10", "must");
  ASSERT_TRUE(must.Connect(socket_));
  ASSERT_OK(plugins_->KeepJoinersOut(ctx_).status());
  EXPECT_OK(Create());
}

TEST_F(PluginsTest, ARequiredPluginThatHangsOrDiesIsMissed) {
  validator_.enabled = true;
  validator_.required_plugins = {"must"};
  request_time_ = std::chrono::milliseconds(300);
  for (const bool hangs : {true, false}) {
    Start();
    FakePlugin must("10", "must");
    if (hangs) {
      must.Hang("CreateContainer");
    } else {
      must.On("CreateContainer",
              [&](const std::string&) -> StatusOr<std::string> {
                must.SendRaw(std::string(8, '\xff'));
                return std::string();
              });
    }
    ASSERT_TRUE(must.Connect(socket_));
    ASSERT_OK(plugins_->KeepJoinersOut(ctx_).status());
    EXPECT_THAT(Create(), StatusIs(StatusCode::kFailedPrecondition,
                                   HasSubstr("\"must\"")));
    must.AwaitEnd();
    plugins_.reset();
  }
}

TEST_F(PluginsTest, AnInstalledOneThatSaysNothingIsEndedAndReaped) {
  request_time_ = std::chrono::milliseconds(300);
  mkdir(dir_.Path("plugins").c_str(), 0755);
  std::ofstream(dir_.Path("plugins/10-sleeper"))
      << "#!/bin/sh\nenv >" << dir_.Path("env") << "\nls -l /proc/$$/fd/3 >>"
      << dir_.Path("env") << "\nexec sleep 1000\n";
  std::ofstream(dir_.Path("plugins/notes")) << "no plugin\n";
  std::ofstream(dir_.Path("plugins/20-wasm"))
      << std::string("\0asm\1\0\0\0", 8) << "rest";
  for (const char* name : {"plugins/10-sleeper", "plugins/20-wasm"}) {
    chmod(dir_.Path(name).c_str(), 0755);
  }
  Start();
  plugins_.reset();
  std::ifstream file(dir_.Path("env"));
  const std::string env((std::istreambuf_iterator<char>(file)), {});
  EXPECT_THAT(env, HasSubstr("NRI_PLUGIN_NAME=sleeper\n"));
  EXPECT_THAT(env, HasSubstr("NRI_PLUGIN_IDX=10\n"));
  EXPECT_THAT(env, HasSubstr("NRI_PLUGIN_SOCKET=3\n"));
  EXPECT_THAT(env, HasSubstr("socket:"));
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1);  // no child is left
}

}  // namespace
}  // namespace berth::nri
