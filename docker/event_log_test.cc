#include "docker/event_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "base/context.h"
#include "base/testing/json.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "docker/event_file.h"

namespace berth::docker {
namespace {

using namespace std::chrono_literals;
using sandbox::Event;
using ::testing::ElementsAre;
using ::testing::SizeIs;

const Context ctx = Context::Background().WithTimeout(20s);

class EventLogTest : public ::testing::Test {
 protected:
  void Happens(Event::Type type, const std::string& container, int code = 0) {
    Event event;
    event.type = type;
    event.sandbox_id = "s";
    event.container_id = container;
    event.exit_code = code;
    bus_.Publish(event);
  }

  sandbox::EventBus bus_;
  sandbox::Inventory inventory_;
  EventLog log_{bus_, inventory_};
};

TEST_F(EventLogTest, TellsOfContainersInDockersWords) {
  // What happens before the start is not lost.
  Happens(Event::Type::kContainerCreated, "c");
  ASSERT_OK(log_.Start(""));
  Happens(Event::Type::kSandboxStarted, "");  // nothing that Docker tells of
  Happens(Event::Type::kExecStarted, "c");
  Happens(Event::Type::kContainerStarted, "c");
  Happens(Event::Type::kContainerPaused, "c");
  Happens(Event::Type::kContainerResumed, "c");
  Happens(Event::Type::kContainerUpdated, "c");
  Happens(Event::Type::kContainerOom, "c");
  Happens(Event::Type::kContainerKilled, "c");
  Happens(Event::Type::kContainerExited, "c", 137);
  Happens(Event::Type::kContainerRemoved, "c");
  ASSERT_OK(log_.Read(ctx, 9));
  std::vector<std::string> actions;
  for (const DockerEvent& event : log_.Kept()) {
    EXPECT_EQ(event.type, "container");
    EXPECT_EQ(event.id, "c");
    actions.push_back(event.action);
    EXPECT_EQ(event.number, actions.size());
    if (event.action == "kill") {
      EXPECT_EQ(event.attributes.at("signal"), "9");
    }
    if (event.action == "die") {
      EXPECT_EQ(event.attributes.at("exitCode"), "137");
      EXPECT_EQ(event.attributes.at("execDuration"), "0");
    }
  }
  EXPECT_THAT(actions, ElementsAre("create", "start", "pause", "unpause",
                                   "update", "oom", "kill", "die", "destroy"));
}

TEST_F(EventLogTest, TellsOfAStartToCome) {
  ASSERT_OK(log_.Start("", [](const std::string& id) { return id == "c"; }));
  Happens(Event::Type::kContainerExited, "c");
  Happens(Event::Type::kContainerExited, "d");
  ASSERT_OK(log_.Read(ctx, 2));
  log_.Stop();
  const std::vector<DockerEvent> kept = log_.Kept();
  EXPECT_EQ(kept[0].attributes.at("restarting"), "true");
  EXPECT_EQ(kept[1].attributes.count("restarting"), 0u);
}

TEST_F(EventLogTest, ReadWaitsForTheNumber) {
  EXPECT_THAT(log_.Read(ctx.WithTimeout(1ms), log_.Next()),
              StatusIs(StatusCode::kDeadlineExceeded));
  log_.Publish("volume", "create", "v1", {{"driver", "local"}});
  log_.Publish("image", "pull", "i", {});
  ASSERT_OK_AND_ASSIGN(const auto both, log_.Read(ctx, 1));
  ASSERT_THAT(both, SizeIs(2));
  ASSERT_OK_AND_ASSIGN(const auto last, log_.Read(ctx, 2));
  ASSERT_THAT(last, SizeIs(1));
  EXPECT_EQ(last[0].type, "image");
  EXPECT_EQ(log_.Next(), 3u);
}

TEST_F(EventLogTest, KeepsTheLast) {
  for (int i = 0; i < 300; ++i) {
    log_.PublishContainer("kill", "c", {{"signal", std::to_string(i)}});
  }
  const std::vector<DockerEvent> kept = log_.Kept();
  ASSERT_THAT(kept, SizeIs(256));
  EXPECT_EQ(kept.front().number, 45u);
  EXPECT_EQ(kept.back().attributes.at("signal"), "299");
  EXPECT_THAT(*log_.Read(ctx, 1), SizeIs(256));
}

TEST_F(EventLogTest, TellsOfWhatWasBeforeItsStart) {
  TempDir dir;
  const std::string file = dir.Path("events");
  {
    EventLog before(bus_, inventory_);
    ASSERT_OK(before.Start(file));
    before.Publish("volume", "create", "v1", {{"driver", "local"}});
    before.Publish("image", "pull", "i", {});
  }
  log_.Publish("volume", "create", "v2", {});
  ASSERT_OK(log_.Start(file));
  log_.Publish("volume", "destroy", "v2", {});
  std::vector<std::string> ids;
  for (const DockerEvent& event : log_.Kept()) {
    ids.push_back(event.id);
    EXPECT_EQ(event.number, ids.size());
    EXPECT_GT(event.time, 0);
  }
  EXPECT_THAT(ids, ElementsAre("v1", "i", "v2", "v2"));
  EXPECT_EQ(log_.Kept()[0].attributes.at("driver"), "local");
  EXPECT_EQ(log_.Next(), 5u);
}

TEST(EventFileTest, KeepsTheLast) {
  TempDir dir;
  const std::string file = dir.Path("events");
  const auto append = [&](EventFile& events, int first, int last) {
    for (int i = first; i <= last; ++i) {
      DockerEvent event;
      event.id = std::to_string(i);
      event.attributes = {{"a\n", "\"b"}};
      ASSERT_OK(events.Append({event}));
    }
  };
  EventFile events(file, 10);
  EXPECT_THAT(events.Load(), SizeIs(0));
  append(events, 1, 95);
  EventFile again(file, 10);
  std::vector<DockerEvent> loaded = again.Load();
  ASSERT_THAT(loaded, SizeIs(10));
  EXPECT_EQ(loaded.front().id, "86");
  EXPECT_EQ(loaded.back().id, "95");
  EXPECT_EQ(loaded.back().attributes.at("a\n"), "\"b");
  const std::string text = dir.Read("events");
  EXPECT_LE(std::count(text.begin(), text.end(), '\n'), 20);
  // What was torn by a crash, or is no event.
  dir.Write("events", "{\"time\": 1}\n7\n{\"id\": 7}\n{\"tim");
  EXPECT_THAT(again.Load(), SizeIs(1));
  append(again, 1, 1);
  EXPECT_EQ(again.Load().back().id, "1");
}

TEST(DockerEventTest, IsJson) {
  DockerEvent event;
  event.time = 1'500'000'001;
  event.type = "container";
  event.action = "start";
  event.id = "c";
  event.attributes = {{"image", "busybox"}};
  EXPECT_EQ(event.ToJson(true), Parsed(R"({
      "Type": "container", "Action": "start", "scope": "local", "time": 1,
      "timeNano": 1500000001, "status": "start", "id": "c", "from": "busybox",
      "Actor": {"ID": "c", "Attributes": {"image": "busybox"}}})"));
  EXPECT_EQ(event.ToJson(false), Parsed(R"({
      "Type": "container", "Action": "start", "scope": "local", "time": 1,
      "timeNano": 1500000001,
      "Actor": {"ID": "c", "Attributes": {"image": "busybox"}}})"));
  event.type = "volume";
  EXPECT_EQ(event.ToJson(true).Find("status"), nullptr);
  EXPECT_EQ(event.ToJson(true).Find("from"), nullptr);
}

}  // namespace
}  // namespace berth::docker
