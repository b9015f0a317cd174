#include "shim/process/log_writer.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "base/unique_fd.h"
#include "shim/process/log_compressor.h"

namespace berth::shim {
namespace {

using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;
using Stream = LogWriter::Stream;

// 2026-01-02T03:04:05.000000006Z
constexpr UnixNanos kTime = 1767323045'000000006;
const std::string kStamp = "2026-01-02T03:04:05.000000006Z";

class LogWriterTest : public ::testing::Test {
 protected:
  std::shared_ptr<LogWriter> Open(const std::string& options) {
    const auto target =
        ParseLogUri("berth-log://" + dir_.Path("log") + "?" + options);
    EXPECT_OK(target);
    auto writer = LogWriter::Open(*target);
    EXPECT_OK(writer);
    return *writer;
  }
  std::string Log(const std::string& name = "log") { return dir_.Read(name); }

  std::string Unpacked(const std::string& name) {
    EXPECT_EQ(
        system(("gzip -dc " + dir_.Path(name) + " >" + dir_.Path("unpacked"))
                   .c_str()),
        0);
    const std::string text = Log("unpacked");
    unlink(dir_.Path("unpacked").c_str());
    return text;
  }

  // Also those that have ended and are not waited for.
  static std::vector<pid_t> Children() {
    const std::string self = std::to_string(getpid());
    std::ifstream file("/proc/self/task/" + self + "/children");
    return {std::istream_iterator<pid_t>(file), {}};
  }

