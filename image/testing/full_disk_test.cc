// Pulls and imports on a disk that is too small: what does not fit leaves
// nothing behind.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "absl/cleanup/cleanup.h"
#include "base/store/metadata_store.h"
#include "base/sys/file.h"
#include "base/testing/scripted_server.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "base/unique_fd.h"
#include "image/content/content_store.h"
#include "image/image_service.h"
#include "image/layer/tar_builder.h"
#include "image/testing/test_image.h"

namespace berth::image {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr size_t kMiB = 1 << 20;
constexpr size_t kDisk = 24 * kMiB;

std::string Layer(const std::string& name, size_t bytes) {
  return TarBuilder().File(name, std::string(bytes, name[0])).Bytes();
}

TEST(FullDiskBlobTest, ABlobLeavesSomeRoomToOthers) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root: mounts a small disk";
  const TempDir dir;
  dir.MakeDirectory("disk");
  const std::string disk = dir.Path("disk");
  ASSERT_EQ(mount("small", disk.c_str(), "tmpfs", 0, "size=80M"), 0);
  const absl::Cleanup unmount = [&] { umount2(disk.c_str(), MNT_DETACH); };
  dir.Write("disk/other", std::string(13 * kMiB + kMiB / 2, 'o'));
  ASSERT_OK_AND_ASSIGN(const auto store, ContentStore::Open(disk));
  const std::string piece(kMiB, 'b');
  Descriptor blob;
  blob.digest = Digest::Of("of no concern");
  blob.size = 66 * kMiB;  // it would fit
  ASSERT_OK_AND_ASSIGN(const auto writer, store->Ingest(blob));
  Status written;
  for (size_t i = 0; i < 66 && written.ok(); ++i) {
    written = writer->Append(piece);
  }
  EXPECT_THAT(written, StatusIs(StatusCode::kResourceExhausted));
  EXPECT_EQ(writer->offset(), 0u);
}

class FullDiskTest : public ::testing::Test {
 protected:
  FullDiskTest()
      : server_([this](const std::string& request) {
          return AnswerAsRegistry(image_, request);
        }) {}

  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root: mounts a small disk";
    dir_.MakeDirectory("disk");
    const std::string size = "size=" + std::to_string(kDisk);
    ASSERT_EQ(
        mount("small", dir_.Path("disk").c_str(), "tmpfs", 0, size.c_str()), 0);
    ASSERT_OK_AND_ASSIGN(metadata_,
                         MetadataStore::Open(dir_.Path("disk/meta.db")));
    Open();
    free_ = Free();
  }
  void TearDown() override {
    service_.reset();
    metadata_.reset();
    umount2(dir_.Path("disk").c_str(), MNT_DETACH);
  }
  void Open(const std::string& other_registry = "") {
    service_.reset();
    ImageServiceOptions options;
    options.root = dir_.Path("disk");
    options.transfer.plain_http = {server_.address(), other_registry};
    options.transfer.retry.tries = 1;
    ASSERT_OK_AND_ASSIGN(service_, ImageService::Open(options, *metadata_));
  }
  uint64_t Free() {
    struct statvfs info;
    EXPECT_EQ(statvfs(dir_.Path("disk").c_str(), &info), 0);
    return uint64_t{info.f_bavail} * info.f_frsize;
  }
  StatusOr<Image> Pull() {
    ASSIGN_OR_RETURN(const Reference reference,
                     Reference::Parse(server_.address() + "/img:1"));
    return service_->transfer().Pull(Context::Background(), reference, {},
                                     BlobPolicy::kDrop, nullptr);
  }
  void ExpectNothingLeft() {
    EXPECT_THAT(dir_.Names("disk/content/ingest"), IsEmpty());
    EXPECT_THAT(dir_.Names("disk/content/blobs/sha256"), IsEmpty());
    EXPECT_THAT(dir_.Names("disk/snapshots"), IsEmpty());
    EXPECT_THAT(dir_.Names("disk/import"), IsEmpty());
    EXPECT_EQ(service_->images().StoreUsageNow()->usage.bytes, 0u);
    // But for records.
    EXPECT_GT(Free() + kMiB, free_);
  }

  TempDir dir_;
  TestImage image_ = MakeTestImage({Layer("small", 100)});
  ScriptedServer server_;
  std::unique_ptr<MetadataStore> metadata_;
  std::unique_ptr<ImageService> service_;
  uint64_t free_ = 0;
};

