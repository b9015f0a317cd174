#include "image/image_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"

namespace berth::image {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class ImageStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(metadata_, MetadataStore::Open(dir_.Path("meta.db")));
    images_ =
        std::make_unique<ImageStore>(*metadata_, std::vector<std::string>());
  }
  // As a pull of `name` would: the image's manifest has the same letter.
  void Add(char image, const std::string& name) {
    state::v1::ImageRecord record;
    record.set_id(Sha(image));
    record.set_manifest_digest(Sha(image));
    ASSERT_OK(metadata_->Update([&](Transaction& tx) {
      return images_->Put(tx, record, Name(name), *Digest::Parse(Sha(image)));
    }));
  }
  static std::string Sha(char digit) {
    return "sha256:" + std::string(64, digit);
  }
  static Reference Name(const std::string& text) {
    return *Reference::Parse(text);
  }
  Image Get(char image) {
    const StatusOr<Image> found = images_->Resolve(Sha(image));
    EXPECT_OK(found);
    return found.ok() ? *found : Image();
  }
  bool Has(char image) { return images_->Resolve(Sha(image)).ok(); }

  TempDir dir_;
  std::unique_ptr<MetadataStore> metadata_;
  std::unique_ptr<ImageStore> images_;
};

TEST_F(ImageStoreTest, RemovingADigestLeavesTheTag) {
  Add('a', "r.test/n:1");
  ASSERT_OK(images_->RemoveName(Name("r.test/n@" + Sha('a'))));
  EXPECT_THAT(Get('a').repo_tags, ElementsAre("r.test/n:1"));
  EXPECT_THAT(Get('a').repo_digests, IsEmpty());
  // What is not there is removed already.
  ASSERT_OK(images_->RemoveName(Name("r.test/n@" + Sha('a'))));
  ASSERT_OK(images_->RemoveName(Name("r.test/n:2")));
  EXPECT_THAT(Get('a').repo_tags, SizeIs(1));
  ASSERT_OK(images_->RemoveName(Name("r.test/n:1")));
  EXPECT_FALSE(Has('a'));
}

TEST_F(ImageStoreTest, RemovingADigestLeavesOtherDigests) {
  Add('a', "r.test/n@" + Sha('a'));
  const Image image = Get('a');
  ASSERT_OK(metadata_->Update([&](Transaction& tx) {
    return images_->Put(tx, image.record, Name("r.test/n@" + Sha('b')),
                        *Digest::Parse(Sha('b')));
  }));
  ASSERT_OK(images_->RemoveName(Name("r.test/n@" + Sha('b'))));
  EXPECT_THAT(Get('a').repo_digests, ElementsAre("r.test/n@" + Sha('a')));
  ASSERT_OK(images_->RemoveName(Name("r.test/n@" + Sha('a'))));
  EXPECT_FALSE(Has('a'));
}

TEST_F(ImageStoreTest, TheLastTagOfARepositoryTakesItsDigestsAlong) {
  Add('a', "r.test/n:1");
  Add('a', "r.test/n:2");
  Add('a', "q.test/n:1");
  ASSERT_OK(images_->RemoveName(Name("r.test/n:1")));
  EXPECT_THAT(Get('a').repo_tags, ElementsAre("q.test/n:1", "r.test/n:2"));
  EXPECT_THAT(Get('a').repo_digests, SizeIs(2));
  ASSERT_OK(images_->RemoveName(Name("r.test/n:2")));
  EXPECT_THAT(Get('a').repo_tags, ElementsAre("q.test/n:1"));
  EXPECT_THAT(Get('a').repo_digests, ElementsAre("q.test/n@" + Sha('a')));
  ASSERT_OK(images_->RemoveName(Name("q.test/n:1")));
  EXPECT_FALSE(Has('a'));
}

TEST_F(ImageStoreTest, RemovingATagLeavesImagesThatLostIt) {
  Add('a', "r.test/n:1");
  Add('b', "r.test/n:1");  // the tag moves
  EXPECT_THAT(Get('a').repo_tags, IsEmpty());
  ASSERT_OK(images_->RemoveName(Name("r.test/n:1")));
  EXPECT_FALSE(Has('b'));
  EXPECT_THAT(Get('a').repo_digests, ElementsAre("r.test/n@" + Sha('a')));
}

TEST_F(ImageStoreTest, RemovingAnImageTakesAllItsNamesAndNoOther) {
  Add('a', "r.test/n:1");
  Add('a', "q.test/n:1");
  Add('b', "r.test/n:2");
  ASSERT_OK(images_->Remove(Sha('a')));
  EXPECT_FALSE(Has('a'));
  EXPECT_FALSE(images_->Resolve("q.test/n:1").ok());
  EXPECT_THAT(Get('b').repo_tags, ElementsAre("r.test/n:2"));
}

TEST_F(ImageStoreTest, AFurtherPullForgetsNeitherSourcesNorKeptBlobs) {
  const auto put = [&](bool keep, const std::string& source) {
    state::v1::ImageRecord record;
    record.set_id(Sha('a'));
    record.add_layer_digests(Sha('1'));
    record.set_keep_blobs(keep);
    record.add_sources(source);
    ASSERT_OK(metadata_->Update([&](Transaction& tx) {
      return images_->Put(tx, record, Name("r.test/n:1"),
                          *Digest::Parse(Sha('a')));
    }));
  };
  const Digest layer = *Digest::Parse(Sha('1'));
  put(false, "a.test/n");
  EXPECT_EQ(images_->NeededByImages()->blobs.count(layer), 0u);
  put(true, "b.test/n");
  EXPECT_EQ(images_->NeededByImages()->blobs.count(layer), 1u);
  for (const char* source : {"a.test/n", "c.test/n", "d.test/n", "e.test/n"}) {
    put(false, source);
  }
  EXPECT_EQ(images_->NeededByImages()->blobs.count(layer), 1u);
  EXPECT_THAT(Get('a').record.sources(),
              ElementsAre("e.test/n", "d.test/n", "c.test/n", "a.test/n"));
}

TEST_F(ImageStoreTest, ListsAnImageThatHasADigestOnly) {
  Add('a', "r.test/n@" + Sha('a'));
  ASSERT_OK_AND_ASSIGN(const std::vector<Image> all, images_->List());
  ASSERT_THAT(all, SizeIs(1));
  EXPECT_THAT(all[0].repo_tags, IsEmpty());
  EXPECT_THAT(all[0].repo_digests, ElementsAre("r.test/n@" + Sha('a')));
}

}  // namespace
}  // namespace berth::image
