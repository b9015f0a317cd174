#include "base/store/metadata_store.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "base/status.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "base/unique_fd.h"

namespace berth {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::SizeIs;

// Stands in for a protobuf message.
struct Note {
  std::string text;
  bool SerializeToString(std::string* bytes) const {
    *bytes = "note:" + text;
    return true;
  }
  bool ParseFromString(const std::string& bytes) {
    if (bytes.rfind("note:", 0) != 0) return false;
    text = bytes.substr(5);
    return true;
  }
};

constexpr Table<Note> kNotes("notes");
constexpr Table<Note> kOthers("others");

class MetadataStoreTest : public ::testing::Test {
 protected:
  MetadataStoreTest() { Reopen(); }

  void Reopen() {
    store_.reset();
    auto opened = MetadataStore::Open(
        dir_.Path("meta.db"),
        {.on_set_aside = [this](const std::string& record, const std::string&) {
          set_aside_.push_back(record);
        }});
    ASSERT_OK(opened);
    store_ = *std::move(opened);
  }

  Status Put(const std::string& key, const std::string& text) {
    return store_->Update(
        [&](Transaction& tx) { return kNotes.Put(tx, key, {text}); });
  }

  std::map<std::string, std::string> All() {
    std::map<std::string, std::string> texts;
    EXPECT_OK(store_->View([&](const Transaction& tx) -> Status {
      ASSIGN_OR_RETURN(const auto notes, kNotes.All(tx));
      for (const auto& [key, note] : notes) texts[key] = note.text;
      return OkStatus();
    }));
    return texts;
  }