TEST_F(FullDiskTest, ABlobThatDoesNotFitIsGoneAtOnce) {
  image_ = MakeTestImage({Layer("big", 2 * kDisk)});
  EXPECT_THAT(Pull(), StatusIs(StatusCode::kResourceExhausted));
  ExpectNothingLeft();
}

TEST_F(FullDiskTest, SoAreTheOtherLayersOfItsImage) {
  image_ = MakeTestImage({Layer("a", 3 * kMiB), Layer("b", 2 * kMiB),
                          Layer("c", 2 * kDisk), Layer("d", 3 * kMiB)});
  EXPECT_THAT(Pull(), StatusIs(StatusCode::kResourceExhausted));
  ExpectNothingLeft();
}

TEST_F(FullDiskTest, ABlobThatFitsButDoesNotUnpackIsGoneToo) {
  image_ = MakeTestImage({Layer("big", kDisk * 6 / 10)});
  EXPECT_THAT(Pull(), StatusIs(StatusCode::kResourceExhausted));
  ExpectNothingLeft();
}

TEST_F(FullDiskTest, AnArchiveThatDoesNotFitIsGoneAtOnce) {
  // It does not fit beside itself, or not even once.
  for (const size_t bytes : {kDisk * 6 / 10, kDisk * 2}) {
    image_ = MakeTestImage({Layer("big", bytes)});
    dir_.Write("archive.tar", MakeTestArchive(image_, "x.test/a:1"));
    ASSERT_OK_AND_ASSIGN(UniqueFd archive,
                         OpenFile(dir_.Path("archive.tar"), O_RDONLY));
    EXPECT_THAT(
        service_->transfer().ImportArchive(
            Context::Background(), std::move(archive), "", BlobPolicy::kDrop),
        StatusIs(StatusCode::kResourceExhausted));
    ExpectNothingLeft();
  }
}

TEST_F(FullDiskTest, WhatIsKeptForANextTryIsCountedAndBounded) {
  // Broken off half-way: one part that may stay, one that is too much.
  for (const size_t size : {kMiB, 4 * kMiB}) {
    image_ = MakeTestImage({Layer("half", 2 * size)});
    const std::string layer = Digest::Of(image_.layers[0]).str();
    ScriptedServer breaks([&](const std::string& request) {
      return request.find(layer) == std::string::npos
                 ? AnswerAsRegistry(image_, request)
                 : "HTTP/1.1 200 OK\r\nContent-Length: " +
                       std::to_string(image_.layers[0].size()) + "\r\n\r\n" +
                       image_.layers[0].substr(0, size);
    });
    Open(breaks.address());
    ASSERT_OK_AND_ASSIGN(const Reference reference,
                         Reference::Parse(breaks.address() + "/img:1"));
    EXPECT_THAT(service_->transfer().Pull(Context::Background(), reference, {},
                                          BlobPolicy::kDrop, nullptr),
                StatusIs(StatusCode::kUnavailable));
    const uint64_t part = size <= kDisk / 10 ? size : 0;
    EXPECT_THAT(dir_.Names("disk/content/ingest"), SizeIs(part > 0 ? 1 : 0));
    EXPECT_GE(service_->images().StoreUsageNow()->usage.bytes, part);
    EXPECT_LT(service_->images().StoreUsageNow()->usage.bytes, part + kMiB / 2);
    for (const std::string& name : dir_.Names("disk/content/ingest")) {
      unlink(dir_.Path("disk/content/ingest/" + name).c_str());
    }
  }
}

TEST_F(FullDiskTest, GoesOnWhenThereIsRoomAgain) {
  dir_.Write("disk/filler", std::string(Free() - kMiB, 'x'));
  image_ = MakeTestImage({Layer("big", 4 * kMiB)});
  EXPECT_THAT(Pull(), StatusIs(StatusCode::kResourceExhausted));
  ASSERT_EQ(unlink(dir_.Path("disk/filler").c_str()), 0);
  ExpectNothingLeft();
  ASSERT_OK(Pull());
  ASSERT_OK(service_->images().Remove(image_.id()));
  ASSERT_OK(service_->images().CollectGarbage(Context::Background()));
  ExpectNothingLeft();
}

}  // namespace
}  // namespace berth::image
