// Every failpoint of image/, by kill and by error: the next start makes
// everything good.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "base/store/metadata_store.h"
#include "base/strings.h"
#include "base/sys/file.h"
#include "base/testing/scripted_server.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "image/image_service.h"
#include "image/layer/tar_builder.h"
#include "image/testing/test_image.h"

namespace berth::image {
namespace {

using ::testing::IsEmpty;

constexpr char kChild[] = "FailpointsChild.LivesOnce";

TestImage PulledImage() {
  return MakeTestImage({TarBuilder().Directory("d").File("d/a", "one").Bytes(),
                        TarBuilder().File("b", "two").Bytes()});
}

TestImage ImportedImage() {
  return MakeTestImage({TarBuilder().File("i", "imported").Bytes()});
}

// A store in a folder, and all that happens to images in it.
class Life {
 public:
  Life(const std::string& folder, const std::string& registry)
      : folder_(folder), registry_(registry) {}

  // Goes on after a failure; the first is returned.
  Status Live() {
    ASSIGN_OR_RETURN(metadata_, MetadataStore::Open(folder_ + "/meta.db"));
    ImageServiceOptions options;
    options.root = folder_;
    options.transfer.plain_http = {registry_};
    options.transfer.retry.tries = 1;
    ASSIGN_OR_RETURN(service_, ImageService::Open(options, *metadata_));
    Status all = Import();
    all.Update(service_->images().RemoveName(*Reference::Parse("x.test/i:1")));
    all.Update(PullAndRun());
    all.Update(MakeOnTop());
    all.Update(service_->rootfs().Release(Context::Background(), "root"));
    all.Update(service_->images().Remove(PulledImage().id()));
    all.Update(service_->images().CollectGarbage(ctx_).status());
    return all;
  }
  // The kernel's view is the test's; this is the records'.
  void ExpectNoRecords() {
    EXPECT_THAT(*service_->images().List({}), IsEmpty());
    EXPECT_EQ(service_->images().StoreUsageNow()->usage.inodes, 0u);
    EXPECT_THAT(service_->rootfs().Usage("root"),
                StatusIs(StatusCode::kNotFound));
  }

 private:
  Status Import() {
    ASSIGN_OR_RETURN(UniqueFd archive,
                     OpenFile(folder_ + "/../archive.tar", O_RDONLY));
    return service_->transfer()
        .ImportArchive(ctx_, std::move(archive), "", BlobPolicy::kKeep)
        .status();
  }
  Status PullAndRun() {
    ASSIGN_OR_RETURN(const Reference name,
                     Reference::Parse(registry_ + "/img:1"));
    ASSIGN_OR_RETURN(
        const Image image,
        service_->transfer().Pull(ctx_, name, {}, BlobPolicy::kKeep, nullptr));
    RETURN_IF_ERROR(service_->rootfs()
                        .Acquire(Context::Background(), image.id(), "root",
                                 Persistence::kDurable)
                        .status());
    ASSIGN_OR_RETURN(const std::string text,
                     service_->rootfs().ReadFile("root", "/d/a", 10));
    return text == "one" ? OkStatus() : Internal("read " + text);
  }

  // Once more in a second try: the same image then.
  Status MakeOnTop() {
    Transfer::NewImage made;
    made.base = PulledImage().id();
    made.config = {{"os", "linux"},
                   {"architecture", HostPlatform().architecture()}};
    ASSIGN_OR_RETURN(
        const Image image, service_->transfer().Make(ctx_, made, [](int file) {
          return WriteAll(file, TarBuilder().File("m", "").Bytes());
        }));
    return service_->images().Remove(image.id());
  }

  const std::string folder_;
  const std::string registry_;
  const Context ctx_ = Context::Background();
  std::unique_ptr<MetadataStore> metadata_;
  std::unique_ptr<ImageService> service_;
};

// Runs in a process of its own, whose failpoints are armed.
TEST(FailpointsChild, LivesOnce) {
  const char* const folder = getenv("BERTH_TEST_FOLDER");
  if (folder == nullptr) GTEST_SKIP() << "run by FailpointsTest";
  Life life(folder, getenv("BERTH_TEST_REGISTRY"));
  EXPECT_FALSE(life.Live().ok()) << "the failpoint was not passed";
}

class FailpointsTest : public ::testing::Test {
 protected:
  FailpointsTest()
      : image_(PulledImage()), server_([this](const std::string& request) {
          return AnswerAsRegistry(image_, request);
        }) {}

  // As image_service.h lists them.
  static std::vector<std::string> Names() {
    std::vector<std::string> names;
    const StatusOr<std::string> text =
        ReadFile("image/image_service.h", 1 << 20);
    EXPECT_OK(text);
    for (const std::string& line : Split(*text, '\n')) {
      const std::string name = line.substr(0, line.find(' ', 5));
      if (StartsWith(name, "//   image.")) names.push_back(name.substr(5));
    }
    return names;
  }

  // What waitpid(2) says of the child.
  int RunChild(const std::string& failpoint) {
    std::vector<std::string> variables = {
        "BERTH_FAILPOINTS=" + failpoint,
        "BERTH_TEST_FOLDER=" + dir_.Path("root"),
        "BERTH_TEST_REGISTRY=" + server_.address(),
        "PATH=/usr/bin:/bin",
    };
    std::vector<char*> environment;
    for (std::string& one : variables) environment.push_back(one.data());
    environment.push_back(nullptr);
    std::string program = "/proc/self/exe";
    std::string filter = std::string("--gtest_filter=") + kChild;
    char* const arguments[] = {program.data(), filter.data(), nullptr};
    pid_t pid = 0;
    EXPECT_EQ(posix_spawn(&pid, program.c_str(), nullptr, nullptr, arguments,
                          environment.data()),
              0);
    int status = 0;
    EXPECT_EQ(waitpid(pid, &status, 0), pid);
    return status;
  }

  const TestImage image_;
  TempDir dir_;
  ScriptedServer server_;
};

TEST_F(FailpointsTest, TheNextStartMakesEverythingGood) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root: overlayfs";
  dir_.Write("archive.tar", MakeTestArchive(ImportedImage(), "x.test/i:1"));
  const std::vector<std::string> names = Names();
  EXPECT_GE(names.size(), 15u);
  for (const std::string& name : names) {
    for (const char* action : {"=kill", "=error"}) {
      SCOPED_TRACE(name + action);
      dir_.MakeDirectory("root");
      const int status = RunChild(name + action);
      if (action == std::string("=kill")) {
        ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
      } else {
        ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
      }
      Life life(dir_.Path("root"), server_.address());
      ASSERT_OK(life.Live());
      life.ExpectNoRecords();
      for (const char* folder :
           {"content/blobs/sha256", "content/ingest", "snapshots", "import"}) {
        EXPECT_THAT(dir_.Names(std::string("root/") + folder), IsEmpty())
            << folder;
      }
    }
  }
}

}  // namespace
}  // namespace berth::image
