#include "image/snapshot/layer_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"

namespace berth::image {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class LayerStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root: trusted xattrs";
    ASSERT_OK_AND_ASSIGN(metadata_, MetadataStore::Open(dir_.Path("meta.db")));
    Reopen();
  }
  void Reopen() {
    store_.reset();
    ASSERT_OK_AND_ASSIGN(store_,
                         LayerStore::Open(dir_.Path("layers"), *metadata_));
  }
  // A committed layer named after `name`; the number of its directory.
  uint64_t Add(const std::string& name, const std::string& parent = "",
               bool opaque = false) {
    auto staging = store_->Stage();
    EXPECT_OK(staging);
    if (opaque) {
      EXPECT_EQ(setxattr((*staging)->path().c_str(), "trusted.overlay.opaque",
                         "y", 1, 0),
                0);
    }
    EXPECT_OK(store_->Commit(**staging, Chain(name),
                             parent.empty() ? Digest() : Chain(parent),
                             Chain(name), {100, 1}));
    return (*staging)->number();
  }
  static Digest Chain(const std::string& name) { return Digest::Of(name); }
  std::vector<std::string> Names() { return dir_.Names("layers"); }

  TempDir dir_;
  std::unique_ptr<MetadataStore> metadata_;
  std::unique_ptr<LayerStore> store_;
};

TEST_F(LayerStoreTest, WhatIsNotCommittedGoesWithItsStaging) {
  std::string path;
  {
    ASSERT_OK_AND_ASSIGN(const auto staging, store_->Stage());
    path = staging->path();
    EXPECT_EQ(access(path.c_str(), F_OK), 0);
  }
  EXPECT_NE(access(path.c_str(), F_OK), 0);
  // Nor what could not be committed: its parent is not there, it is already.
  ASSERT_OK_AND_ASSIGN(auto orphan, store_->Stage());
  EXPECT_THAT(
      store_->Commit(*orphan, Chain("b"), Chain("none"), Chain("b"), {}),
      StatusIs(StatusCode::kNotFound));
  Add("a");
  ASSERT_OK_AND_ASSIGN(auto twin, store_->Stage());
  EXPECT_THAT(store_->Commit(*twin, Chain("a"), Digest(), Chain("a"), {}),
              StatusIs(StatusCode::kAlreadyExists));
  orphan.reset();
  twin.reset();
  EXPECT_EQ(Names().size(), 1u);
  EXPECT_OK(store_->LayerUsage(Chain("a")));
  EXPECT_FALSE(store_->LayerUsage(Chain("b")).ok());
}

TEST_F(LayerStoreTest, AStackIsListedFromItsTopDownToAnOpaqueLayer) {
  const uint64_t a = Add("a");
  const uint64_t b = Add("b", "a");
  const uint64_t c = Add("c", "b", /*opaque=*/true);
  EXPECT_THAT(*store_->Directories(Chain("b")),
              ElementsAre(store_->PathOf(b), store_->PathOf(a)));
  EXPECT_THAT(*store_->Directories(Chain("c")), ElementsAre(store_->PathOf(c)));
  EXPECT_THAT(*store_->Directories(Digest()), IsEmpty());
  EXPECT_EQ(store_->LayerUsage(Chain("c"))->bytes, 100u);
  EXPECT_THAT(store_->Directories(Chain("none")),
              StatusIs(StatusCode::kNotFound));
}

TEST_F(LayerStoreTest, ForgetsWhatNobodyWantsAndKeepsWhatIsBelow) {
  Add("a");
  Add("b", "a");
  const uint64_t c = Add("c", "b");
  ASSERT_OK_AND_ASSIGN(const Snapshotter::Unused unused,
                       store_->ForgetUnused({Chain("b"), Chain("unknown")}));
  EXPECT_THAT(unused.numbers, ElementsAre(c));
  EXPECT_EQ(unused.usage.bytes, 100u);
  EXPECT_FALSE(store_->LayerUsage(Chain("c")).ok());
  EXPECT_OK(store_->LayerUsage(Chain("a")));
  EXPECT_EQ(store_->TotalUsage()->bytes, 200u);
}

TEST_F(LayerStoreTest, AStartSweepsWhatACrashLeft) {
  const uint64_t a = Add("a");
  dir_.MakeDirectory("layers/77");
  dir_.Write("layers/77/file", "half");
  dir_.MakeDirectory("layers/78.work/work");
  dir_.MakeDirectory("layers/79.new");
  Reopen();
  EXPECT_THAT(Names(), ElementsAre(std::to_string(a)));
  // A number that was used once names nothing else.
  EXPECT_GT(store_->NextNumber(), 79u);
}

TEST_F(LayerStoreTest, DropsWhatAPowerCutMayHaveDamaged) {
  Add("flushed");
  Add("not");
  ASSERT_OK(metadata_->Update([&](Transaction& tx) -> Status {
    RETURN_IF_ERROR(store_->MarkFlushed(tx, Chain("flushed")));
    ASSIGN_OR_RETURN(auto record, kLayers.Get(tx, Chain("not").str()));
    record.set_unflushed_boot_id("of an earlier boot");
    return kLayers.Put(tx, Chain("not").str(), record);
  }));
  Reopen();
  EXPECT_OK(store_->LayerUsage(Chain("flushed")));
  EXPECT_FALSE(store_->LayerUsage(Chain("not")).ok());
  EXPECT_EQ(Names().size(), 1u);
}

}  // namespace
}  // namespace berth::image
