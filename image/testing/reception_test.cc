// Images that a peer sends in pieces.
#include "image/transfer/reception.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>

#include "base/store/metadata_store.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "image/image_service.h"
#include "image/layer/tar_builder.h"
#include "image/testing/test_image.h"

namespace berth::image {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Bytes : public ByteSource {
 public:
  explicit Bytes(std::string bytes) : bytes_(std::move(bytes)) {}
  StatusOr<std::string_view> Next() override {
    now_ = std::exchange(bytes_, "");
    return std::string_view(now_);
  }

 private:
  std::string bytes_;
  std::string now_;
};

class ReceptionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root: overlayfs";
    ASSERT_OK_AND_ASSIGN(metadata_, MetadataStore::Open(dir_.Path("meta.db")));
    ImageServiceOptions options;
    options.root = dir_.path();
    ASSERT_OK_AND_ASSIGN(service_, ImageService::Open(options, *metadata_));
    image_ = MakeTestImage({TarBuilder().File("f", "1").Bytes()});
  }

  Status Put(Reception& reception, const std::string& blob) {
    Bytes bytes(blob);
    return reception.PutBlob(ctx_, DescriptorOfBlob(blob, ""), bytes);
  }
  Reference Name(const std::string& text) {
    StatusOr<Reference> name = Reference::Parse(text);
    EXPECT_OK(name);
    return *std::move(name);
  }

  TempDir dir_;
  const Context ctx_ = Context::Background();
  TestImage image_;
  std::unique_ptr<MetadataStore> metadata_;
  std::unique_ptr<ImageService> service_;
};

TEST_F(ReceptionTest, MakesAnImageWithAllNames) {
  Reception reception(service_->transfer());
  ASSERT_OK(Put(reception, image_.layers[0]));
  ASSERT_OK(Put(reception, image_.config));
  ASSERT_OK_AND_ASSIGN(
      const Digest digest,
      reception.PutManifest(kTestManifestType, image_.manifest));
  ASSERT_OK_AND_ASSIGN(
      const Image image,
      reception.Install(ctx_, digest, {Name("a:1"), Name("x.test/b:2")}));
  EXPECT_EQ(image.id(), image_.id());
  EXPECT_THAT(image.repo_tags,
              ElementsAre("docker.io/library/a:1", "x.test/b:2"));
}

TEST_F(ReceptionTest, MakesAnImageWithoutAName) {
  Reception reception(service_->transfer());
  ASSERT_OK(Put(reception, image_.layers[0]));
  ASSERT_OK(Put(reception, image_.config));
  ASSERT_OK_AND_ASSIGN(
      const Digest digest,
      reception.PutManifest(kTestManifestType, image_.manifest));
  ASSERT_OK_AND_ASSIGN(const Image image, reception.Install(ctx_, digest, {}));
  EXPECT_THAT(image.repo_tags, IsEmpty());
}

TEST_F(ReceptionTest, RefusesWhatDoesNotMatch) {
  Reception reception(service_->transfer());
  Bytes other("other bytes");
  EXPECT_EQ(reception.PutBlob(ctx_, DescriptorOfBlob(image_.config, ""), other)
                .code(),
            StatusCode::kDataLoss);
  EXPECT_EQ(reception.Find(Digest::Of(image_.config)).status().code(),
            StatusCode::kNotFound);
  EXPECT_EQ(reception.PutManifest(kTestManifestType, "{").status().code(),
            StatusCode::kInvalidArgument);
  // Neither the manifest nor the layer has come.
  const Digest digest = Digest::Of(image_.manifest);
  EXPECT_EQ(reception.Install(ctx_, digest, {}).status().code(),
            StatusCode::kNotFound);
  ASSERT_OK(Put(reception, image_.config));
  ASSERT_OK(reception.PutManifest(kTestManifestType, image_.manifest).status());
  const Status missing = reception.Install(ctx_, digest, {}).status();
  EXPECT_EQ(missing.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(Message(missing), HasSubstr("was not sent"));
}

TEST_F(ReceptionTest, KeepsBlobsForAsLongAsItLives) {
  const Digest layer = Digest::Of(image_.layers[0]);
  {
    Reception reception(service_->transfer());
    ASSERT_OK(Put(reception, image_.layers[0]));
    ASSERT_OK(service_->images().CollectGarbage(ctx_).status());
    ASSERT_OK_AND_ASSIGN(const uint64_t size, reception.Find(layer));
    EXPECT_EQ(size, image_.layers[0].size());
  }
  ASSERT_OK(service_->images().CollectGarbage(ctx_).status());
  EXPECT_FALSE(service_->images().OpenBlob(layer).ok());
}

}  // namespace
}  // namespace berth::image
