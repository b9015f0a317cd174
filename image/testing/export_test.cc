// Images that leave for an archive or a directory, and come back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/store/metadata_store.h"
#include "base/sys/file.h"
#include "base/testing/scripted_server.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "base/unique_fd.h"
#include "image/archive/file_sink.h"
#include "image/archive/layout_sink.h"
#include "image/image_service.h"
#include "image/layer/tar_builder.h"
#include "image/testing/test_image.h"

namespace berth::image {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

const Context& Ctx() {
  static const auto& ctx = *new Context(Context::Background());
  return ctx;
}

// A store in a folder of its own.
struct Store {
  Store(const TempDir& dir, const std::string& name,
        const std::vector<std::string>& registries)
      : root(dir.Path(name)) {
    dir.MakeDirectory(name);
    metadata = *MetadataStore::Open(root + "/meta.db");
    ImageServiceOptions options;
    options.root = root;
    options.transfer.plain_http = registries;
    options.transfer.retry.tries = 1;
    StatusOr<std::unique_ptr<ImageService>> opened =
        ImageService::Open(options, *metadata);
    EXPECT_OK(opened);
    service = *std::move(opened);
  }
  StatusOr<std::vector<Image>> Import(const std::string& path) {
    ASSIGN_OR_RETURN(UniqueFd file, OpenFile(path, O_RDONLY));
    ASSIGN_OR_RETURN(const struct stat info, StatFd(file.get()));
    return S_ISDIR(info.st_mode)
               ? service->transfer().ImportDirectory(Ctx(), path, "",
                                                     BlobPolicy::kDrop)
               : service->transfer().ImportArchive(Ctx(), std::move(file), "",
                                                   BlobPolicy::kDrop);
  }

  const std::string root;
  std::unique_ptr<MetadataStore> metadata;
  std::unique_ptr<ImageService> service;
};

class ExportTest : public ::testing::Test {
 protected:
  ExportTest()
      : image_(MakeTestImage(
            {TarBuilder().Directory("d").File("d/a", "one").Bytes(),
             TarBuilder().File("b", "two").Bytes()})),
        server_([this](const std::string& request) {
          return down_ ? HttpReply(500, "") : AnswerAsRegistry(image_, request);
        }) {}
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root: overlayfs";
    store_ = std::make_unique<Store>(
        dir_, "store",
        std::vector<std::string>{server_.address(), liar_.address()});
  }
  StatusOr<Image> Pull(BlobPolicy policy, const std::string& tag = "1") {
    ASSIGN_OR_RETURN(const Reference name, Name(tag));
    return store_->service->transfer().Pull(Ctx(), name, {}, policy, nullptr);
  }
  StatusOr<Reference> Name(const std::string& tag) {
    return Reference::Parse(server_.address() + "/img:" + tag);
  }
  Status Export(const std::string& path,
                const std::vector<Transfer::Departure>& images) {
    ASSIGN_OR_RETURN(const std::unique_ptr<FileSink> files,
                     OpenFileSink(dir_.Path(path)));
    LayoutSink sink(*files);
    return store_->service->transfer().Export(Ctx(), images, sink);
  }
  Status ExportImage(const std::string& path) {
    ASSIGN_OR_RETURN(const Reference name, Name("1"));
    return Export(path, {{image_.id(), {name}}});
  }
  size_t Asked(const std::string& blob) {
    const std::vector<std::string> all = server_.requests();
    return static_cast<size_t>(
        std::count_if(all.begin(), all.end(), [&](const std::string& one) {
          return one.find("/blobs/" + Digest::Of(blob).str()) !=
                 std::string::npos;
        }));
  }
  std::vector<std::string> Blobs() {
    EXPECT_OK(store_->service->images().CollectGarbage(Ctx()));
    return dir_.Names("store/content/blobs/sha256");
  }
  // On an empty store it is the image that was exported.
  void ExpectComesBack(const std::string& path) {
    Store other(dir_, path + ".store", {});
    const StatusOr<std::vector<Image>> images = other.Import(dir_.Path(path));
    ASSERT_OK(images);
    ASSERT_THAT(*images, SizeIs(1));
    const Image& image = images->front();
    EXPECT_EQ(image.id(), image_.id());
    EXPECT_EQ(image.record.manifest_digest(),
              Digest::Of(image_.manifest).str());
    EXPECT_THAT(image.record.diff_ids(),
                ElementsAre(Digest::Of(image_.layers[0]).str(),
                            Digest::Of(image_.layers[1]).str()));
    EXPECT_THAT(image.repo_tags, ElementsAre(server_.address() + "/img:1"));
    EXPECT_THAT(other.service->images().ConfigJson(image.id()),
                IsOkAndHolds(image_.config));
    RootfsProvider& rootfs = other.service->rootfs();
    ASSERT_OK(rootfs.Acquire(Ctx(), image.id(), "root", Persistence::kDurable));
    EXPECT_THAT(rootfs.ReadFile("root", "/d/a", 10), IsOkAndHolds("one"));
    EXPECT_THAT(rootfs.ReadFile("root", "/b", 10), IsOkAndHolds("two"));
  }

