// The store on a small tmpfs that runs full, in a mount namespace of its own.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "base/status.h"
#include "base/store/metadata_store.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "base/unique_fd.h"

namespace berth {
namespace {

class FullDiskTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    ASSERT_EQ(unshare(CLONE_NEWNS), 0);
    ASSERT_EQ(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    dir_.MakeDirectory("disk");
    ASSERT_EQ(mount("tmpfs", dir_.Path("disk").c_str(), "tmpfs", 0, "size=24m"),
              0);
    Open();
  }
  void TearDown() override {
    store_.reset();
    umount2(dir_.Path("disk").c_str(), MNT_DETACH);
  }

  void Open() {
    store_.reset();
    auto opened = MetadataStore::Open(dir_.Path("disk/meta.db"));
    ASSERT_OK(opened);
    store_ = *std::move(opened);
  }

  // Writes until not a block is left.
  void Fill() {
    const UniqueFd fd(open(dir_.Path("disk/filler").c_str(),
                           O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    const std::string block(4096, 'x');
    while (write(fd.get(), block.data(), block.size()) > 0) {
    }
  }
  void Empty() { unlink(dir_.Path("disk/filler").c_str()); }

  Status Put(int key, size_t size = 1000) {
    return store_->Update([&](Transaction& tx) {
      return tx.Put("things", std::to_string(key), std::string(size, 'a'));
    });
  }
  Status Erase(int key) {
    return store_->Update([&](Transaction& tx) {
      return tx.Erase("things", std::to_string(key));
    });
  }

  // New records until one is refused; how many there are.
  int PutUntilRefused(int from) {
    Status status;
    int key = from;
    while (status.ok() && key < from + 20000) {
      Fill();
      status = Put(key++);
    }
    EXPECT_THAT(status, StatusIs(StatusCode::kResourceExhausted));
    return key - 1;
  }

  TempDir dir_;
  std::unique_ptr<MetadataStore> store_;
};

TEST_F(FullDiskTest, WhatEndsAndFreesGoesOn) {
  for (int i = 0; i < 500; ++i) ASSERT_OK(Put(i));
  const int count = PutUntilRefused(500);
  // Every record changes, again and again, far beyond the log's own room.
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < count; ++i) {
      ASSERT_OK(Put(i, 1000 + round % 3 * 20)) << round << " " << i;
    }
    Fill();
  }
  EXPECT_THAT(Put(count), StatusIs(StatusCode::kResourceExhausted));
  // A daemon that ends and comes back finds the same room.
  Open();
  Fill();
  EXPECT_THAT(Put(count), StatusIs(StatusCode::kResourceExhausted));
  for (int i = 0; i < count; ++i) ASSERT_OK(Erase(i)) << i;
  // What they had is room for others.
  ASSERT_OK(Put(count));
}

TEST_F(FullDiskTest, TakesNewRecordsWhenThereIsRoomAgain) {
  const int count = PutUntilRefused(0);
  Empty();
  for (int i = count; i < count + 3000; ++i) ASSERT_OK(Put(i));
  const int more = PutUntilRefused(count + 3000);
  for (int i = 0; i < more; ++i) ASSERT_OK(Erase(i)) << i;
}

TEST_F(FullDiskTest, ALargeRecordDoesNotEatTheRoomOfOthers) {
  for (int i = 0; i < 500; ++i) ASSERT_OK(Put(i));
  Fill();
  for (const size_t size : {300u << 10, 3u << 20, 30u << 20}) {
    EXPECT_THAT(Put(0, size), StatusIs(StatusCode::kResourceExhausted));
    EXPECT_THAT(Put(-1, size), StatusIs(StatusCode::kResourceExhausted));
  }
  for (int i = 0; i < 500; ++i) ASSERT_OK(Put(i, 1100));
  for (int i = 0; i < 500; ++i) ASSERT_OK(Erase(i));
}

TEST_F(FullDiskTest, AFileSystemThatBecomesReadOnlyIsAnError) {
  ASSERT_OK(Put(0));
  const std::string disk = dir_.Path("disk");
  const int flags = MS_REMOUNT | MS_BIND | MS_RDONLY;
  store_.reset();
  ASSERT_EQ(mount(disk.c_str(), disk.c_str(), nullptr, MS_BIND, nullptr), 0);
  ASSERT_EQ(mount(nullptr, disk.c_str(), nullptr, flags, nullptr), 0);
  EXPECT_FALSE(MetadataStore::Open(dir_.Path("disk/meta.db")).ok());
  ASSERT_EQ(umount2(disk.c_str(), MNT_DETACH), 0);
  Open();
  EXPECT_OK(Erase(0));
}

}  // namespace
}  // namespace berth
