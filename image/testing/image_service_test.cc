// Pulls from a registry on loopback that waits or fails on demand.
#include "image/image_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "base/sys/file.h"
#include "base/testing/scripted_server.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "base/unique_fd.h"
#include "image/layer/tar_builder.h"
#include "image/testing/test_image.h"

namespace berth::image {
namespace {

using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// Until it holds; fails after thirty seconds.
void Await(const std::function<bool()>& holds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!holds()) {
    ASSERT_LT(std::chrono::steady_clock::now(), end);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

// What may answer in the registry's place; "": nothing. Thread-safe.
class Interceptor {
 public:
  using Answer = std::function<std::string(const std::string& path)>;

  void operator=(Answer answer) {
    MutexLock lock(mutex_);
    answer_ = std::make_shared<const Answer>(std::move(answer));
  }
  std::string operator()(const std::string& path) {
    std::shared_ptr<const Answer> answer;
    {
      MutexLock lock(mutex_);
      answer = answer_;
    }
    return answer ? (*answer)(path) : "";
  }

 private:
  Mutex mutex_;
  std::shared_ptr<const Answer> answer_ GUARDED_BY(mutex_);
};

class ImageServiceTest : public ::testing::Test {
 protected:
  ImageServiceTest()
      : image_(MakeTestImage(
            {TarBuilder().Directory("d").File("d/a", "one").Bytes(),
             TarBuilder().File("b", "two").Bytes()})),
        server_(
            [this](const std::string& request) { return Answer(request); }) {}

  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root: overlayfs";
    ASSERT_OK_AND_ASSIGN(metadata_, MetadataStore::Open(dir_.Path("meta.db")));
    Open();
  }
  void Open() {
    service_.reset();
    ImageServiceOptions options;
    options.root = dir_.path();
    options.transfer.plain_http = {server_.address(), silent_.address()};
    options.transfer.retry.tries = 1;
    ASSERT_OK_AND_ASSIGN(service_, ImageService::Open(options, *metadata_));
  }

  // What the registry says; `before_` may hold it up or answer in its place.
  std::string Answer(const std::string& request) {
    const std::string path = request.substr(0, request.find(" HTTP/"));
    const std::string instead = before_(path);
    if (!instead.empty()) return instead;
    if (path.find("/manifests/") != std::string::npos) {
      return HttpReply(200, image_.manifest,
                       {"Content-Type: " + std::string(kTestManifestType)});
    }
    for (const std::string& blob : image_.Blobs()) {
      if (path.find(Digest::Of(blob).str()) != std::string::npos) {
        return HttpReply(200, blob);
      }
    }
    return HttpReply(404, "");
  }
  size_t Asked(const std::string& text) {
    const std::vector<std::string> all = server_.requests();
    return static_cast<size_t>(
        std::count_if(all.begin(), all.end(), [&](const std::string& one) {
          return one.find(text) != std::string::npos;
        }));
  }
  StatusOr<Image> Pull(const std::string& tag = "1",
                       const Context& ctx = Context::Background(),
                       BlobPolicy policy = BlobPolicy::kKeep) {
    ASSIGN_OR_RETURN(const Reference reference,
                     Reference::Parse(server_.address() + "/img:" + tag));
    return service_->transfer().Pull(ctx, reference, {}, policy, nullptr);
  }
  StatusOr<Image> PullAndDrop() {
    return Pull("1", Context::Background(), BlobPolicy::kDrop);
  }
  bool HasBlob(const std::string& bytes) {
    return dir_.Exists("content/blobs/sha256/" + Digest::Of(bytes).hex());
  }
  // When the collector is through.
  void ExpectNothingLeft() {
    EXPECT_OK(service_->images().CollectGarbage(Context::Background()));
    EXPECT_THAT(dir_.Names("content/blobs/sha256"), IsEmpty());
    EXPECT_THAT(dir_.Names("snapshots"), IsEmpty());
    EXPECT_THAT(dir_.Names("import"), IsEmpty());
    EXPECT_THAT(*service_->images().List({}), IsEmpty());
  }

  TempDir dir_;
  const TestImage image_;
  Interceptor before_;
  ScriptedServer server_;
  ScriptedServer silent_{[](const std::string&) { return HttpReply(404, ""); }};
  std::unique_ptr<MetadataStore> metadata_;
  std::unique_ptr<ImageService> service_;
};

TEST_F(ImageServiceTest, PullsAtOnceShareTheWork) {
  // Nothing is answered before all names are asked for.
  before_ = [this](const std::string& path) {
    if (path.find("/manifests/") != std::string::npos) {
      Await([this] { return Asked("/manifests/") == 2; });
    }
    return "";
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([this, i] {
      const StatusOr<Image> image = Pull(i % 2 == 0 ? "1" : "2");
      ASSERT_OK(image);
      EXPECT_EQ(image->id(), image_.id());
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& blob : image_.layers) {
    EXPECT_EQ(Asked("/blobs/" + Digest::Of(blob).str()), 1u);
  }
  EXPECT_THAT(service_->images().Resolve(image_.id())->repo_tags, SizeIs(2));
  ASSERT_OK(service_->images().Remove(image_.id()));
  ExpectNothingLeft();
}

TEST_F(ImageServiceTest, RemovingWhileItIsPulledLosesNothingThatIsUsed) {
  std::atomic<bool> end{false};
  std::thread remover([&] {
    while (!end) EXPECT_OK(service_->images().Remove(image_.id()));
  });
  for (int i = 0; i < 30; ++i) {
    const StatusOr<Image> image = Pull();
    // It may be gone again before it is looked at, but never in part.
    EXPECT_THAT(image.status().code(),
                AnyOf(StatusCode::kOk, StatusCode::kNotFound))
        << Message(image.status());
    const std::string key = "root" + std::to_string(i);
    const StatusOr<Rootfs> rootfs = service_->rootfs().Acquire(
        Context::Background(), image_.id(), key, Persistence::kDurable);
    if (!rootfs.ok()) {
      EXPECT_THAT(rootfs, StatusIs(StatusCode::kNotFound));
      continue;
    }
    EXPECT_THAT(service_->rootfs().ReadFile(key, "/d/a", 10),
                IsOkAndHolds("one"));
    EXPECT_OK(service_->rootfs().Release(Context::Background(), key));
  }
  end = true;
  remover.join();
  EXPECT_OK(service_->images().Remove(image_.id()));
  ExpectNothingLeft();
}

TEST_F(ImageServiceTest, CollectingWhileItIsPulledSparesIt) {
  const std::string top = Digest::Of(image_.layers[1]).str();
  before_ = [&](const std::string& path) {
    if (path.find(top) == std::string::npos) return "";
    // The first layer is there, and no record names it.
    Await([this] {
      return service_->images().StoreUsageNow()->usage.inodes > 2;
    });
    EXPECT_OK(service_->images().CollectGarbage(Context::Background()));
    return "";
  };
  ASSERT_OK(Pull());
  ASSERT_OK(service_->images().CollectGarbage(Context::Background()));
  ASSERT_OK(service_->rootfs().Acquire(Context::Background(), image_.id(),
                                       "root", Persistence::kDurable));
  // The root file system outlives the image.
  ASSERT_OK(service_->images().Remove(image_.id()));
  ASSERT_OK(service_->images().CollectGarbage(Context::Background()));
  EXPECT_THAT(service_->rootfs().ReadFile("root", "/d/a", 10),
              IsOkAndHolds("one"));
  EXPECT_THAT(service_->rootfs().Acquire(Context::Background(), image_.id(),
                                         "other", Persistence::kDurable),
              StatusIs(StatusCode::kNotFound));
  ASSERT_OK(service_->rootfs().Release(Context::Background(), "root"));
  ExpectNothingLeft();
}

TEST_F(ImageServiceTest, AFailureAtAnyStepLeavesNothing) {
  const std::string config = Digest::Of(image_.config).str();
  const std::string top = Digest::Of(image_.layers[1]).str();
  const std::string steps[] = {"/manifests/", config,
                               Digest::Of(image_.layers[0]).str(), top};
  for (const std::string& step : steps) {
    SCOPED_TRACE(step);
    for (const int code : {404, 500, 200}) {
      before_ = [step, code](const std::string& path) {
        return path.find(step) == std::string::npos ? ""
                                                    : HttpReply(code, "junk");
      };
      const Status failed = Pull().status();
      EXPECT_THAT(failed.code(),
                  AnyOf(StatusCode::kNotFound, StatusCode::kUnavailable,
                        StatusCode::kDataLoss, StatusCode::kInvalidArgument))
          << Message(failed);
      EXPECT_THAT(Message(failed), HasSubstr("/img:1"));
      ExpectNothingLeft();
      // A transfer that broke off may be gone on with, for a day.
      if (failed.code() != StatusCode::kUnavailable) {
        EXPECT_THAT(dir_.Names("content/ingest"), IsEmpty());
      }
    }
  }
}

TEST_F(ImageServiceTest, ACancelledPullLeavesNothingButWhatItHas) {
  const std::string top = Digest::Of(image_.layers[1]).str();
  const Context ctx = Context::Background().WithCancel();
  std::atomic<int> held{0};
  std::atomic<bool> end{false};
  before_ = [&](const std::string& path) {
    if (path.find(top) == std::string::npos) return "";
    ++held;
    ctx.Cancel();
    Await([&] { return end.load(); });
    return "";
  };
  EXPECT_THAT(Pull("1", ctx), StatusIs(StatusCode::kCancelled));
  EXPECT_EQ(held.load(), 1);
  end = true;
  ASSERT_OK(Pull());  // a next one is not in its way
  ASSERT_OK(service_->images().Remove(image_.id()));
  // The first one holds what it has until it has noticed.
  Await([this] {
    EXPECT_OK(service_->images().CollectGarbage(Context::Background()));
    return dir_.Names("snapshots").empty() &&
           dir_.Names("content/blobs/sha256").empty();
  });
  ExpectNothingLeft();
}

TEST_F(ImageServiceTest, ASilentRegistryHoldsUpOnlyItsOwnPulls) {
  silent_.Pace(0, std::chrono::milliseconds(0));
  const Context ctx = Context::Background().WithCancel();
  std::vector<std::thread> threads;
  std::atomic<int> ended{0};
  for (int i = 0; i < 12; ++i) {
    threads.emplace_back([&, i] {
      const std::string name = silent_.address() + "/img:" + std::to_string(i);
      EXPECT_THAT(service_->transfer().Pull(ctx, *Reference::Parse(name), {},
                                            BlobPolicy::kKeep, nullptr),
                  StatusIs(StatusCode::kCancelled));
      ++ended;
    });
  }
  Await([&] { return silent_.requests().size() >= 4; });
  EXPECT_OK(Pull());
  EXPECT_EQ(ended.load(), 0);
  EXPECT_EQ(silent_.requests().size(), 4u);  // its share
  ctx.Cancel();
  for (std::thread& thread : threads) thread.join();
}

TEST_F(ImageServiceTest, AListenerThatIsStuckHoldsUpNoPull) {
  const Context free = Context::Background().WithCancel();
  std::atomic<bool> stuck{false};
  std::thread reader([&] {
    EXPECT_OK(service_->transfer().Pull(
        Context::Background(), *Reference::Parse(server_.address() + "/img:1"),
        {}, BlobPolicy::kKeep, [&](const Progress&) {
          stuck = true;
          pollfd fd = {free.cancel_fd(), POLLIN, 0};
          poll(&fd, 1, 30'000);
        }));
  });
  Await([&] { return stuck.load(); });
  // The same image, and another name of it: its layers are the same.
  EXPECT_OK(Pull("1"));
  EXPECT_OK(Pull("2"));
  EXPECT_TRUE(stuck);
  free.Cancel();
  reader.join();
}

TEST_F(ImageServiceTest, ARecordThatCannotBeReadStopsNothing) {
  ASSERT_OK(Pull());
  ASSERT_OK(service_->rootfs().Acquire(Context::Background(), image_.id(),
                                       "good", Persistence::kDurable));
  ASSERT_OK(service_->rootfs().Acquire(Context::Background(), image_.id(),
                                       "bad", Persistence::kDurable));
  ASSERT_OK(metadata_->Update(
      [](Transaction& tx) { return tx.Put("rootfs", "bad", "\xff\xff\xff"); }));
  const size_t before = dir_.Names("snapshots").size();
  Open();
  // Whose directories are whose is not known: nothing is thrown away.
  EXPECT_EQ(dir_.Names("snapshots").size(), before);
  EXPECT_THAT(service_->rootfs().ReadFile("good", "/d/a", 10),
              IsOkAndHolds("one"));
  EXPECT_FALSE(service_->rootfs().Usage("bad").ok());
  ASSERT_OK(service_->images().Remove(image_.id()));
  EXPECT_THAT(service_->images().CollectGarbage(Context::Background()),
              StatusIs(StatusCode::kDataLoss));
  EXPECT_THAT(service_->rootfs().ReadFile("good", "/d/a", 10),
              IsOkAndHolds("one"));
  // Its container can be removed, and then all is as it was.
  ASSERT_OK(service_->rootfs().Release(Context::Background(), "bad"));
  ASSERT_OK(service_->rootfs().Release(Context::Background(), "bad"));
  ASSERT_OK(service_->rootfs().Release(Context::Background(), "good"));
  Open();
  ExpectNothingLeft();
}

TEST_F(ImageServiceTest, ALayerWhoseRecordCannotBeReadComesAnew) {
  ASSERT_OK(Pull());
  ASSERT_OK(metadata_->Update([&](Transaction& tx) {
    return tx.Put("layers", Digest::Of(image_.layers[0]).str(), "\xff");
  }));
  Open();
  EXPECT_FALSE(service_->rootfs()
                   .Acquire(Context::Background(), image_.id(), "root",
                            Persistence::kDurable)
                   .ok());
  ASSERT_OK(service_->rootfs().Release(Context::Background(), "root"));
  ASSERT_OK(Pull());
  ASSERT_OK(service_->rootfs().Acquire(Context::Background(), image_.id(),
                                       "root", Persistence::kDurable));
  EXPECT_THAT(service_->rootfs().ReadFile("root", "/d/a", 10),
              IsOkAndHolds("one"));
  ASSERT_OK(service_->rootfs().Release(Context::Background(), "root"));
  ASSERT_OK(service_->images().Remove(image_.id()));
  ASSERT_OK(service_->images().CollectGarbage(Context::Background()));
  Open();
  ExpectNothingLeft();
}

TEST_F(ImageServiceTest, ADamagedBlobIsFetchedAnew) {
  ASSERT_OK(Pull());
  const std::string config =
      dir_.Path("content/blobs/sha256/" + Digest::Of(image_.config).hex());
  ASSERT_EQ(unlink(config.c_str()), 0);
  dir_.Write("content/blobs/sha256/" + Digest::Of(image_.config).hex(), "oops");
  Open();
  EXPECT_THAT(service_->images().List({})->size(), 1u);
  EXPECT_THAT(service_->images().ConfigJson(image_.id()),
              StatusIs(StatusCode::kDataLoss));
  ASSERT_OK(Pull());
  EXPECT_THAT(service_->images().ConfigJson(image_.id()),
              IsOkAndHolds(image_.config));
}

TEST_F(ImageServiceTest, KeptBlobsLiveAsLongAsTheirImageAndCount) {
  ASSERT_OK(PullAndDrop());
  EXPECT_FALSE(HasBlob(image_.layers[0]));
  const uint64_t without = service_->images().StoreUsageNow()->usage.bytes;
  ASSERT_OK(service_->images().Remove(image_.id()));
  ExpectNothingLeft();

  ASSERT_OK(Pull());
  EXPECT_TRUE(HasBlob(image_.layers[0]));
  EXPECT_EQ(service_->images().StoreUsageNow()->usage.bytes,
            without + image_.layers[0].size() + image_.layers[1].size());
  // Kubelet pulls it too, and the collector comes.
  ASSERT_OK(PullAndDrop());
  ASSERT_OK(service_->images().CollectGarbage(Context::Background()));
  Open();
  ASSERT_OK(service_->images().CollectGarbage(Context::Background()));
  EXPECT_TRUE(HasBlob(image_.layers[0]));
  ASSERT_OK(service_->images().Remove(image_.id()));
  ExpectNothingLeft();
}

TEST_F(ImageServiceTest, ASharedBlobGoesWithTheLastImageThatKeepsIt) {
  ASSERT_OK(Pull());
  // Another image has one of the layers, and does not keep it.
  const TestImage other = MakeTestImage({image_.layers[1]});
  dir_.Write("other.tar", MakeTestArchive(other, "x.test/other:1"));
  for (const BlobPolicy policy : {BlobPolicy::kDrop, BlobPolicy::kKeep}) {
    ASSERT_OK_AND_ASSIGN(UniqueFd archive,
                         OpenFile(dir_.Path("other.tar"), O_RDONLY));
    ASSERT_OK(service_->transfer().ImportArchive(
        Context::Background(), std::move(archive), "", policy));
    ASSERT_OK(service_->images().CollectGarbage(Context::Background()));
    EXPECT_TRUE(HasBlob(image_.layers[1]));
  }
  ASSERT_OK(service_->images().Remove(image_.id()));
  ASSERT_OK(service_->images().CollectGarbage(Context::Background()));
  EXPECT_FALSE(HasBlob(image_.layers[0]));
  EXPECT_TRUE(HasBlob(image_.layers[1]));
  ASSERT_OK(service_->images().Remove(other.id()));
  ExpectNothingLeft();
}

TEST_F(ImageServiceTest, APullRemembersTheRepository) {
  ASSERT_OK_AND_ASSIGN(const Image image, Pull());
  EXPECT_THAT(image.record.sources(), ElementsAre(server_.address() + "/img"));
}

TEST_F(ImageServiceTest, AStartCollectsWhatAKilledPullLeft) {
  dir_.Write("content/blobs/sha256/" + Digest::Of("lost").hex(), "lost");
  dir_.MakeDirectory("import/half");
  dir_.MakeDirectory("snapshots/99");
  Open();
  Await([this] { return dir_.Names("content/blobs/sha256").empty(); });
  ExpectNothingLeft();
}

}  // namespace
}  // namespace berth::image
