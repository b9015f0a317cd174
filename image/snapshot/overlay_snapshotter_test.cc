#include "image/snapshot/overlay_snapshotter.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "base/store/metadata_store.h"
#include "base/strings.h"
#include "base/sys/file.h"
#include "base/sys/mount.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "image/layer/tar_builder.h"

namespace berth::image {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class OverlaySnapshotterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root: overlayfs";
    ASSERT_OK_AND_ASSIGN(metadata_, MetadataStore::Open(dir_.Path("meta.db")));
    Open(dir_.Path("snapshots"));
    dir_.MakeDirectory("merged");
  }
  void TearDown() override {
    umount2(dir_.Path("merged").c_str(), MNT_DETACH);
    umount2(dir_.Path("snapshots/.overlay-probe/merged").c_str(), MNT_DETACH);
  }
  void Open(const std::string& directory) {
    directory_ = directory;
    ASSERT_OK_AND_ASSIGN(snapshots_,
                         OverlaySnapshotter::Open(directory, *metadata_));
  }
  // A layer on top of `parent`; its chain.
  Digest Add(const std::string& tar, const Digest& parent = Digest()) {
    StringSource source(tar);
    auto unpacked = snapshots_->Unpack(ctx_, source);
    EXPECT_OK(unpacked);
    const Digest chain = Digest::Of(parent.str() + tar);
    EXPECT_OK(snapshots_->Commit(**unpacked, {chain, parent, Digest::Of(tar)}));
    return chain;
  }
  // `count` layers: each adds a file of its own, and says in "top" who is.
  Digest AddStack(size_t count) {
    Digest chain;
    for (size_t i = 1; i <= count; ++i) {
      const std::string name = std::to_string(i);
      chain =
          Add(TarBuilder().File("top", name).File("layer" + name, name).Bytes(),
              chain);
    }
    return chain;
  }
  void MountTree(uint64_t number, const Digest& chain, Access access) {
    ASSERT_OK_AND_ASSIGN(std::vector<Mount> mounts,
                         snapshots_->Mounts(number, chain, access));
    for (Mount& mount : mounts) {
      mount.target = dir_.Path("merged") + mount.target;
      ASSERT_OK(MountAt(mount));
    }
  }

  StatusOr<std::string> ReadTree(uint64_t number, const Digest& chain,
                                 const std::string& path) {
    ASSIGN_OR_RETURN(const LayerStack stack, snapshots_->Stack(number, chain));
    ASSIGN_OR_RETURN(const UniqueFd file, stack.OpenFile(path));
    return ReadAll(file.get(), 10, path);
  }

  const Context ctx_ = Context::Background();
  TempDir dir_;
  std::string directory_;
  std::unique_ptr<MetadataStore> metadata_;
  std::unique_ptr<OverlaySnapshotter> snapshots_;
};

TEST_F(OverlaySnapshotterTest, Mounts127LayersBelowARootOfAnyLength) {
  // Up to what leaves room in PATH_MAX for what is below.
  for (const size_t length : {0, 300, 3500}) {
    std::string root = dir_.Path("root" + std::to_string(length));
    while (root.size() < length) root += "/" + std::string(100, 'x');
    SCOPED_TRACE(root.size());
    ASSERT_OK(MakeDirectories(root, 0700));
    ASSERT_OK_AND_ASSIGN(
        metadata_,
        MetadataStore::Open(dir_.Path("meta.db" + std::to_string(length))));
    Open(root);
    const Digest chain = AddStack(127);
    const uint64_t number = snapshots_->NextNumber();
    ASSERT_OK(snapshots_->Prepare(number, chain));
    size_t expected = 128;  // "top" too
    for (const Access access :
         {Access::kReadOnly, Access::kDurable, Access::kVolatile}) {
      MountTree(number, chain, access);
      EXPECT_EQ(dir_.Read("merged/top"), "127");
      EXPECT_THAT(dir_.Names("merged"), SizeIs(expected));
      if (access == Access::kDurable) {
        dir_.Write("merged/written", "here");
        ++expected;
      }
      ASSERT_OK(Unmount(dir_.Path("merged"), 0));
    }
    EXPECT_THAT(ReadTree(number, chain, "/layer1"), IsOkAndHolds("1"));
    EXPECT_THAT(ReadTree(number, chain, "/written"), IsOkAndHolds("here"));
    EXPECT_GT(snapshots_->Usage(number)->inodes, 0u);
    ASSERT_OK(snapshots_->Remove(number));
  }
}