  TempDir dir_;
  std::vector<std::string> set_aside_;
  std::unique_ptr<MetadataStore> store_;
};

TEST_F(MetadataStoreTest, KeepsRecordsAcrossOpens) {
  const std::string bytes("a\0b\xff", 4);
  ASSERT_OK(Put("one", bytes));
  ASSERT_OK(Put("one", bytes + "!"));
  ASSERT_OK(Put("two", ""));
  Reopen();
  EXPECT_THAT(All(), ElementsAre(Pair("one", bytes + "!"), Pair("two", "")));
  struct stat info;
  ASSERT_EQ(stat(dir_.Path("meta.db").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(MetadataStoreTest, KeepsTablesApart) {
  ASSERT_OK(store_->Update([](Transaction& tx) -> Status {
    RETURN_IF_ERROR(kNotes.Put(tx, "k", {"note"}));
    return kOthers.Put(tx, "k", {"other"});
  }));
  ASSERT_OK(
      store_->Update([](Transaction& tx) { return kNotes.Erase(tx, "k"); }));
  ASSERT_OK(store_->View([](const Transaction& tx) {
    EXPECT_THAT(kNotes.Get(tx, "k"), StatusIs(StatusCode::kNotFound));
    EXPECT_EQ(kOthers.Get(tx, "k")->text, "other");
    return OkStatus();
  }));
}

TEST_F(MetadataStoreTest, DropsAllOfAFailedUpdate) {
  ASSERT_OK(Put("a", "1"));
  const Status status = store_->Update([](Transaction& tx) -> Status {
    RETURN_IF_ERROR(kNotes.Put(tx, "b", {"2"}));
    RETURN_IF_ERROR(kNotes.Erase(tx, "a"));
    return Unavailable("not now");
  });
  EXPECT_THAT(status, StatusIs(StatusCode::kUnavailable));
  EXPECT_THAT(All(), ElementsAre(Pair("a", "1")));
}

TEST_F(MetadataStoreTest, EraseOfNothingSucceedsAndGetNamesWhatIsMissing) {
  EXPECT_OK(
      store_->Update([](Transaction& tx) { return kNotes.Erase(tx, "none"); }));
  EXPECT_OK(store_->View([](const Transaction& tx) {
    EXPECT_THAT(kNotes.Get(tx, "none"),
                StatusIs(StatusCode::kNotFound, HasSubstr("\"none\"")));
    return OkStatus();
  }));
}

TEST_F(MetadataStoreTest, SetsARecordAsideThatDoesNotParse) {
  ASSERT_OK(Put("good", "1"));
  ASSERT_OK(store_->Update([](Transaction& tx) -> Status {
    RETURN_IF_ERROR(tx.Put("notes", "bad", "garbage"));
    return tx.Put("others", "bad", std::string("\0\xff", 2));
  }));
  // A list goes on; what is asked for by its key is told.
  EXPECT_THAT(All(), ElementsAre(Pair("good", "1")));
  const auto get = [this] {
    return store_->View(
        [](const Transaction& tx) { return kOthers.Get(tx, "bad").status(); });
  };
  EXPECT_THAT(get(), StatusIs(StatusCode::kDataLoss, HasSubstr("\"bad\"")));
  EXPECT_THAT(get(), StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(set_aside_, ElementsAre("notes/bad", "others/bad"));
  Reopen();
  EXPECT_THAT(store_->SetAside(),
              IsOkAndHolds(ElementsAre("notes/bad", "others/bad")));
  EXPECT_THAT(All(), ElementsAre(Pair("good", "1")));
  EXPECT_THAT(set_aside_, SizeIs(2));  // and nobody was told again
  // The bytes are kept.
  ASSERT_OK(store_->View([](const Transaction& tx) {
    EXPECT_THAT(tx.Get("quarantine", "notes/bad"), IsOkAndHolds("garbage"));
    return OkStatus();
  }));
}

TEST_F(MetadataStoreTest, KeepsARecordThatWasMendedInTheSameUpdate) {
  ASSERT_OK(store_->Update(
      [](Transaction& tx) { return tx.Put("notes", "k", "garbage"); }));
  ASSERT_OK(store_->Update([](Transaction& tx) {
    EXPECT_FALSE(kNotes.Get(tx, "k").ok());
    return kNotes.Put(tx, "k", {"mended"});
  }));
  EXPECT_THAT(All(), ElementsAre(Pair("k", "mended")));
}

TEST_F(MetadataStoreTest, GoesOnAfterABodyThatThrows) {
  EXPECT_THROW((void)store_->Update([](Transaction& tx) -> Status {
    (void)kNotes.Put(tx, "a", {"1"});
    throw std::runtime_error("of a library");
  }),
               std::runtime_error);
  ASSERT_OK(Put("b", "2"));
  EXPECT_THAT(All(), ElementsAre(Pair("b", "2")));
}

// Another process that opens the file when it is told to; its exit code is 0 if
// that ended with `code`. Made while nothing is open: SQLite's own table of
// locks must not be carried over a fork (sqlite.org/howtocorrupt.html, 2.6).
class OtherProcess {
 public:
  OtherProcess(const std::string& file, Duration wait, StatusCode code) {
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    const UniqueFd from(ends[0]);
    go_.reset(ends[1]);
    pid_ = fork();
    if (pid_ != 0) return;
    go_.reset();
    char byte;
    if (read(from.get(), &byte, 1) != 1) _exit(2);
    const StatusCode got =
        MetadataStore::Open(file, {wait, nullptr}).status().code();
    _exit(got == code ? 0 : 1);
  }
  void Go() { EXPECT_EQ(write(go_.get(), "x", 1), 1); }
  bool Running() { return waitpid(pid_, nullptr, WNOHANG) == 0; }
  int ExitStatus() {
    int status = -1;
    EXPECT_EQ(waitpid(pid_, &status, 0), pid_);
    return status;
  }

 private:
  UniqueFd go_;
  pid_t pid_;
};

TEST_F(MetadataStoreTest, RefusesASecondOwner) {
  store_.reset();
  OtherProcess other(dir_.Path("meta.db"), Duration::zero(),
                     StatusCode::kUnavailable);
  Reopen();
  other.Go();
  EXPECT_EQ(other.ExitStatus(), 0);
}

TEST_F(MetadataStoreTest, WaitsForAnOwnerThatIsOnItsWayOut) {
  store_.reset();
  OtherProcess other(dir_.Path("meta.db"), std::chrono::minutes(1),
                     StatusCode::kOk);
  Reopen();
  other.Go();
  // It meets our lock, or comes late: then it has nothing to wait for.
  usleep(200'000);
  EXPECT_TRUE(other.Running());
  store_.reset();
  EXPECT_EQ(other.ExitStatus(), 0);
}

TEST_F(MetadataStoreTest, LosesNothingWhenKilled) {
  store_.reset();
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    auto store = MetadataStore::Open(dir_.Path("meta.db"));
    for (int i = 0; i < 100; ++i) {
      const Status status = (*store)->Update([&](Transaction& tx) {
        return kNotes.Put(tx, std::to_string(i), {"x"});
      });
      if (!status.ok()) _exit(1);
    }
    (void)!write(ready[1], "x", 1);
    pause();
  }
  close(ready[1]);
  char byte;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  close(ready[0]);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  Reopen();
  EXPECT_EQ(All().size(), 100u);
}

TEST_F(MetadataStoreTest, RefusesDamagedAndForeignFiles) {
  for (int i = 0; i < 200; ++i) {
    ASSERT_OK(Put("key" + std::to_string(i), std::string(500, 'x')));
  }
  store_.reset();
  const std::string whole = dir_.Read("meta.db");
  ASSERT_GT(whole.size(), 16384u);

  std::string holed = whole;
  holed.replace(4096, 8192, 8192, '\xee');
  dir_.Write("holed.db", holed);
  EXPECT_THAT(MetadataStore::Open(dir_.Path("holed.db")),
              StatusIs(StatusCode::kDataLoss, HasSubstr("holed.db")));

  dir_.Write("text.db", std::string(5000, 'a'));
  EXPECT_THAT(MetadataStore::Open(dir_.Path("text.db")),
              StatusIs(StatusCode::kDataLoss, HasSubstr("text.db")));
  EXPECT_EQ(dir_.Read("text.db"), std::string(5000, 'a'));

  // user_version is at offset 60 of the header (fileformat2, section 1.3).
  std::string later = whole;
  later[63] = 99;
  dir_.Write("later.db", later);
  EXPECT_THAT(
      MetadataStore::Open(dir_.Path("later.db")),
      StatusIs(StatusCode::kFailedPrecondition, HasSubstr("format 99")));

  EXPECT_THAT(MetadataStore::Open(dir_.Path("none/meta.db")),
              StatusIs(StatusCode::kNotFound));
}

TEST_F(MetadataStoreTest, RunsUpdatesOfManyThreads) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        const Durability durability =
            i % 25 == 0 ? Durability::kPowerCut : Durability::kProcessCrash;
        EXPECT_OK(store_->Update(
            [&](Transaction& tx) {
              return kNotes.Put(tx, std::to_string(t) + "." + std::to_string(i),
                                {"x"});
            },
            durability));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(All().size(), 400u);
}

}  // namespace
}  // namespace berth