  TempDir dir_;
};

TEST_F(LogWriterTest, MakesTheFileBeforeThereIsOutput) {
  Open("format=cri");
  EXPECT_TRUE(dir_.Exists("log"));
  EXPECT_EQ(Log(), "");
}

TEST_F(LogWriterTest, WritesOneCriRecordALine) {
  const auto log = Open("format=cri");
  log->Write(Stream::kStdout, "hello\n\nwindows\r\n", kTime);
  log->Write(Stream::kStderr, "oops\n", kTime);
  EXPECT_EQ(Log(), kStamp + " stdout F hello\n" + kStamp + " stdout F \n" +
                       kStamp + " stdout F windows\n" + kStamp +
                       " stderr F oops\n");
}

TEST_F(LogWriterTest, MarksJsonRecordsWithAttributes) {
  const auto log = Open("format=json-file&attr=61:62&attr=6322:0a");
  log->Write(Stream::kStdout, "x\n", kTime);
  EXPECT_EQ(Log(), R"({"log":"x\n","stream":"stdout",)"
                   R"("attrs":{"a":"b","c\"":"\n"},"time":")" +
                       kStamp + "\"}\n");
}

TEST_F(LogWriterTest, CompressesWhatItRotates) {
  const auto log = Open("format=json-file&max-size=100&max-file=3&compress=1");
  const auto write = [&](const std::string& text) {
    log->Write(Stream::kStdout, text + "\n", kTime);
    // The process that compresses.
    while (waitpid(-1, nullptr, 0) > 0) {
    }
  };
  write("one");
  EXPECT_FALSE(dir_.Exists("log.1"));
  write("two");
  write("three");
  EXPECT_THAT(Unpacked("log.1.gz"), HasSubstr("two"));
  EXPECT_THAT(Unpacked("log.2.gz"), HasSubstr("one"));
  write("four");
  EXPECT_THAT(Unpacked("log.1.gz"), HasSubstr("three"));
  EXPECT_THAT(Unpacked("log.2.gz"), HasSubstr("two"));
  EXPECT_THAT(Log(), HasSubstr("four"));
  EXPECT_THAT(dir_.Names(),
              UnorderedElementsAre("log", "log.1.gz", "log.2.gz"));
}

TEST_F(LogWriterTest, LeavesAFileThatSomebodyFollowsAsItIs) {
  const auto log = Open("format=json-file&max-size=100&max-file=3&compress=1");
  log->Write(Stream::kStdout, "one\n", kTime);
  const UniqueFd held(open(dir_.Path("log").c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(flock(held.get(), LOCK_SH), 0);
  log->Write(Stream::kStdout, "two\n", kTime);
  while (waitpid(-1, nullptr, 0) > 0) {
  }
  EXPECT_THAT(Log("log.1"), HasSubstr("one"));
  EXPECT_THAT(dir_.Names(), UnorderedElementsAre("log", "log.1"));
}

TEST_F(LogWriterTest, CompressesAFileThatHasANewNameByThen) {
  dir_.Write("log.1", "text");
  const UniqueFd plain(open(dir_.Path("log.1").c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(rename(dir_.Path("log.1").c_str(), dir_.Path("log.2").c_str()), 0);
  dir_.Write("log.1", "another");
  ASSERT_OK(CompressHere(dir_.Path("log"), 3, plain.get()));
  EXPECT_EQ(Unpacked("log.2.gz"), "text");
  EXPECT_EQ(Log("log.1"), "another");
  // And one that is not kept any more.
  const UniqueFd other(open(dir_.Path("log.1").c_str(), O_RDONLY | O_CLOEXEC));
  unlink(dir_.Path("log.1").c_str());
  ASSERT_OK(CompressHere(dir_.Path("log"), 3, other.get()));
  EXPECT_THAT(dir_.Names(), UnorderedElementsAre("log.2.gz"));
}

TEST_F(LogWriterTest, CompressesWithOneProcessAtATime) {
  constexpr size_t kSize = 8 << 20;
  constexpr size_t kRoom = 64 << 10;
  const auto log =
      Open("format=json-file&max-file=5&compress=1&line=1048576&max-size=" +
           std::to_string(kSize));
  const auto write = [&](size_t size) {
    log->Write(Stream::kStdout, std::string(size, 'x') + "\n", kTime);
  };
  write(kSize - kRoom);
  write(2 * kRoom);
  const std::vector<pid_t> first = Children();
  ASSERT_EQ(first.size(), 1u);
  ASSERT_EQ(kill(first[0], SIGSTOP), 0);
  write(kSize - kRoom);
  write(kSize - kRoom);
  EXPECT_EQ(Children(), first);
  EXPECT_TRUE(dir_.Exists("log.3"));
  ASSERT_EQ(kill(first[0], SIGCONT), 0);
  const auto reap = [] {
    while (waitpid(-1, nullptr, 0) > 0) {
    }
  };
  reap();
  // Those that it came too early for are the next one's.
  write(kSize - kRoom);
  reap();
  EXPECT_THAT(dir_.Names(), UnorderedElementsAre("log", "log.1.gz", "log.2.gz",
                                                 "log.3.gz", "log.4.gz"));
}

TEST_F(LogWriterTest, RemovesWhatAKilledCompressorLeft) {
  dir_.Write("log.gz.123", "half");
  dir_.Write("log.1.gz", "whole");
  dir_.Write("logs.gz.123", "another's");
  Open("format=json-file&max-size=100&max-file=3&compress=1");
  EXPECT_THAT(dir_.Names(),
              UnorderedElementsAre("log", "log.1.gz", "logs.gz.123"));
}

TEST_F(LogWriterTest, WaitsForAFollowerOfACompressedFile) {
  const auto log = Open("format=json-file&max-size=100&max-file=2&compress=1");
  const auto line = [&](const std::string& text) {
    log->Write(Stream::kStdout, text + "\n", kTime);
    while (waitpid(-1, nullptr, 0) > 0) {
    }
  };
  line("one");
  line("two");
  const int follower = open(dir_.Path("log.1.gz").c_str(), O_RDONLY);
  ASSERT_EQ(flock(follower, LOCK_SH), 0);
  line("three");  // it is deleted itself, what follows is not
  line("four");
  line("five");
  EXPECT_THAT(Log(), HasSubstr("three"));
  EXPECT_THAT(Log(), HasSubstr("five"));
  EXPECT_THAT(Unpacked("log.1.gz"), HasSubstr("two"));
  ASSERT_EQ(flock(follower, LOCK_UN), 0);
  line("six");
  EXPECT_THAT(Unpacked("log.1.gz"), HasSubstr("five"));
  close(follower);
}

TEST_F(LogWriterTest, RefusesWrongAttributes) {
  const std::string most(140'000, '6');
  for (const std::string& value :
       {std::string("61"), std::string("6:62"), std::string("61:6G"),
        std::string(""), "61:" + most}) {
    EXPECT_THAT(ParseLogUri("berth-log:///l?format=json-file&attr=" + value),
                StatusIs(StatusCode::kInvalidArgument))
        << value.substr(0, 20);
  }
}

TEST_F(LogWriterTest, KeepsLinesOfTwoStreamsApart) {
  const auto log = Open("format=cri");
  log->Write(Stream::kStdout, "ou", kTime);
  log->Write(Stream::kStderr, "er", kTime);
  log->Write(Stream::kStdout, "t\n", kTime);
  log->Write(Stream::kStderr, "r\n", kTime);
  EXPECT_EQ(Log(), kStamp + " stdout F out\n" + kStamp + " stderr F err\n");
}

TEST_F(LogWriterTest, CutsLongLinesIntoPartialRecords) {
  const auto log = Open("format=cri");
  const std::string full(16384, 'x');
  log->Write(Stream::kStdout, full + full + "tail\n", kTime);
  EXPECT_EQ(Log(), kStamp + " stdout P " + full + "\n" + kStamp + " stdout P " +
                       full + "\n" + kStamp + " stdout F tail\n");
}

TEST_F(LogWriterTest, CutsLinesWhereItIsTold) {
  const auto log = Open("format=cri&line=4");
  log->Write(Stream::kStdout, "abcdefghi\nabcd\n", kTime);
  EXPECT_EQ(Log(), kStamp + " stdout P abcd\n" + kStamp + " stdout P efgh\n" +
                       kStamp + " stdout F i\n" + kStamp + " stdout F abcd\n");
}

TEST_F(LogWriterTest, DoesNotCutALineThatJustFits) {
  const std::string full(16384, 'x');
  const auto log = Open("format=cri");
  // However it arrives.
  log->Write(Stream::kStdout, full.substr(0, 5), kTime);
  log->Write(Stream::kStdout, full.substr(5), kTime);
  log->Write(Stream::kStdout, "\n", kTime);
  EXPECT_EQ(Log(), kStamp + " stdout F " + full + "\n");
}

TEST_F(LogWriterTest, TagsAnUnfinishedLineAtTheEnd) {
  const auto log = Open("format=cri");
  log->Write(Stream::kStdout, "no newline", kTime);
  EXPECT_EQ(Log(), "");
  log->Finish(Stream::kStdout, kTime);
  log->Finish(Stream::kStdout, kTime);
  log->Finish(Stream::kStderr, kTime);
  EXPECT_EQ(Log(), kStamp + " stdout P no newline\n");
}

TEST_F(LogWriterTest, GoesOnInANewFileAfterReopen) {
  const auto log = Open("format=cri");
  log->Write(Stream::kStdout, "one\nhal", kTime);
  ASSERT_EQ(rename(dir_.Path("log").c_str(), dir_.Path("old").c_str()), 0);
  ASSERT_OK(log->Reopen());
  log->Write(Stream::kStdout, "f\n", kTime);
  EXPECT_EQ(Log("old"), kStamp + " stdout F one\n");
  EXPECT_EQ(Log(), kStamp + " stdout F half\n");
}

TEST_F(LogWriterTest, KeepsTheOldFileWhenANewOneCannotBeMade) {
  const auto log = Open("format=cri");
  ASSERT_EQ(rename(dir_.Path("log").c_str(), dir_.Path("old").c_str()), 0);
  dir_.MakeDirectory("log/occupied");
  EXPECT_FALSE(log->Reopen().ok());
  log->Write(Stream::kStdout, "still\n", kTime);
  EXPECT_EQ(Log("old"), kStamp + " stdout F still\n");
}

TEST_F(LogWriterTest, WritesJsonLines) {
  const auto log = Open("format=json-file");
  log->Write(Stream::kStdout, "say \"hi\"\t\x01\\\n", kTime);
  log->Write(Stream::kStderr, "caf\xc3\xa9 \xff\xe2\x82\n", kTime);
  const std::string time = ",\"time\":\"" + kStamp + "\"}\n";
  EXPECT_EQ(
      Log(),
      "{\"log\":\"say \\\"hi\\\"\\t\\u0001\\\\\\n\",\"stream\":\"stdout\"" +
          time +
          "{\"log\":\"caf\xc3\xa9 \\ufffd\\ufffd\\ufffd\\n\","
          "\"stream\":\"stderr\"" +
          time);
}

TEST_F(LogWriterTest, RotatesJsonFilesBySize) {
  const auto log = Open("format=json-file&max-size=200&max-file=3");
  for (int i = 0; i < 12; ++i) {
    log->Write(Stream::kStdout, "line " + std::to_string(i) + "\n", kTime);
  }
  EXPECT_NE(Log().find("line 11"), std::string::npos);
  EXPECT_NE(Log("log.1").find("line 9"), std::string::npos);
  EXPECT_TRUE(dir_.Exists("log.2"));
  EXPECT_FALSE(dir_.Exists("log.3"));
  EXPECT_LE(Log().size(), 200u);
}

TEST_F(LogWriterTest, KeepsTheOldFilesWhenANewOneCannotBeMade) {
  for (const std::string option : {"", "&compress=1"}) {
    TempDir dir;
    const auto await_compressed = [&] {
      for (int i = 0; i < 1000 && !option.empty(); ++i) {
        if (dir.Exists("log.1.gz") && !dir.Exists("log.1")) return;
        usleep(10'000);
      }
    };
    const auto target =
        ParseLogUri("berth-log://" + dir.Path("log") +
                    "?format=json-file&max-size=100&max-file=3" + option);
    ASSERT_OK(target);
    ASSERT_OK_AND_ASSIGN(const auto log, LogWriter::Open(*target));
    const auto write = [&](int line) {
      log->Write(Stream::kStdout, "line " + std::to_string(line) + "\n", kTime);
    };
    write(0);
    write(1);  // rotates
    await_compressed();
    rlimit before{};
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    rlimit none = before;
    none.rlim_cur = 0;
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    for (int i = 2; i < 8; ++i) write(i);
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    EXPECT_FALSE(dir.Exists("log"));
    const std::string current = dir.Read("log.1");
    for (int i = 1; i < 8; ++i) {
      EXPECT_NE(current.find("line " + std::to_string(i)), std::string::npos)
          << i << option;
    }
    EXPECT_TRUE(dir.Exists("log.2") || dir.Exists("log.2.gz"))
        << "all logs were overwritten" << option;
    write(8);
    EXPECT_NE(dir.Read("log").find("line 8"), std::string::npos);
    EXPECT_EQ(log->dropped(), 0u);
    await_compressed();
  }
}

TEST_F(LogWriterTest, StartsOverWhenOneFileIsAllowed) {
  const auto log = Open("format=json-file&max-size=100");
  for (int i = 0; i < 5; ++i) {
    log->Write(Stream::kStdout, "line " + std::to_string(i) + "\n", kTime);
  }
  EXPECT_EQ(dir_.Names(), (std::vector<std::string>{"log"}));
  EXPECT_LE(Log().size(), 100u);
}

// docker run --log-driver none
TEST_F(LogWriterTest, MayWriteToTheNullDevice) {
  const auto target = ParseLogUri("file:///dev/null");
  ASSERT_OK(target);
  const auto writer = LogWriter::Open(*target);
  ASSERT_OK(writer);
  (*writer)->Write(Stream::kStdout, "x\n", kTime);
  EXPECT_EQ((*writer)->dropped(), 0u);
  EXPECT_FALSE(LogWriter::Open({"/dev/zero", LogFormat::kRaw}).ok());
}

// The file after the one that a follower reads is not deleted.
TEST_F(LogWriterTest, WaitsForAFollowerWithinBounds) {
  for (const uint32_t files : {1u, 3u}) {
    const std::string name = "log" + std::to_string(files);
    const auto writer =
        *LogWriter::Open({dir_.Path(name), LogFormat::kJsonFile, 1000, files});
    const auto line = [&](char c) {
      writer->Write(Stream::kStdout, std::string(600, c) + "\n", kTime);
    };
    line('a');
    const int follower = open(dir_.Path(name).c_str(), O_RDONLY);
    ASSERT_EQ(flock(follower, LOCK_SH), 0);
    // It is deleted itself, the files after it are not.
    for (uint32_t i = 0; i < files; ++i) line('b');
    for (int i = 0; i < 10; ++i) line('c');
    struct stat info;
    ASSERT_EQ(fstat(follower, &info), 0);
    EXPECT_EQ(info.st_nlink, 0u);
    EXPECT_GT(dir_.Read(name).size(), 6000u);
    // It has gone on.
    ASSERT_EQ(flock(follower, LOCK_UN), 0);
    line('d');
    EXPECT_LT(dir_.Read(name).size(), 1000u);
    close(follower);
  }
  // One that never goes on is not waited for for ever.
  const auto writer =
      *LogWriter::Open({dir_.Path("log"), LogFormat::kJsonFile, 1000, 1});
  writer->Write(Stream::kStdout, "a\n", kTime);
  const int follower = open(dir_.Path("log").c_str(), O_RDONLY);
  ASSERT_EQ(flock(follower, LOCK_SH), 0);
  for (int i = 0; i < 1000; ++i) {
    writer->Write(Stream::kStdout, std::string(600, 'x') + "\n", kTime);
  }
  EXPECT_LT(dir_.Read("log").size(), 300u << 10);
  close(follower);
}

TEST_F(LogWriterTest, LosesOutputAndNothingElseWhenTheDiskIsFull) {
  const auto log = Open("format=cri");
  log->Write(Stream::kStdout, "kept\n", kTime);
  // As good as a full disk: no file may grow.
  struct rlimit before {};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const struct rlimit none = {0, before.rlim_max};
  const auto handler = signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &none), 0);
  log->Write(Stream::kStdout, "lost\n", kTime);
  EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  signal(SIGXFSZ, handler);
  EXPECT_GT(log->dropped(), 0u);
  log->Write(Stream::kStdout, "again\n", kTime);
  EXPECT_EQ(Log(), kStamp + " stdout F kept\n" + kStamp + " stdout F again\n");
}

// What a container that can write the folder may leave in the log's place.
// Any of them would block or break the test program if it were opened.
class LogPlaceTest : public LogWriterTest,
                     public ::testing::WithParamInterface<const char*> {
 protected:
  // Puts the parameter's kind of thing at "log".
  void Plant() {
    const std::string kind = GetParam();
    const std::string log = dir_.Path("log");
    int made = -1;
    if (kind == "link") {
      made = symlink(dir_.Path("victim").c_str(), log.c_str());
    } else if (kind == "dangling link") {
      made = symlink(dir_.Path("fresh").c_str(), log.c_str());
    } else if (kind == "fifo") {
      made = mkfifo(log.c_str(), 0600);
    } else if (kind == "fifo with a reader") {
      made = mkfifo(log.c_str(), 0600);
      reader_ = UniqueFd(open(log.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    } else if (kind == "directory") {
      made = mkdir(log.c_str(), 0700);
    } else if (kind == "device") {
      made = mknod(log.c_str(), S_IFCHR | 0666, makedev(1, 5));
    } else if (kind == "socket") {
      made = mknod(log.c_str(), S_IFSOCK | 0666, 0);
    }
    ASSERT_EQ(made, 0) << kind << ": " << strerror(errno);
  }
  static LogTarget Target(const TempDir& dir) {
    return {dir.Path("log"), LogFormat::kCri};
  }

  UniqueFd reader_;
};

TEST_P(LogPlaceTest, IsRefusedByOpen) {
  dir_.Write("victim", "");
  Plant();
  EXPECT_THAT(LogWriter::Open(Target(dir_)).status(),
              StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_FALSE(dir_.Exists("fresh"));
}

TEST_P(LogPlaceTest, IsRefusedByReopenWhichGoesOnInTheOldFile) {
  dir_.Write("victim", "");
  const auto log = Open("format=cri");
  ASSERT_EQ(rename(dir_.Path("log").c_str(), dir_.Path("old").c_str()), 0);
  Plant();
  EXPECT_THAT(log->Reopen(), StatusIs(StatusCode::kFailedPrecondition));
  log->Write(Stream::kStdout, "still\n", kTime);
  EXPECT_EQ(Log("old"), kStamp + " stdout F still\n");
  EXPECT_EQ(Log("victim"), "");
  EXPECT_FALSE(dir_.Exists("fresh"));
}

TEST_P(LogPlaceTest, IsMovedAwayByRotationAndNotWrittenTo) {
  dir_.Write("victim", "");
  const auto log = Open("format=json-file&max-size=100&max-file=2");
  log->Write(Stream::kStdout, "one\n", kTime);
  ASSERT_EQ(unlink(dir_.Path("log").c_str()), 0);
  Plant();
  log->Write(Stream::kStdout, "two, which does not fit\n", kTime);
  EXPECT_NE(Log().find("two"), std::string::npos);
  EXPECT_EQ(Log("victim"), "");
  EXPECT_FALSE(dir_.Exists("fresh"));
}

INSTANTIATE_TEST_SUITE_P(All, LogPlaceTest,
                         ::testing::Values("link", "dangling link", "fifo",
                                           "fifo with a reader", "directory",
                                           "device", "socket"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), ' ', '_');
                           return name;
                         });

TEST_F(LogWriterTest, WritesRawBytesForPlainFiles) {
  const auto target = ParseLogUri("file://" + dir_.Path("new/dir/out"));
  ASSERT_OK(target);
  ASSERT_OK_AND_ASSIGN(const auto log, LogWriter::Open(*target));
  log->Write(Stream::kStdout, std::string("a\0b", 3), kTime);
  log->Write(Stream::kStderr, "c", kTime);
  EXPECT_EQ(Log("new/dir/out"), std::string("a\0bc", 4));
}

TEST(ParseLogUriTest, RefusesWhatItDoesNotUnderstand) {
  for (const char* uri :
       {"", "/plain/path", "berth-log:///x", "berth-log:///x?format=xml",
        "berth-log://relative?format=cri", "file://relative",
        "berth-log:///x?format=cri&color=red",
        "berth-log:///x?format=json-file&max-file=0",
        "berth-log:///x?format=json-file&max-size=-1",
        "berth-log:///x?format=cri&line=0",
        "berth-log:///x?format=cri&line=1048577",
        "berth-log:///x?max-size=3"}) {
    EXPECT_THAT(ParseLogUri(uri), StatusIs(StatusCode::kInvalidArgument))
        << uri;
  }
  ASSERT_OK_AND_ASSIGN(const LogTarget target,
                       ParseLogUri("berth-log:///a?b/c?format=cri"));
  EXPECT_EQ(target.path, "/a?b/c");
}

}  // namespace
}  // namespace berth::shim
