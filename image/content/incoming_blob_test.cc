#include "image/content/incoming_blob.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "base/sys/file.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"

namespace berth::image {
namespace {

class IncomingBlobTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(file_, OpenFile(path_, O_RDWR | O_CREAT, 0600));
  }
  UniqueFd Reopened() { return *OpenFile(path_, O_RDONLY); }
  void Write(const std::string& text) {
    ASSERT_OK(WriteAll(file_.get(), text));
    size_ += text.size();
    blob_.Grow(size_);
  }

  TempDir dir_;
  const std::string path_ = dir_.path() + "/blob";
  UniqueFd file_;
  uint64_t size_ = 0;
  IncomingBlob blob_;
};

TEST_F(IncomingBlobTest, GivesBytesBeforeTheEndIsKnown) {
  blob_.Follow(Reopened());
  Write("first");
  ASSERT_OK_AND_ASSIGN(std::string_view bytes, blob_.Next());
  EXPECT_EQ(bytes, "first");
  std::thread writer([&] {
    Write("second");
    blob_.Finish(Reopened());
  });
  ASSERT_OK_AND_ASSIGN(bytes, blob_.Next());
  EXPECT_EQ(bytes, "second");
  ASSERT_OK_AND_ASSIGN(bytes, blob_.Next());
  EXPECT_EQ(bytes, "");
  writer.join();
  EXPECT_OK(blob_.fetched());
  EXPECT_FALSE(blob_.restarted());
}

TEST_F(IncomingBlobTest, TheEndOfABlobThatIsWrongIsAnError) {
  blob_.Follow(Reopened());
  Write("bytes");
  blob_.Finish(DataLoss("digest"));
  EXPECT_THAT(blob_.Next(), StatusIs(StatusCode::kDataLoss));
  EXPECT_THAT(blob_.fetched(), StatusIs(StatusCode::kDataLoss));
}

TEST_F(IncomingBlobTest, GivesTheWholeOfABlobThatWasThere) {
  ASSERT_OK(WriteAll(file_.get(), "whole"));
  blob_.Finish(Reopened());
  ASSERT_OK_AND_ASSIGN(std::string_view bytes, blob_.Next());
  EXPECT_EQ(bytes, "whole");
  ASSERT_OK_AND_ASSIGN(bytes, blob_.Next());
  EXPECT_EQ(bytes, "");
}

TEST_F(IncomingBlobTest, DoesNotGoOnWithBytesThatComeAnew) {
  blob_.Follow(Reopened());
  Write("wrong");
  ASSERT_OK(blob_.Next().status());
  std::thread writer([&] {
    blob_.Grow(0);
    blob_.Grow(100);
    blob_.Finish(Reopened());
  });
  EXPECT_THAT(blob_.Next(), StatusIs(StatusCode::kUnavailable));
  writer.join();
  EXPECT_OK(blob_.fetched());
  EXPECT_TRUE(blob_.restarted());
}

TEST_F(IncomingBlobTest, AFileThatWasCutOffHasNoEnd) {
  blob_.Follow(Reopened());
  blob_.Grow(10);
  EXPECT_THAT(blob_.Next(), StatusIs(StatusCode::kUnavailable));
  EXPECT_TRUE(blob_.restarted());
}

}  // namespace
}  // namespace berth::image
