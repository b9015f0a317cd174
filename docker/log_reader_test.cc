#include "docker/log_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "base/context.h"
#include "base/testing/fuzz.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"

namespace berth::docker {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::string Line(int second, const std::string& text,
                 const std::string& stream = "stdout") {
  return "{\"log\":\"" + text + "\\n\",\"stream\":\"" + stream +
         "\",\"time\":\"2026-01-01T00:00:0" + std::to_string(second) +
         ".5Z\"}\n";
}

class ReadLogTest : public ::testing::Test {
 protected:
  std::vector<std::string> Read(const LogQuery& query) {
    std::vector<std::string> texts;
    EXPECT_OK(ReadLog(
        Context::Background(), dir_.Path("log"), query, [] { return false; },
        [&](const LogEntry& entry) {
          texts.push_back(entry.text);
          return OkStatus();
        }));
    return texts;
  }
  TempDir dir_;
};

TEST(ParseLogLineTest, ReadsBothFormats) {
  const auto json = ParseLogLine(Line(1, "a", "stderr"));
  ASSERT_TRUE(json.has_value());
  EXPECT_EQ(json->text, "a\n");
  EXPECT_TRUE(json->from_stderr);
  EXPECT_EQ(json->time, *ParseRfc3339("2026-01-01T00:00:01.5Z"));
  const auto cri = ParseLogLine("2026-01-01T00:00:01.5Z stdout P a  b");
  ASSERT_TRUE(cri.has_value());
  EXPECT_EQ(cri->text, "a  b");
  EXPECT_EQ(cri->time, json->time);
  for (const char* bad : {"", "{", "hello", "x stdout F a", "{\"log\":1}"}) {
    EXPECT_FALSE(ParseLogLine(bad).has_value()) << bad;
  }
  EXPECT_EQ(ParseRfc3339("2026-01-01T01:00:00+01:00"),
            ParseRfc3339("2026-01-01T00:00:00Z"));
  EXPECT_FALSE(ParseRfc3339("0020-01-01T00:00:00Z").has_value());
  EXPECT_FALSE(ParseRfc3339("2300-01-01T00:00:00Z").has_value());
}

TEST_F(ReadLogTest, ReadsRotatedFilesFirst) {
  dir_.Write("log.2", Line(1, "a"));
  dir_.Write("log.1", Line(2, "b") + "garbage\n");
  dir_.Write("log", Line(3, "c") + Line(4, "d", "stderr") + "{\"half");
  EXPECT_THAT(Read({}), ElementsAre("a\n", "b\n", "c\n", "d\n"));
  LogQuery query;
  query.want_stderr = false;
  query.tail = 2;
  EXPECT_THAT(Read(query), ElementsAre("b\n", "c\n"));
  query.tail = 0;
  EXPECT_THAT(Read(query), IsEmpty());
  query.tail = -1;
  query.since = *ParseRfc3339("2026-01-01T00:00:02Z");
  query.until = *ParseRfc3339("2026-01-01T00:00:03Z");
  EXPECT_THAT(Read(query), ElementsAre("b\n"));
}

TEST_F(ReadLogTest, AMissingLogIsEmpty) { EXPECT_THAT(Read({}), IsEmpty()); }

TEST_F(ReadLogTest, FollowsThroughARotation) {
  dir_.Write("log", Line(1, "a"));
  std::atomic<bool> alive = true;
  std::atomic<int> count = 0;
  std::vector<std::string> texts;
  LogQuery query;
  query.follow = true;
  std::thread reader([&] {
    EXPECT_OK(ReadLog(
        Context::Background(), dir_.Path("log"), query,
        [&] { return alive.load(); },
        [&](const LogEntry& entry) {
          texts.push_back(entry.text);
          ++count;
          return OkStatus();
        }));
  });
  while (count < 1) std::this_thread::yield();
  ASSERT_EQ(rename(dir_.Path("log").c_str(), dir_.Path("log.1").c_str()), 0);
  dir_.Write("new", Line(2, "b") + Line(3, "c"));
  ASSERT_EQ(rename(dir_.Path("new").c_str(), dir_.Path("log").c_str()), 0);
  while (count < 3) std::this_thread::yield();
  alive = false;
  reader.join();
  EXPECT_THAT(texts, ElementsAre("a\n", "b\n", "c\n"));
}

TEST_F(ReadLogTest, EndsWithItsContext) {
  dir_.Write("log", Line(1, "a"));
  LogQuery query;
  query.follow = true;
  EXPECT_THAT(
      ReadLog(
          Context::Background().WithTimeout(std::chrono::milliseconds(50)),
          dir_.Path("log"), query, [] { return true; },
          [](const LogEntry&) { return OkStatus(); }),
      StatusIs(StatusCode::kDeadlineExceeded));
}

TEST(ParseLogLineTest, SurvivesAnyBytes) {
  Fuzz({Line(1, "a", "stderr"), "2026-01-01T00:00:01.5Z stdout P a  b",
        "2026-01-01T01:00:00.123456789+01:00 stderr F "},
       {"0000-00-00T00:00:00Z", "9999-12-31T23:59:60Z", " stdout ", "\\ud800",
        "-99:99", "{\"log\":", "}"},
       [](const std::string& line) {
         (void)ParseRfc3339(line);
         return ParseLogLine(line).has_value();
       });
}

TEST_F(ReadLogTest, SurvivesAnyFile) {
  Fuzz(
      {Line(1, "a") + Line(2, "b", "stderr") +
       "2026-01-01T00:00:03Z stdout P c\n2026-01-01T00:00:03Z stdout F d\n"},
      {"\n", "\n\n", std::string(1, '\0'), " F ", " P "},
      [this](const std::string& bytes) {
        dir_.Write("log", bytes);
        LogQuery query;
        const size_t all = Read(query).size();
        query.tail = 1;
        EXPECT_LE(Read(query).size(), 1u);
        return all > 0;
      },
      1'000);
}

}  // namespace
}  // namespace berth::docker