  TempDir dir_;
  bool down_ = false;
  TestImage image_;
  ScriptedServer server_;
  // Has other bytes for one layer.
  ScriptedServer liar_{[this](const std::string& request) {
    const std::string& good = image_.layers[0];
    return request.find(Digest::Of(good).str()) == std::string::npos
               ? AnswerAsRegistry(image_, request)
               : HttpReply(200, std::string(good.size(), 'x'));
  }};
  std::unique_ptr<Store> store_;
};

TEST_F(ExportTest, WhatWasDroppedIsFetchedAgainForIt) {
  ASSERT_OK(Pull(BlobPolicy::kDrop));
  EXPECT_THAT(Blobs(), SizeIs(2));
  ASSERT_OK(ExportImage("image.tar"));
  for (const std::string& layer : image_.layers) EXPECT_EQ(Asked(layer), 2u);
  EXPECT_EQ(Asked(image_.config), 1u);
  EXPECT_THAT(Blobs(), SizeIs(2));  // and dropped again
  ExpectComesBack("image.tar");
}

TEST_F(ExportTest, WhatIsKeptNeedsNoRegistry) {
  ASSERT_OK(Pull(BlobPolicy::kKeep));
  down_ = true;
  ASSERT_OK(ExportImage("image.tar"));
  ASSERT_OK(ExportImage("layout/"));
  ExpectComesBack("image.tar");
  ExpectComesBack("layout");
  ASSERT_OK(ExportImage("again.tar"));
  EXPECT_EQ(dir_.Read("image.tar"), dir_.Read("again.tar"));
}

TEST_F(ExportTest, AnImageThatCameFromFilesHasNowhereToFetchFrom) {
  dir_.Write("in.tar", MakeTestArchive(image_, "x.test/i:1"));
  ASSERT_OK(store_->Import(dir_.Path("in.tar")));
  EXPECT_THAT(ExportImage("image.tar"),
              StatusIs(StatusCode::kFailedPrecondition, HasSubstr("dropped")));
  EXPECT_FALSE(dir_.Exists("image.tar"));
  EXPECT_FALSE(dir_.Exists("image.tar.partial"));
  // The same layers came from a registry, too.
  ASSERT_OK(Pull(BlobPolicy::kDrop));
  EXPECT_OK(ExportImage("image.tar"));
}

TEST_F(ExportTest, ARegistryThatFailsOrLiesLeavesNothing) {
  ASSERT_OK(Pull(BlobPolicy::kDrop));
  const std::vector<std::string> before = Blobs();
  down_ = true;
  EXPECT_THAT(ExportImage("image.tar"), StatusIs(StatusCode::kUnavailable));
  down_ = false;
  ASSERT_OK(store_->metadata->Update([&](Transaction& tx) -> Status {
    const Table<state::v1::ImageRecord> images("images");
    ASSIGN_OR_RETURN(auto record, images.Get(tx, image_.id()));
    record.clear_sources();
    record.add_sources(liar_.address() + "/img");
    return images.Put(tx, image_.id(), record);
  }));
  EXPECT_FALSE(ExportImage("image.tar").ok());
  EXPECT_THAT(Blobs(), before);
  EXPECT_FALSE(dir_.Exists("image.tar"));
  EXPECT_FALSE(dir_.Exists("image.tar.partial"));
}

