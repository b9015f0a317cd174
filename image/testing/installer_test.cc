// Images from a source that fails on demand into the real stores.
#include "image/transfer/installer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mount.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "base/store/metadata_store.h"
#include "base/sys/file.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "image/garbage_collector.h"
#include "image/image_store.h"
#include "image/layer/tar_builder.h"
#include "image/snapshot/overlay_snapshotter.h"
#include "image/testing/test_image.h"

namespace berth::image {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// One image in memory. `before` is asked before each step: "resolve", "config",
// "layer 0" and so on; its error is the step's.
class FakeSource : public ImageSource {
 public:
  using Before = std::function<Status(const Context&, const std::string&)>;

  explicit FakeSource(TestImage image, Before before = nullptr)
      : image_(std::move(image)), before_(std::move(before)) {}

  void set_lasting(bool lasting) { lasting_ = lasting; }
  void set_origin(std::string origin) { origin_ = std::move(origin); }
  std::string Origin() const override { return origin_; }
  bool IsLasting() const override { return lasting_; }
  StatusOr<Fetched> Resolve(const Context& ctx) override {
    RETURN_IF_ERROR(Step(ctx, "resolve"));
    return Fetched{DescriptorOfBlob(image_.manifest, kTestManifestType),
                   image_.manifest};
  }
  StatusOr<Fetched> FetchManifest(const Context&, const Descriptor&) override {
    return NotFound("there is no index");
  }
  Status FetchBlob(const Context& ctx, const Descriptor& descriptor,
                   ContentStore& store,
                   const std::function<void(uint64_t)>&) override {
    if (descriptor.digest == Digest::Of(image_.config)) {
      RETURN_IF_ERROR(Step(ctx, "config"));
      return store.Write(descriptor.digest, image_.config).status();
    }
    for (size_t i = 0; i < image_.layers.size(); ++i) {
      if (descriptor.digest != Digest::Of(image_.layers[i])) continue;
      RETURN_IF_ERROR(Step(ctx, "layer " + std::to_string(i)));
      return store.Write(descriptor.digest, image_.layers[i]).status();
    }
    return NotFound("blob " + descriptor.digest.str());
  }
  int steps() const { return steps_; }

