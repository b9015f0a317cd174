// Images made here, and what containers have written over theirs.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "base/sys/file.h"
#include "base/sys/mount.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "image/image_service.h"
#include "image/layer/tar_builder.h"
#include "image/testing/test_image.h"

namespace berth::image {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class MakeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root: overlayfs";
    ASSERT_OK_AND_ASSIGN(metadata_, MetadataStore::Open(dir_.Path("meta.db")));
    ImageServiceOptions options;
    options.root = dir_.path();
    ASSERT_OK_AND_ASSIGN(service_, ImageService::Open(options, *metadata_));
    dir_.MakeDirectory("merged");
    const std::string layer = TarBuilder()
                                  .Directory("d")
                                  .File("d/keep", "1")
                                  .File("d/gone", "2")
                                  .Directory("old")
                                  .File("old/in", "3")
                                  .Bytes();
    dir_.Write("archive.tar",
               MakeTestArchive(MakeTestImage({layer}), "x.test/base:1"));
    ASSERT_OK_AND_ASSIGN(UniqueFd archive,
                         OpenFile(dir_.Path("archive.tar"), O_RDONLY));
    ASSERT_OK_AND_ASSIGN(const std::vector<Image> images,
                         service_->transfer().ImportArchive(
                             ctx_, std::move(archive), "", BlobPolicy::kKeep));
    ASSERT_THAT(images, SizeIs(1));
    base_ = images[0].id();
  }
  void TearDown() override { umount2(dir_.Path("merged").c_str(), MNT_DETACH); }

  // Mounts a root file system at "merged".
  void Run(const std::string& image, const std::string& key) {
    ASSERT_OK_AND_ASSIGN(
        Rootfs rootfs,
        service_->rootfs().Acquire(ctx_, image, key, Persistence::kDurable));
    for (Mount& mount : rootfs.mounts) {
      mount.target = dir_.Path("merged") + mount.target;
      ASSERT_OK(MountAt(mount));
    }
  }
  void Stop() { ASSERT_OK(Unmount(dir_.Path("merged"), 0)); }

  std::vector<std::string> Changes(const std::string& key) {
    const auto changes = service_->changes().List(ctx_, key);
    EXPECT_OK(changes);
    std::vector<std::string> lines;
    if (!changes.ok()) return lines;
    for (const FileChange& change : *changes) {
      lines.push_back("CAD"[static_cast<int>(change.kind)] + change.path);
    }
    return lines;
  }

  StatusOr<Image> Commit(const std::string& key,
                         std::optional<Reference> name = std::nullopt) {
    Transfer::NewImage made;
    made.base = base_;
    made.config = {{"os", "linux"},
                   {"architecture", HostPlatform().architecture()}};
    made.name = std::move(name);
    return service_->transfer().Make(ctx_, made, [&](int file) -> Status {
      TarWriter tar(
          [file](std::string_view bytes) { return WriteAll(file, bytes); });
      return service_->changes().WriteLayer(ctx_, key, tar);
    });
  }

  const Context ctx_ = Context::Background();
  TempDir dir_;
  std::unique_ptr<MetadataStore> metadata_;
  std::unique_ptr<ImageService> service_;
  std::string base_;
};

TEST_F(MakeTest, WhatWasWrittenIsListedAndBecomesALayer) {
  Run(base_, "one");
  EXPECT_THAT(Changes("one"), IsEmpty());
  // Where a runtime mounts something: not the container's work.
  dir_.MakeDirectory("merged/proc");
  dir_.MakeDirectory("merged/dev/shm");
  dir_.MakeDirectory("merged/new");
  dir_.Write("merged/new/file", "new");
  dir_.Write("merged/d/keep", "changed");
  ASSERT_EQ(unlink(dir_.Path("merged/d/gone").c_str()), 0);
  // Away, and there again: what was in it must not come back.
  ASSERT_EQ(unlink(dir_.Path("merged/old/in").c_str()), 0);
  ASSERT_EQ(rmdir(dir_.Path("merged/old").c_str()), 0);
  ASSERT_EQ(mkdir(dir_.Path("merged/old").c_str(), 0700), 0);
  EXPECT_THAT(Changes("one"), ElementsAre("C/d", "D/d/gone", "C/d/keep",
                                          "A/new", "A/new/file", "C/old"));
  ASSERT_OK_AND_ASSIGN(const Reference name, Reference::Parse("x.test/made:1"));
  ASSERT_OK_AND_ASSIGN(const Image image, Commit("one", name));
  EXPECT_THAT(image.repo_tags, ElementsAre("x.test/made:1"));
  EXPECT_EQ(image.record.diff_ids_size(), 2);
  Stop();

  Run(image.id(), "two");
  EXPECT_EQ(dir_.Read("merged/new/file"), "new");
  EXPECT_EQ(dir_.Read("merged/d/keep"), "changed");
  EXPECT_FALSE(dir_.Exists("merged/d/gone"));
  EXPECT_THAT(dir_.Names("merged/old"), IsEmpty());
  EXPECT_FALSE(dir_.Exists("merged/proc"));
  EXPECT_THAT(Changes("two"), IsEmpty());
  Stop();
  ASSERT_OK_AND_ASSIGN(const auto layers, service_->images().LayersOf(image));
  ASSERT_THAT(layers, SizeIs(2));
  EXPECT_GT(layers[1].bytes, 0u);
}

