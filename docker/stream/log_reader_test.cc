#include "docker/stream/log_reader.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "base/context.h"
#include "base/rfc3339.h"
#include "base/testing/fuzz.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "base/unique_fd.h"

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
  // To NAME.gz, as the writer does.
  void Compress(const std::string& name) {
    ASSERT_EQ(system(("gzip -nf " + dir_.Path(name)).c_str()), 0);
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

// The log grows while it is read, faster than it can be read.
TEST_F(ReadLogTest, EndsAtWhatWasThereAtTheBegin) {
  std::string begin;
  for (int i = 0; i < 2000; ++i) begin += Line(1, std::to_string(i));
  dir_.Write("log", begin);
  const UniqueFd log(open(dir_.Path("log").c_str(), O_WRONLY | O_APPEND));
  const std::string more = Line(2, std::string(200, 'x'));
  for (const int64_t tail : {-1, 5, 0}) {
    LogQuery query;
    query.tail = tail;
    std::vector<std::string> texts;
    ASSERT_OK(ReadLog(
        Context::Background().WithTimeout(std::chrono::seconds(20)),
        dir_.Path("log"), query, [] { return true; },
        [&](const LogEntry& entry) {
          texts.push_back(entry.text);
          for (int i = 0; i < 3; ++i) {
            EXPECT_GT(write(log.get(), more.data(), more.size()), 0);
          }
          return OkStatus();
        }));
    if (tail == -1) {
      EXPECT_EQ(texts.size(), 2000u);
    }
    if (tail == 5) {
      EXPECT_EQ(texts.size(), 5u);
    }
    if (tail == 0) {
      EXPECT_THAT(texts, IsEmpty());
    }
  }
}

// Pieces of every size meet the ends of the blocks that are read.
TEST_F(ReadLogTest, FindsTheTailOfLongLinesAndManyFiles) {
  std::vector<std::string> all;
  for (int file = 3; file >= 0; --file) {
    std::string bytes;
    for (int i = 0; i < 40; ++i) {
      all.push_back(std::string(static_cast<size_t>(i) * 97 * 4, 'x') +
                    std::to_string(file * 100 + i) + "\n");
      bytes += Line(1, all.back().substr(0, all.back().size() - 1));
    }
    if (file == 1) bytes += "{\"no end";
    dir_.Write(file == 0 ? "log" : "log." + std::to_string(file), bytes);
  }
  for (const size_t tail : {1u, 2u, 40u, 41u, 100u, 500u}) {
    LogQuery query;
    query.tail = static_cast<int64_t>(tail);
    const size_t count = std::min(tail, all.size());
    EXPECT_EQ(Read(query),
              std::vector<std::string>(all.end() - static_cast<int64_t>(count),
                                       all.end()));
  }
}

// A follower, and a writer that rotates in a way of its own.
class FollowTest : public ReadLogTest {
 protected:
  void Follow(int64_t tail = -1) {
    LogQuery query;
    query.follow = true;
    query.tail = tail;
    reader_ = std::thread([this, query] {
      EXPECT_OK(ReadLog(
          Context::Background(), dir_.Path("log"), query,
          [this] { return alive_.load(); },
          [this](const LogEntry& entry) {
            while (paused_) usleep(100);
            texts_.push_back(entry.text);
            ++count_;
            return OkStatus();
          }));
    });
  }
  void AwaitCount(int count) {
    while (count_ < count) std::this_thread::yield();
  }
  std::vector<std::string> End() {
    alive_ = false;
    reader_.join();
    return texts_;
  }
  void Rename(const std::string& from, const std::string& to) {
    ASSERT_EQ(rename(dir_.Path(from).c_str(), dir_.Path(to).c_str()), 0);
  }

  std::atomic<bool> alive_ = true;
  std::atomic<bool> paused_ = false;
  std::atomic<int> count_ = 0;
  std::vector<std::string> texts_;
  std::thread reader_;
};

TEST_F(FollowTest, ReadsFilesThatCameAndWentOnWhileItWasSlow) {
  dir_.Write("log", Line(1, "a") + Line(1, "b"));
  Follow();
  AwaitCount(2);
  paused_ = true;
  // Appended, and rotated three times before the follower looks again.
  const UniqueFd old(open(dir_.Path("log").c_str(), O_WRONLY | O_APPEND));
  const std::string more = Line(1, "c") + Line(1, "d");
  ASSERT_GT(write(old.get(), more.data(), more.size()), 0);
  Rename("log", "log.1");
  dir_.Write("log", Line(2, "e"));
  Rename("log.1", "log.2");
  Rename("log", "log.1");
  dir_.Write("log", Line(3, "f"));
  Rename("log.2", "log.3");
  Rename("log.1", "log.2");
  Rename("log", "log.1");
  dir_.Write("log", Line(4, "g"));
  paused_ = false;
  AwaitCount(7);
  EXPECT_THAT(End(),
              ElementsAre("a\n", "b\n", "c\n", "d\n", "e\n", "f\n", "g\n"));
}

TEST_F(FollowTest, ReadsFilesThatWereCompressedWhileItWasSlow) {
  dir_.Write("log", Line(1, "a"));
  Follow();
  AwaitCount(1);
  paused_ = true;
  const UniqueFd old(open(dir_.Path("log").c_str(), O_WRONLY | O_APPEND));
  const std::string more = Line(1, "b");
  ASSERT_GT(write(old.get(), more.data(), more.size()), 0);
  Rename("log", "log.2");
  dir_.Write("log.1", Line(2, "c"));
  dir_.Write("log", Line(3, "d"));
  Compress("log.1");
  paused_ = false;
  AwaitCount(4);
  EXPECT_THAT(End(), ElementsAre("a\n", "b\n", "c\n", "d\n"));
}

TEST_F(FollowTest, WaitsForAFileThatIsBeingCompressed) {
  dir_.Write("log", Line(1, "a"));
  Follow();
  AwaitCount(1);
  dir_.Write("next", Line(2, "b"));
  UniqueFd plain(open(dir_.Path("next").c_str(), O_RDONLY));
  ASSERT_EQ(flock(plain.get(), LOCK_EX), 0);
  Rename("log", "log.2");
  Rename("next", "log.1");
  dir_.Write("log", Line(3, "c"));
  usleep(400'000);  // longer than it tries to hold a file
  Compress("log.1");
  plain.reset();
  AwaitCount(3);
  EXPECT_THAT(End(), ElementsAre("a\n", "b\n", "c\n"));
}

TEST_F(FollowTest, GoesOnWhenItsOwnFileHasBeenDeleted) {
  dir_.Write("log", Line(1, "a"));
  Follow();
  AwaitCount(1);
  const UniqueFd old(open(dir_.Path("log").c_str(), O_WRONLY | O_APPEND));
  ASSERT_EQ(unlink(dir_.Path("log").c_str()), 0);
  const std::string more = Line(1, "b");
  ASSERT_GT(write(old.get(), more.data(), more.size()), 0);
  dir_.Write("log", Line(2, "c"));
  AwaitCount(3);
  EXPECT_THAT(End(), ElementsAre("a\n", "b\n", "c\n"));
}

TEST_F(FollowTest, HoldsTheFileThatItReads) {
  dir_.Write("log", Line(1, "a"));
  Follow(0);
  const UniqueFd file(open(dir_.Path("log").c_str(), O_RDONLY));
  while (flock(file.get(), LOCK_EX | LOCK_NB) == 0) {
    flock(file.get(), LOCK_UN);
    usleep(100);
  }
  Rename("log", "log.1");
  dir_.Write("log", Line(2, "b"));
  AwaitCount(1);
  // It has gone on.
  while (flock(file.get(), LOCK_EX | LOCK_NB) != 0) usleep(100);
  EXPECT_THAT(End(), ElementsAre("b\n"));
}

TEST_F(ReadLogTest, ReadsCompressedFiles) {
  dir_.Write("log.2", Line(1, "a") + Line(2, "b"));
  dir_.Write("log.1", Line(3, "c"));
  dir_.Write("log", Line(4, "d"));
  Compress("log.2");
  Compress("log.1");
  LogQuery query;
  EXPECT_THAT(Read(query), ElementsAre("a\n", "b\n", "c\n", "d\n"));
  query.tail = 3;
  EXPECT_THAT(Read(query), ElementsAre("b\n", "c\n", "d\n"));
  dir_.Write("log.1.gz", dir_.Read("log.1.gz").substr(0, 30));
  // What was lost with the power costs nothing else.
  query.tail = -1;
  EXPECT_THAT(Read(query), ElementsAre("a\n", "b\n", "d\n"));
  dir_.Write("log.1.gz", "");
  EXPECT_THAT(Read(query), ElementsAre("a\n", "b\n", "d\n"));
}

// What nobody asks for is not uncompressed.
TEST_F(ReadLogTest, EndsInTheMiddleOfAFileWithItsContext) {
  std::string lines;
  for (int i = 0; i < 100'000; ++i) lines += Line(1, "a");
  dir_.Write("log.1", lines);
  Compress("log.1");
  dir_.Write("log", Line(4, "d"));
  const Context gone = Context::Background().WithCancel();
  gone.Cancel();
  EXPECT_FALSE(ReadLog(
                   gone, dir_.Path("log"), {}, [] { return false; },
                   [](const LogEntry&) { return OkStatus(); })
                   .ok());
  LogQuery query;
  query.tail = 1;
  EXPECT_THAT(Read(query), ElementsAre("d\n"));
}

TEST_F(ReadLogTest, RefusesWhatIsNotAFile) {
  ASSERT_EQ(mkfifo(dir_.Path("log").c_str(), 0600), 0);
  EXPECT_THAT(
      ReadLog(
          Context::Background(), dir_.Path("log"), {}, [] { return false; },
          [](const LogEntry&) { return OkStatus(); }),
      StatusIs(StatusCode::kInvalidArgument));
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
       [](const std::string& line) { return ParseLogLine(line).has_value(); });
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