TEST_F(ExportTest, ADamagedBlobIsFoundAndFetchedTheNextTime) {
  ASSERT_OK(Pull(BlobPolicy::kKeep));
  const std::string blob =
      "store/content/blobs/sha256/" + Digest::Of(image_.layers[1]).hex();
  ASSERT_EQ(unlink(dir_.Path(blob).c_str()), 0);
  dir_.Write(blob, std::string(image_.layers[1].size(), 'x'));
  EXPECT_THAT(ExportImage("image.tar"), StatusIs(StatusCode::kDataLoss));
  EXPECT_FALSE(dir_.Exists("image.tar"));
  ASSERT_OK(ExportImage("image.tar"));
  EXPECT_EQ(Asked(image_.layers[1]), 2u);
  ExpectComesBack("image.tar");
}

TEST_F(ExportTest, WritesAllNamesForAllReaders) {
  ASSERT_OK(Pull(BlobPolicy::kKeep));
  const Reference full = *Reference::Parse("r.test:5000/a/b:2");
  const Reference short_name = *Reference::Parse("busybox");
  const Reference digest =
      *Reference::Parse("r.test/a@" + Digest::Of(image_.manifest).str());
  ASSERT_OK(Export("out/", {{image_.id(), {full, full}},
                            {image_.id(), {short_name, digest}}}));
  EXPECT_EQ(dir_.Read("out/oci-layout"), R"({"imageLayoutVersion":"1.0.0"})");
  ASSERT_OK_AND_ASSIGN(const Json index,
                       ParseJson(dir_.Read("out/index.json"), "index"));
  std::vector<std::string> names;
  for (const Json& entry : index.Find("manifests")->elements()) {
    std::map<std::string, std::string> annotations;
    std::string type, manifest;
    JsonReader reader(entry, "entry");
    reader.Get("annotations", annotations);
    reader.Get("mediaType", type);
    reader.Get("digest", manifest);
    EXPECT_OK(reader.status());
    EXPECT_EQ(type, kTestManifestType);
    EXPECT_EQ(manifest, Digest::Of(image_.manifest).str());
    names.push_back(annotations["io.containerd.image.name"] + " " +
                    annotations["org.opencontainers.image.ref.name"]);
  }
  EXPECT_THAT(names, ElementsAre("r.test:5000/a/b:2 2",
                                 "docker.io/library/busybox:latest latest",
                                 digest.str() + " "));
  ASSERT_OK_AND_ASSIGN(const Json docker,
                       ParseJson(dir_.Read("out/manifest.json"), "docker"));
  ASSERT_EQ(docker.size(), 1u);
  std::vector<std::string> tags, layers;
  std::string config;
  JsonReader reader(docker.elements()[0], "docker");
  reader.Get("RepoTags", tags);
  reader.Get("Layers", layers);
  reader.Get("Config", config);
  ASSERT_OK(reader.status());
  EXPECT_THAT(tags, ElementsAre("r.test:5000/a/b:2", "busybox:latest"));
  EXPECT_EQ(dir_.Read("out/" + config), image_.config);
  ASSERT_THAT(layers, SizeIs(2));
  EXPECT_EQ(dir_.Read("out/" + layers[0]), image_.layers[0]);
  EXPECT_EQ(dir_.Read("out/" + layers[1]), image_.layers[1]);
}

TEST_F(ExportTest, NoSuchImage) {
  EXPECT_THAT(ExportImage("image.tar"), StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(dir_.Names(), ElementsAre("store"));
}

}  // namespace
}  // namespace berth::image