TEST_F(OverlaySnapshotterTest, ATreeWithoutLayersIsEmptyAndWritable) {
  const uint64_t number = snapshots_->NextNumber();
  ASSERT_OK(snapshots_->Prepare(number, Digest()));
  MountTree(number, Digest(), Access::kDurable);
  EXPECT_THAT(dir_.Names("merged"), IsEmpty());
  dir_.Write("merged/written", "here");
  ASSERT_OK(Unmount(dir_.Path("merged"), 0));
  MountTree(number, Digest(), Access::kReadOnly);
  EXPECT_THAT(dir_.Names("merged"), ElementsAre("written"));
  EXPECT_NE(access((dir_.Path("merged") + "/written").c_str(), W_OK), 0);
}

TEST_F(OverlaySnapshotterTest, WhatIsNotCommittedIsGone) {
  {
    StringSource source(TarBuilder().File("a", "").Bytes());
    ASSERT_OK_AND_ASSIGN(const auto unpacked, snapshots_->Unpack(ctx_, source));
    EXPECT_THAT(
        snapshots_->Commit(
            *unpacked, {Digest::Of("c"), Digest::Of("none"), Digest::Of("d")}),
        StatusIs(StatusCode::kNotFound));
  }
  StringSource bad(TarBuilder().File("../a", "").Bytes());
  EXPECT_FALSE(snapshots_->Unpack(ctx_, bad).ok());
  EXPECT_THAT(dir_.Names("snapshots"), IsEmpty());
}

TEST_F(OverlaySnapshotterTest, AStartUnmountsTheProbeOfOneThatWasKilled) {
  const std::string probe = "snapshots/.overlay-probe";
  dir_.MakeDirectory(probe + "/merged");
  Mount mount;
  mount.type = "tmpfs";
  mount.source = "tmpfs";
  mount.target = dir_.Path(probe + "/merged");
  ASSERT_OK(MountAt(mount));
  // Busy: a plain umount(2) would fail.
  dir_.Write(probe + "/merged/file", "");
  ASSERT_OK_AND_ASSIGN(const UniqueFd held,
                       OpenFile(mount.target + "/file", O_RDONLY));
  Open(dir_.Path("snapshots"));
  EXPECT_THAT(dir_.Names("snapshots"), IsEmpty());
}

TEST_F(OverlaySnapshotterTest, ARecordedTreeKeepsItsLayers) {
  const Digest base = Add(TarBuilder().File("a", "one").Bytes());
  const Digest top = Add(TarBuilder().File("b", "two").Bytes(), base);
  const uint64_t number = snapshots_->NextNumber();
  ASSERT_OK(metadata_->Update([&](Transaction& tx) {
    state::v1::RootfsRecord record;
    record.set_number(number);
    record.set_chain_id(base.str());
    return kRootfs.Put(tx, "key", record);
  }));
  ASSERT_OK_AND_ASSIGN(const Snapshotter::Unused unused,
                       snapshots_->ForgetUnused({}));
  EXPECT_THAT(unused.numbers, SizeIs(1));
  EXPECT_OK(snapshots_->LayerUsage(base));
  EXPECT_THAT(snapshots_->LayerUsage(top), StatusIs(StatusCode::kNotFound));
}

}  // namespace
}  // namespace berth::image
