#include "base/store/metadata_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>
#include <thread>
#include <vector>

#include "base/status.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"

namespace berth {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

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
    auto opened = MetadataStore::Open(dir_.Path("meta.db"));
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

TEST_F(MetadataStoreTest, ReportsARecordThatDoesNotParse) {
  ASSERT_OK(store_->Update(
      [](Transaction& tx) { return tx.Put("notes", "bad", "garbage"); }));
  EXPECT_THAT(store_->View([](const Transaction& tx) {
    return kNotes.Get(tx, "bad").status();
  }),
              StatusIs(StatusCode::kDataLoss, HasSubstr("\"bad\"")));
}

TEST_F(MetadataStoreTest, RefusesASecondOwner) {
  // Another process, as the lock is the process's.
  const pid_t child = fork();
  if (child == 0) {
    const auto second = MetadataStore::Open(dir_.Path("meta.db"));
    _exit(second.status().code() == StatusCode::kUnavailable ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
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