 private:
  Status Step(const Context& ctx, const std::string& name) {
    ++steps_;
    return before_ ? before_(ctx, name) : OkStatus();
  }
  const TestImage image_;
  const Before before_;
  bool lasting_ = true;
  std::string origin_;
  std::atomic<int> steps_{0};
};

// Two that wait for each other go on together; nobody waits longer than 30 s.
class Meeting {
 public:
  explicit Meeting(int guests) : missing_(guests) {}
  void Arrive() {
    if (--missing_ == 0) all_.Cancel();
    pollfd fd = {all_.cancel_fd(), POLLIN, 0};
    EXPECT_EQ(poll(&fd, 1, 30'000), 1);
  }

 private:
  std::atomic<int> missing_;
  const Context all_ = Context::Background().WithCancel();
};

std::vector<std::string> ThreeLayers() {
  return {TarBuilder().Directory("d").File("d/a", "one").Bytes(),
          TarBuilder().File("d/b", "two").Bytes(),
          TarBuilder().File(".wh.d", "").File("c", "three").Bytes()};
}

class InstallerTest : public ::testing::Test {
 protected:
  StatusOr<std::string> ReadTree(uint64_t number, const Digest& chain,
                                 const std::string& path) {
    ASSIGN_OR_RETURN(const LayerStack stack, snapshots_->Stack(number, chain));
    ASSIGN_OR_RETURN(const UniqueFd file, stack.OpenFile(path));
    return ReadAll(file.get(), 10, path);
  }
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root: owners, trusted xattrs";
    ASSERT_OK_AND_ASSIGN(metadata_, MetadataStore::Open(dir_.Path("meta.db")));
    ASSERT_OK_AND_ASSIGN(content_, ContentStore::Open(dir_.Path("content")));
    ASSERT_OK_AND_ASSIGN(
        snapshots_, OverlaySnapshotter::Open(dir_.Path("layers"), *metadata_));
    images_ =
        std::make_unique<ImageStore>(*metadata_, std::vector<std::string>());
    installer_ = std::make_unique<Installer>(*content_, *snapshots_,
                                             Installer::Options());
    garbage_ = std::make_unique<GarbageCollector>(*content_, *snapshots_,
                                                  *images_, leases_, 1 << 20);
  }
  StatusOr<Installed> Install(FakeSource& source,
                              BlobPolicy policy = BlobPolicy::kKeep) {
    Leases::Lease lease(leases_);
    return installer_->Install(Context::Background(), source, lease, policy,
                               nullptr);
  }
  std::vector<std::string> Directories() { return dir_.Names("layers"); }
  // No record, no directory, no blob, no lease.
  void ExpectNothingLeft() {
    EXPECT_OK(leases_.Freeze([](const std::set<Digest>& held) {
      EXPECT_THAT(held, IsEmpty());
      return OkStatus();
    }));
    EXPECT_OK(garbage_->Collect(Context::Background()));
    EXPECT_THAT(Directories(), IsEmpty());
    EXPECT_THAT(*content_->List(), IsEmpty());
    EXPECT_THAT(dir_.Names("content/ingest"), IsEmpty());
    EXPECT_EQ(snapshots_->TotalUsage()->inodes, 0u);
  }

  TempDir dir_;
  std::unique_ptr<MetadataStore> metadata_;
  std::unique_ptr<ContentStore> content_;
  std::unique_ptr<Snapshotter> snapshots_;
  std::unique_ptr<ImageStore> images_;
  Leases leases_;
  std::unique_ptr<Installer> installer_;
  std::unique_ptr<GarbageCollector> garbage_;
};

TEST_F(InstallerTest, UnpacksEachLayerOnceAndRemembersIt) {
  const TestImage image = MakeTestImage(ThreeLayers());
  FakeSource source(image);
  ASSERT_OK_AND_ASSIGN(const Installed installed, Install(source));
  EXPECT_EQ(installed.record.id(), image.id());
  EXPECT_TRUE(installed.changed);
  EXPECT_EQ(source.steps(), 5);
  EXPECT_THAT(Directories(), SizeIs(3));
  ASSERT_OK_AND_ASSIGN(const Digest top,
                       Digest::Parse(installed.record.chain_id()));
  const uint64_t tree = snapshots_->NextNumber();
  ASSERT_OK(snapshots_->Prepare(tree, top));
  EXPECT_THAT(ReadTree(tree, top, "/c"), IsOkAndHolds("three"));
  // The topmost layer takes it away.
  EXPECT_THAT(ReadTree(tree, top, "/d/a"), StatusIs(StatusCode::kNotFound));
  ASSERT_OK(snapshots_->Remove(tree));

  FakeSource again(image);
  ASSERT_OK_AND_ASSIGN(const Installed second, Install(again));
  EXPECT_FALSE(second.changed);
  EXPECT_EQ(again.steps(), 1);  // what does the name mean now?
  EXPECT_THAT(Directories(), SizeIs(3));
  ExpectNothingLeft();  // as no record names it
}

TEST_F(InstallerTest, AFailureAtAnyStepLeavesNothing) {
  for (const char* bad :
       {"resolve", "config", "layer 0", "layer 1", "layer 2"}) {
    SCOPED_TRACE(bad);
    FakeSource source(MakeTestImage(ThreeLayers()),
                      [&](const Context&, const std::string& step) {
                        return step == bad ? Unavailable("no " + step)
                                           : OkStatus();
                      });
    EXPECT_THAT(Install(source),
                StatusIs(StatusCode::kUnavailable, HasSubstr(bad)));
    // What is unpacked in part goes at once; whole layers wait for a next try.
    EXPECT_EQ(snapshots_->TotalUsage()->inodes > 0, !Directories().empty());
    ExpectNothingLeft();
  }
}

TEST_F(InstallerTest, AnImageThatLiesLeavesNothing) {
  std::vector<std::string> layers = ThreeLayers();
  const std::string wrong = "sha256:" + std::string(64, '0');
  std::vector<std::string> ids;
  for (const std::string& layer : layers)
    ids.push_back(Digest::Of(layer).str());
  for (size_t i = 0; i < layers.size(); ++i) {
    SCOPED_TRACE(i);
    std::vector<std::string> lie = ids;
    lie[i] = wrong;
    FakeSource source(MakeTestImage(layers, lie));
    EXPECT_THAT(Install(source),
                StatusIs(StatusCode::kDataLoss, HasSubstr(wrong)));
    EXPECT_FALSE(content_->Stat(Digest::Of(layers[i])).ok());
    ExpectNothingLeft();

    std::vector<std::string> climbs = layers;
    climbs[i] = TarBuilder().File("../x", "").Bytes();
    FakeSource hostile(MakeTestImage(climbs));
    EXPECT_THAT(Install(hostile), StatusIs(StatusCode::kInvalidArgument));
    ExpectNothingLeft();
  }
}

TEST_F(InstallerTest, CancellingEndsAllLayers) {
  const Context ctx = Context::Background().WithCancel();
  FakeSource source(MakeTestImage(ThreeLayers()),
                    [&](const Context& work, const std::string& step) {
                      if (step == "layer 1") ctx.Cancel();
                      if (step != "layer 2") return OkStatus();
                      pollfd fd = {work.cancel_fd(), POLLIN, 0};
                      EXPECT_EQ(poll(&fd, 1, 30'000), 1);
                      return work.Check();
                    });
  {
    Leases::Lease lease(leases_);
    EXPECT_THAT(
        installer_->Install(ctx, source, lease, BlobPolicy::kKeep, nullptr),
        StatusIs(StatusCode::kCancelled));
  }
  ExpectNothingLeft();
}

TEST_F(InstallerTest, InstallsAtOnceShareTheWork) {
  // Two names of one image, and another on the same base: other sources.
  std::vector<std::string> other = ThreeLayers();
  other[2] = TarBuilder().File("z", "other").Bytes();
  const TestImage one = MakeTestImage(ThreeLayers());
  const TestImage two = MakeTestImage(other);
  Meeting meeting(6);
  std::atomic<int> blobs{0};
  const auto before = [&](const Context&, const std::string& step) {
    if (step == "resolve") {
      meeting.Arrive();
    } else {
      ++blobs;
    }
    return OkStatus();
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&, i] {
      FakeSource source(i % 2 == 0 ? one : two, before);
      EXPECT_OK(Install(source));
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(blobs.load(), 6);  // two configurations, four layers
  EXPECT_THAT(Directories(), SizeIs(4));
  for (const TestImage& image : {one, two}) {
    for (const std::string& blob : image.Blobs()) {
      EXPECT_OK(content_->Read(Digest::Of(blob), 1 << 20));
    }
  }
  ExpectNothingLeft();
}

TEST_F(InstallerTest, ASilentRegistryHoldsUpNoOther) {
  Installer::Options options;
  options.patience = std::chrono::milliseconds(20);
  installer_ = std::make_unique<Installer>(*content_, *snapshots_, options);
  // One whose first layer never comes, and one that waits until the other has
  // all the rest in its hands.
  Meeting meeting(2);
  std::atomic<int> silent{0};
  FakeSource dead(MakeTestImage(ThreeLayers()),
                  [&](const Context& work, const std::string& step) {
                    if (step != "layer 0") return OkStatus();
                    if (++silent == 1) meeting.Arrive();
                    pollfd fd = {work.cancel_fd(), POLLIN, 0};
                    EXPECT_EQ(poll(&fd, 1, 30'000), 1);
                    return work.Check();
                  });
  dead.set_origin("dead");
  std::vector<std::string> other = ThreeLayers();
  other[2] = TarBuilder().File("z", "other").Bytes();
  FakeSource good(MakeTestImage(other),
                  [&](const Context&, const std::string& step) {
                    if (step == "resolve") meeting.Arrive();
                    return OkStatus();
                  });
  good.set_origin("good");
  std::thread thread([&] { EXPECT_OK(Install(dead)); });
  EXPECT_OK(Install(good));
  // Served by the other's work.
  thread.join();
  EXPECT_EQ(silent.load(), 1);
  EXPECT_THAT(Directories(), SizeIs(4));
  ExpectNothingLeft();
}

TEST_F(InstallerTest, DropsTheBlobsThatItBrought) {
  const TestImage image = MakeTestImage(ThreeLayers());
  FakeSource source(image);
  ASSERT_OK_AND_ASSIGN(const Installed installed,
                       Install(source, BlobPolicy::kDrop));
  EXPECT_FALSE(installed.record.keep_blobs());
  EXPECT_THAT(*content_->List(), SizeIs(2));  // the documents
  ExpectNothingLeft();
}

TEST_F(InstallerTest, SparesABlobThatWasThereOrIsHeld) {
  const std::vector<std::string> layers = ThreeLayers();
  ASSERT_OK(content_->Write(Digest::Of(layers[0]), layers[0]));
  Leases::Lease other(leases_);
  other.Add(Digest::Of(layers[1]));
  FakeSource source(MakeTestImage(layers));
  ASSERT_OK(Install(source, BlobPolicy::kDrop));
  EXPECT_OK(content_->Stat(Digest::Of(layers[0])));
  EXPECT_OK(content_->Stat(Digest::Of(layers[1])));
  EXPECT_FALSE(content_->Stat(Digest::Of(layers[2])).ok());
}

TEST_F(InstallerTest, AnImageThatLiesTakesNoBlobOfAnother) {
  const std::vector<std::string> layers = ThreeLayers();
  FakeSource good(MakeTestImage(layers));
  ASSERT_OK(Install(good));
  // The same layer on top of nothing, under another name.
  const std::string wrong = "sha256:" + std::string(64, '0');
  FakeSource liar(MakeTestImage({layers[1]}, {wrong}));
  EXPECT_THAT(Install(liar), StatusIs(StatusCode::kDataLoss));
  EXPECT_OK(content_->Stat(Digest::Of(layers[1])));
}

TEST_F(InstallerTest, ABlobThatIsDamagedOnTheDiskComesAnew) {
  const std::vector<std::string> layers = ThreeLayers();
  dir_.Write("content/blobs/sha256/" + Digest::Of(layers[0]).hex(), "oops");
  FakeSource source(MakeTestImage(layers));
  EXPECT_FALSE(Install(source).ok());
  EXPECT_OK(Install(source));
  EXPECT_OK(content_->Read(Digest::Of(layers[0]), 1 << 20));
}

TEST_F(InstallerTest, ADocumentThatIsDamagedOnTheDiskIsWrittenAnew) {
  const TestImage image = MakeTestImage(ThreeLayers());
  FakeSource source(image);
  EXPECT_TRUE(Install(source)->changed);
  EXPECT_FALSE(Install(source)->changed);
  for (const std::string& document : {image.manifest, image.config}) {
    ASSERT_OK(content_->Remove(Digest::Of(document)));
    dir_.Write("content/blobs/sha256/" + Digest::Of(document).hex(), "");
    ASSERT_OK_AND_ASSIGN(const Installed installed, Install(source));
    EXPECT_TRUE(installed.changed);
    EXPECT_THAT(content_->Read(Digest::Of(document), 1 << 20),
                IsOkAndHolds(document));
  }
}

TEST_F(InstallerTest, KeepsOfALayerThatIsThereWhatCannotBeFetchedLater) {
  const TestImage image = MakeTestImage(ThreeLayers());
  FakeSource registry(image);
  ASSERT_OK(Install(registry, BlobPolicy::kDrop));
  ASSERT_OK(Install(registry, BlobPolicy::kKeep));
  EXPECT_THAT(*content_->List(), SizeIs(2));
  FakeSource file(image);
  file.set_lasting(false);
  ASSERT_OK_AND_ASSIGN(const Installed installed, Install(file));
  EXPECT_TRUE(installed.changed);
  EXPECT_THAT(*content_->List(), SizeIs(5));
  ExpectNothingLeft();
}

// Gives the first half of its one layer, and then nothing until it is told to
// end.
class HalfSource : public FakeSource {
 public:
  explicit HalfSource(const TestImage& image)
      : FakeSource(image), layer_(image.layers[0]) {}
  Status FetchBlob(const Context& ctx, const Descriptor& descriptor,
                   ContentStore& store,
                   const std::function<void(uint64_t)>& progress) override {
    if (descriptor.digest != Digest::Of(layer_)) {
      return FakeSource::FetchBlob(ctx, descriptor, store, progress);
    }
    ASSIGN_OR_RETURN(const auto writer, store.Ingest(descriptor));
    RETURN_IF_ERROR(writer->Append(layer_.substr(0, layer_.size() / 2)));
    progress(writer->offset());
    pollfd fd = {ctx.cancel_fd(), POLLIN, 0};
    EXPECT_EQ(poll(&fd, 1, 30'000), 1) << "fetched on for a full disk";
    return ctx.Check();
  }

 private:
  const std::string layer_;
};

TEST_F(InstallerTest, NothingMoreIsFetchedForADiskThatIsFull) {
  dir_.MakeDirectory("small");
  const std::string small = dir_.Path("small");
  ASSERT_EQ(mount("small", small.c_str(), "tmpfs", 0, "size=4M"), 0);
  const absl::Cleanup unmount = [&] { umount2(small.c_str(), MNT_DETACH); };
  ASSERT_OK_AND_ASSIGN(const auto layers,
                       OverlaySnapshotter::Open(small, *metadata_));
  Installer installer(*content_, *layers, Installer::Options());
  HalfSource source(MakeTestImage(
      {TarBuilder().File("a", std::string(16 << 20, 'a')).Bytes()}));
  Leases::Lease lease(leases_);
  EXPECT_THAT(installer.Install(Context::Background(), source, lease,
                                BlobPolicy::kKeep, nullptr),
              StatusIs(StatusCode::kResourceExhausted));
}

TEST_F(InstallerTest, TheCollectorComesBackForWhatNobodyTookUp) {
  ASSERT_OK(garbage_->Start());
  FakeSource source(MakeTestImage(ThreeLayers()));
  ASSERT_OK(Install(source));
  garbage_->WakeAfter(std::chrono::milliseconds(20));
  garbage_->WakeAfter(std::chrono::hours(1));  // changes nothing
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!content_->List()->empty() || !Directories().empty()) {
    ASSERT_LT(std::chrono::steady_clock::now(), end);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

TEST_F(InstallerTest, TheCollectorSparesWhatIsOnItsWay) {
  FakeSource source(MakeTestImage(ThreeLayers()),
                    [&](const Context&, const std::string& step) {
                      if (step == "layer 2") {
                        EXPECT_OK(garbage_->Collect(Context::Background()));
                      }
                      return OkStatus();
                    });
  Leases::Lease lease(leases_);
  ASSERT_OK_AND_ASSIGN(const Installed installed,
                       installer_->Install(Context::Background(), source, lease,
                                           BlobPolicy::kKeep, nullptr));
  ASSERT_OK_AND_ASSIGN(const DiskUsage freed,
                       garbage_->Collect(Context::Background()));
  EXPECT_EQ(freed.inodes, 0u);
  ASSERT_OK_AND_ASSIGN(const Digest top,
                       Digest::Parse(installed.record.chain_id()));
  EXPECT_OK(snapshots_->LayerUsage(top));
}

}  // namespace
}  // namespace berth::image