TEST_F(MakeTest, AnImageWithoutANameStaysUntilItIsRemoved) {
  Run(base_, "one");
  dir_.Write("merged/file", "x");
  ASSERT_OK_AND_ASSIGN(const Image image, Commit("one"));
  Stop();
  EXPECT_THAT(image.repo_tags, IsEmpty());
  EXPECT_THAT(image.repo_digests, IsEmpty());
  ASSERT_OK(service_->images().CollectGarbage(ctx_));
  // It can do without the image that it was made of.
  ASSERT_OK(service_->rootfs().Release(ctx_, "one"));
  ASSERT_OK(service_->images().Remove(base_));
  ASSERT_OK(service_->images().CollectGarbage(ctx_));
  Run(image.id(), "two");
  EXPECT_EQ(dir_.Read("merged/d/keep"), "1");
  Stop();
  ASSERT_OK(service_->rootfs().Release(ctx_, "two"));
  ASSERT_OK(service_->images().Remove(image.id()));
  ASSERT_OK(service_->images().CollectGarbage(ctx_));
  EXPECT_EQ(service_->images().StoreUsageNow()->usage.inodes, 0u);
}

TEST_F(MakeTest, WhatIsWrittenCanBeLookedAtBesideItsMount) {
  Run(base_, "one");
  dir_.Write("merged/file", "x");
  ASSERT_EQ(unlink(dir_.Path("merged/d/gone").c_str()), 0);
  ASSERT_OK_AND_ASSIGN(std::vector<Mount> mounts,
                       service_->rootfs().Look("one"));
  dir_.MakeDirectory("look");
  for (Mount& mount : mounts) {
    mount.target = dir_.Path("look");
    ASSERT_OK(MountAt(mount));
  }
  EXPECT_EQ(dir_.Read("look/file"), "x");
  EXPECT_FALSE(dir_.Exists("look/d/gone"));
  EXPECT_EQ(mkdir(dir_.Path("look/new").c_str(), 0755), -1);
  EXPECT_EQ(errno, EROFS);
  dir_.Write("merged/more", "y");
  ASSERT_OK(Unmount(dir_.Path("look"), 0));
  Stop();
  Run(base_, "one");
  EXPECT_EQ(dir_.Read("merged/more"), "y");
}

TEST_F(MakeTest, NothingIsLeftOfWhatFails) {
  Transfer::NewImage made;
  made.config = {{"os", "linux"},
                 {"architecture", HostPlatform().architecture()}};
  EXPECT_THAT(service_->transfer().Make(
                  ctx_, made, [](int) { return Unavailable("no layer"); }),
              StatusIs(StatusCode::kUnavailable));
  EXPECT_THAT(
      service_->transfer().Make(
          ctx_, made, [](int file) { return WriteAll(file, "no archive"); }),
      StatusIs(StatusCode::kInvalidArgument));
  made.base = "sha256:" + std::string(64, '0');
  EXPECT_THAT(
      service_->transfer().Make(ctx_, made, [](int) { return OkStatus(); }),
      StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(dir_.Names("import"), IsEmpty());
  EXPECT_THAT(service_->changes().List(ctx_, "nobody").status(),
              StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(*service_->images().List({}), SizeIs(1));
}

}  // namespace
}  // namespace berth::image
