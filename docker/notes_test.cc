// What inspect is made of, whatever the record holds.
#include "docker/notes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "base/testing/fuzz.h"
#include "base/testing/json.h"
#include "base/testing/status_matchers.h"
#include "docker/container_json.h"
#include "docker/notes_cache.h"

namespace berth::docker {
namespace {

using ::testing::HasSubstr;

View ViewWith(const std::string& notes) {
  View view;
  auto record = std::make_shared<sandbox::ContainerRecord>();
  record->set_id(std::string(64, 'a'));
  record->mutable_config()->set_door_notes(notes);
  view.container = record;
  StatusOr<Notes> parsed = ParseNotes(notes);
  view.notes_status = parsed.status();
  if (parsed.ok())
    view.notes = std::make_shared<const Notes>(*std::move(parsed));
  return view;
}

TEST(NotesTest, ReadsWhatItWrote) {
  Notes notes;
  notes.config = Parsed(R"({"Cmd": ["x"], "Hostname": "h"})");
  notes.host_config = Parsed(
      R"({"AutoRemove": true, "RestartPolicy": {"Name": "on-failure",
          "MaximumRetryCount": 3}})");
  notes.stopped_by_hand = true;
  notes.restarts_before = 7;
  notes.log_directory = "/log";
  ASSERT_OK_AND_ASSIGN(const Notes again, ParseNotes(SerializeNotes(notes)));
  EXPECT_EQ(again.config, notes.config);
  EXPECT_TRUE(again.auto_remove());
  EXPECT_EQ(again.restart_policy(), "on-failure");
  EXPECT_EQ(again.max_retries(), 3);
  EXPECT_TRUE(again.stopped_by_hand);
  EXPECT_EQ(again.restarts_before, 7);
  EXPECT_EQ(again.log_directory, "/log");
}

// The deepest request that is taken is inside of the notes, one deeper.
TEST(NotesTest, ReadsTheDeepestRequest) {
  Notes notes;
  notes.config["Labels"] =
      Parsed(std::string(127, '[') + std::string(127, ']'));
  EXPECT_OK(ParseNotes(SerializeNotes(notes)));
}

TEST(NotesCacheTest, ParsesTheSameNotesOnce) {
  NotesCache cache;
  Notes notes;
  notes.log_directory = "/first";
  const std::string first = SerializeNotes(notes);
  notes.log_directory = "/second";
  const std::string second = SerializeNotes(notes);

  ASSERT_OK_AND_ASSIGN(const auto parsed, cache.Of("a", first));
  ASSERT_OK_AND_ASSIGN(const auto again, cache.Of("a", first));
  EXPECT_EQ(parsed, again);
  // Another container, and other notes of this one.
  ASSERT_OK_AND_ASSIGN(const auto other, cache.Of("b", second));
  EXPECT_EQ(other->log_directory, "/second");
  ASSERT_OK_AND_ASSIGN(const auto changed, cache.Of("a", second));
  EXPECT_EQ(changed->log_directory, "/second");
  EXPECT_EQ(parsed->log_directory, "/first");
  EXPECT_THAT(cache.Of("a", "{"), StatusIs(StatusCode::kInvalidArgument));
}

TEST(NotesCacheTest, ForgetsTheOldest) {
  NotesCache cache;
  const std::string bytes = SerializeNotes({});
  ASSERT_OK_AND_ASSIGN(const auto first, cache.Of("first", bytes));
  for (int i = 0; i < 100; ++i) {
    EXPECT_OK(cache.Of(std::to_string(i), bytes).status());
  }
  EXPECT_EQ(first.use_count(), 1);
  ASSERT_OK_AND_ASSIGN(const auto again, cache.Of("first", bytes));
  EXPECT_NE(first, again);
}

TEST(NotesTest, InspectReportsARecordThatCannotBeRead) {
  for (const char* notes :
       {"", "{", "[]", "7", R"({"Config": []})", R"({"HostConfig": "x"})",
        R"({"RestartsBefore": "many"})"}) {
    const View view = ViewWith(notes);
    EXPECT_THAT(view.notes_status, StatusIs(StatusCode::kInvalidArgument))
        << notes;
    const Json json = InspectJson(view, {});
    EXPECT_THAT(*At(json, "/State/Error").AsText(),
                HasSubstr("record of the create request"))
        << notes;
    EXPECT_EQ(At(json, "/Id"), std::string(64, 'a'));
  }
}

TEST(NotesTest, InspectSurvivesAnyRecord) {
  Notes notes;
  notes.config = Parsed(
      R"({"Cmd": ["x"], "Hostname": "h", "ExposedPorts": {"80/tcp": {}}})");
  notes.host_config = Parsed(
      R"({"NetworkMode": "host", "LogConfig": {"Type": "none"}, "ShmSize": 1,
          "RestartPolicy": {"Name": "always"}, "AutoRemove": false})");
  Fuzz(
      {SerializeNotes(notes)},
      {"null", "[]", "{}", "7", "\"\"", "true", "\"/\""},
      [](const std::string& bytes) {
        const View view = ViewWith(bytes);
        const Json json = InspectJson(view, {});
        (void)SummaryJson(view, {});
        (void)view.restarts();
        EXPECT_OK(ParseJson(DumpJson(json), "inspect", kDeepJson));
        return view.notes_status.ok();
      },
      5'000);
}

}  // namespace
}  // namespace berth::docker
