#include "image/content/content_store.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <string>
#include <vector>

#include "base/strings.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"

namespace berth::image {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class ContentStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto store = ContentStore::Open(dir_.path() + "/content");
    ASSERT_OK(store);
    store_ = *std::move(store);
  }
  static Descriptor DescriptorOf(const std::string& bytes) {
    Descriptor descriptor;
    descriptor.digest = Digest::Of(bytes);
    descriptor.size = bytes.size();
    return descriptor;
  }

  TempDir dir_;
  std::unique_ptr<ContentStore> store_;
};

TEST_F(ContentStoreTest, ShowsABlobOnlyWhenItIsWhole) {
  const Descriptor blob = DescriptorOf("hello");
  ASSERT_OK_AND_ASSIGN(auto writer, store_->Ingest(blob));
  ASSERT_OK(writer->Append("hel"));
  EXPECT_THAT(store_->Stat(blob.digest), StatusIs(StatusCode::kNotFound));
  ASSERT_OK(writer->Append("lo"));
  EXPECT_THAT(store_->Stat(blob.digest), StatusIs(StatusCode::kNotFound));
  ASSERT_OK(writer->Commit());
  EXPECT_EQ(store_->Stat(blob.digest)->size, 5u);
  EXPECT_EQ(*store_->Read(blob.digest, 5), "hello");
  EXPECT_THAT(*store_->List(), SizeIs(1));
  EXPECT_THAT(dir_.Names("content/ingest"), IsEmpty());
}

TEST_F(ContentStoreTest, GoesOnWhereAnEarlierWriterEnded) {
  const Descriptor blob = DescriptorOf("hello");
  {
    ASSERT_OK_AND_ASSIGN(auto writer, store_->Ingest(blob));
    ASSERT_OK(writer->Append("hel"));
  }
  ASSERT_OK_AND_ASSIGN(auto writer, store_->Ingest(blob));
  EXPECT_EQ(writer->offset(), 3u);
  ASSERT_OK(writer->Append("lo"));
  EXPECT_OK(writer->Commit());
}

TEST_F(ContentStoreTest, RefusesOtherBytesAndForgetsThem) {
  const Descriptor blob = DescriptorOf("hello");
  {
    ASSERT_OK_AND_ASSIGN(auto writer, store_->Ingest(blob));
    EXPECT_THAT(writer->Append("hello!"), StatusIs(StatusCode::kDataLoss));
    ASSERT_OK(writer->Append("hellO"));
    EXPECT_THAT(writer->Commit(), StatusIs(StatusCode::kDataLoss));
  }
  ASSERT_OK_AND_ASSIGN(auto writer, store_->Ingest(blob));
  EXPECT_EQ(writer->offset(), 0u);
  ASSERT_OK(writer->Append("hell"));
  EXPECT_THAT(writer->Commit(), StatusIs(StatusCode::kDataLoss));
}

TEST_F(ContentStoreTest, NoticesADamagedBlob) {
  ASSERT_OK(store_->Write(Digest::Of("hello"), "hello"));
  const std::string name = "content/blobs/sha256/" + Digest::Of("hello").hex();
  ASSERT_OK(store_->Remove(Digest::Of("hello")));
  dir_.Write(name, "hellO");
  EXPECT_THAT(store_->Read(Digest::Of("hello"), 100),
              StatusIs(StatusCode::kDataLoss));
}

TEST_F(ContentStoreTest, ADocumentTakesThePlaceOfADamagedOne) {
  const Digest digest = Digest::Of("hello");
  for (const std::string left : {"", "hell", "hellO", "hello!"}) {
    ASSERT_OK(store_->Remove(digest));
    dir_.Write("content/blobs/sha256/" + digest.hex(), left);
    EXPECT_THAT(store_->Write(digest, "hello"), IsOkAndHolds(true)) << left;
    EXPECT_THAT(store_->Read(digest, 5), IsOkAndHolds("hello")) << left;
    EXPECT_THAT(store_->Write(digest, "hello"), IsOkAndHolds(false)) << left;
  }
  // Bytes of another digest replace nothing.
  EXPECT_THAT(store_->Write(digest, "HELLO"), StatusIs(StatusCode::kDataLoss));
  EXPECT_THAT(store_->Read(digest, 5), IsOkAndHolds("hello"));
}

TEST_F(ContentStoreTest, RemovesWhatIsThereAndWhatIsNot) {
  ASSERT_OK(store_->Write(Digest::Of("a"), "a"));
  ASSERT_OK(store_->Write(Digest::Of("a"), "a"));
  EXPECT_OK(store_->Remove(Digest::Of("a")));
  EXPECT_OK(store_->Remove(Digest::Of("a")));
  EXPECT_THAT(*store_->List(), IsEmpty());
  {
    ASSERT_OK_AND_ASSIGN(auto writer, store_->Ingest(DescriptorOf("bbb")));
    ASSERT_OK(writer->Append("b"));
  }
  ASSERT_OK(store_->TrimPartial(100, 0, {}));
  EXPECT_THAT(dir_.Names("content/ingest"), SizeIs(1));
  ASSERT_OK(store_->TrimPartial(100, INT64_MAX, {}));
  EXPECT_THAT(dir_.Names("content/ingest"), IsEmpty());
}

TEST_F(ContentStoreTest, KeepsTheNewestPartsWithinABound) {
  const auto leave = [&](const std::string& whole, size_t size, time_t age) {
    const Descriptor blob = DescriptorOf(whole);
    {
      ASSERT_OK_AND_ASSIGN(auto writer, store_->Ingest(blob));
      ASSERT_OK(writer->Append(whole.substr(0, size)));
    }
    const std::string path = dir_.Path("content/ingest/" + blob.digest.hex());
    const timespec times[] = {{0, UTIME_NOW}, {1'700'000'000 - age, 0}};
    ASSERT_EQ(utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
  };
  const auto names = [&] {
    std::vector<std::string> all;
    const auto partial = store_->ListPartial();
    EXPECT_OK(partial);
    for (const BlobInfo& blob : *partial) {
      all.push_back(std::to_string(blob.size));
    }
    return Join(all, " ");
  };
  leave("newest......", 4, 1);
  leave("middle......", 5, 2);
  leave("oldest......", 6, 3);
  EXPECT_EQ(names(), "4 5 6");
  ASSERT_OK(store_->TrimPartial(15, 0, {}));
  EXPECT_EQ(names(), "4 5 6");
  ASSERT_OK(store_->TrimPartial(10, 0, {}));
  EXPECT_EQ(names(), "4 5");
  // What is being written stays, and does not count.
  ASSERT_OK(store_->TrimPartial(0, 0, {Digest::Of("middle......")}));
  EXPECT_EQ(names(), "5");
}

}  // namespace
}  // namespace berth::image
