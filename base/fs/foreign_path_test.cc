#include "base/fs/foreign_path.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/fs/foreign_mount.h"
#include "base/fs/path_helper.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "base/thread.h"
#include "base/unique_fd.h"

namespace berth {
namespace {

using ::testing::HasSubstr;

Context In(int ms) {
  return Context::Background().WithTimeout(std::chrono::milliseconds(ms));
}

// A file system whose server has died, as far as anybody can see: it holds the
// connection and reads no request.
class DeadFileSystem {
 public:
  explicit DeadFileSystem(const std::string& path) : path_(path) {
    server_.reset(open("/dev/fuse", O_RDWR | O_CLOEXEC));
    if (!server_.valid()) return;
    const std::string options = "fd=" + std::to_string(server_.get()) +
                                ",rootmode=40000,user_id=0,group_id=0";
    mounted_ = mount("dead", path.c_str(), "fuse", MS_NOSUID | MS_NODEV,
                     options.c_str()) == 0;
  }
  ~DeadFileSystem() {
    Fail();
    if (mounted_) umount2(path_.c_str(), MNT_DETACH);
  }
  bool mounted() const { return mounted_; }
  // Every request fails from now on.
  void Fail() { server_.reset(); }

 private:
  const std::string path_;
  UniqueFd server_;
  bool mounted_ = false;
};

class ForeignPathTest : public ::testing::Test {
 protected:
  void SetUp() override {
    dir_.MakeDirectory("dead");
    dir_.MakeDirectory("own/below");
    dead_.emplace(dir_.Path("dead"));
    if (!dead_->mounted()) GTEST_SKIP() << "cannot mount FUSE here";
  }
  void TearDown() override {
    dead_.reset();
    // None is left once the file system answers: with errors.
    for (int i = 0; i < 1000 && StuckPathHelpers() > 0; ++i) usleep(10000);
    EXPECT_EQ(StuckPathHelpers(), 0u);
  }

  TempDir dir_;
  std::optional<DeadFileSystem> dead_;
};

TEST_F(ForeignPathTest, FindsTheMountThatAPathMeets) {
  const std::string dead = dir_.Path("dead");
  ASSERT_EQ(symlink(dead.c_str(), dir_.Path("link").c_str()), 0);
  ASSERT_EQ(symlink("../dead", dir_.Path("own/up").c_str()), 0);
  ASSERT_EQ(symlink("loop", dir_.Path("loop").c_str()), 0);
  ASSERT_EQ(symlink("..", dir_.Path("own/below/out").c_str()), 0);
  for (const char* path : {"dead", "dead/a/b", "link", "link/a", "own/up/x",
                           "own/../dead", "own/below/out/up", "own//./up/../x",
                           "nothing/../dead", "loop/../dead"}) {
    const auto mount = ForeignMountOf(dir_.Path(path));
    if (std::string(path) == "loop/../dead") {
      EXPECT_FALSE(mount.ok());
      continue;
    }
    ASSERT_OK(mount);
    EXPECT_EQ(*mount, dead) << path;
  }
  for (const char* path : {"own", "own/below/out/below", "nothing", "deadly",
                           "own/below/../../own", "nothing/../own"}) {
    const auto mount = ForeignMountOf(dir_.Path(path));
    ASSERT_OK(mount);
    EXPECT_EQ(*mount, "") << path;
  }
}

TEST_F(ForeignPathTest, ADeadFileSystemCostsItsOwnRequestAlone) {
  EXPECT_THAT(InspectPath(In(50), dir_.Path("dead/x")),
              StatusIs(StatusCode::kDeadlineExceeded));
  EXPECT_THAT(MakePath(In(50), dir_.Path("dead/x/y"), 0755),
              StatusIs(StatusCode::kDeadlineExceeded));
  // Others go on.
  EXPECT_OK(InspectPath(In(10000), dir_.Path("own")));
  EXPECT_OK(MakePath(In(10000), dir_.Path("own/new/er"), 0755));
  const Context cancelled = Context::Background().WithCancel();
  StatusOr<Thread> thread = StartThread("cancel", [&] {
    usleep(20000);
    cancelled.Cancel();
  });
  ASSERT_OK(thread.status());
  EXPECT_THAT(InspectPath(cancelled, dir_.Path("dead")),
              StatusIs(StatusCode::kCancelled));
}

TEST_F(ForeignPathTest, AManyTimesDeadFileSystemIsRefusedAtOnce) {
  dir_.MakeDirectory("other");
  const DeadFileSystem other(dir_.Path("other"));
  ASSERT_TRUE(other.mounted());
  // A killed helper ends unless the file system ignores even that, as NFS
  // may; so those that are at work are counted.
  const Context end = Context::Background().WithCancel();
  std::vector<Thread> threads;
  for (int i = 0; i < 4; ++i) {
    StatusOr<Thread> thread = StartThread("asks", [&] {
      // Again if the others were all at work.
      while (!end.cancelled()) {
        EXPECT_FALSE(InspectPath(end, dir_.Path("dead")).ok());
      }
    });
    ASSERT_OK(thread.status());
    threads.push_back(*std::move(thread));
  }
  StatusCode code = StatusCode::kOk;
  while (code != StatusCode::kUnavailable) {
    code = InspectPath(In(20), dir_.Path("dead")).status().code();
  }
  // Another one has a share of its own.
  EXPECT_THAT(InspectPath(In(20), dir_.Path("other")),
              StatusIs(StatusCode::kDeadlineExceeded));
  end.Cancel();
}

TEST_F(ForeignPathTest, AnswersForAFileSystemThatFails) {
  dead_->Fail();
  const Status status = InspectPath(In(10000), dir_.Path("dead/x")).status();
  EXPECT_EQ(ErrnoOf(status), ENOTCONN);
  dead_.reset();
  EXPECT_OK(InspectPath(In(10000), dir_.Path("dead")));
}

TEST_F(ForeignPathTest, ABindOfADeadFileSystemHasADeadline) {
  const Mount bind = {"none", dir_.Path("dead/x"), dir_.Path("own"), {"bind"}};
  EXPECT_THAT(MountForeign(In(50), bind),
              StatusIs(StatusCode::kDeadlineExceeded, HasSubstr("mount ")));
}

TEST_F(ForeignPathTest, ADeadFileSystemIsDetached) {
  const std::string dead = dir_.Path("dead");
  EXPECT_THAT(ForeignMountOf(dead), IsOkAndHolds(dead));
  EXPECT_OK(DetachForeign(In(10000), dead));
  EXPECT_THAT(ForeignMountOf(dead), IsOkAndHolds(""));
  EXPECT_OK(DetachForeign(In(10000), dead));
  EXPECT_OK(DetachForeign(In(10000), dir_.Path("nothing")));
}

// No FUSE needed from here on.
TEST(ForeignMountTest, MountsBindsAndDetachesWhatIsOurOwn) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  const TempDir dir;
  dir.MakeDirectory("from");
  dir.Write("from/file", "theirs");
  dir.MakeDirectory("to");
  const Mount bind = {"none", dir.Path("from"), dir.Path("to"), {"bind"}};
  for (int i = 0; i < 2; ++i) ASSERT_OK(MountForeign(In(10000), bind));
  EXPECT_EQ(dir.Read("to/file"), "theirs");
  ASSERT_OK(
      MountForeign(In(10000), {"tmpfs", "tmpfs", dir.Path("to"), {"ro"}}));
  EXPECT_THAT(dir.Names("to"), ::testing::IsEmpty());
  ASSERT_OK(DetachForeign(In(10000), dir.Path("to")));
  EXPECT_THAT(dir.Names("to"), ::testing::IsEmpty());
  EXPECT_EQ(rmdir(dir.Path("to").c_str()), 0);  // nothing is mounted there
}

TEST(ForeignMountTest, TellsTheErrorOfAFileSystemWithAServer) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  const TempDir dir;
  const Status status = MountForeign(
      In(10000), {"nosuchfs", ":/x", dir.Path(""), {"addr=192.0.2.1"}});
  EXPECT_EQ(ErrnoOf(status), ENODEV);
  EXPECT_THAT(status.message(), HasSubstr("mount nosuchfs on "));
}

TEST(PathHelperTest, OneThatIsStuckIsLeftBehind) {
  const auto stuck = [](void*, void*) { pause(); };
  int answer = 0;
  EXPECT_THAT(
      AskHelper(In(50), "server:/x", stuck, nullptr, &answer, sizeof(answer)),
      StatusIs(StatusCode::kDeadlineExceeded, HasSubstr("server:/x")));
  const auto quick = [](void* question, void* answer) {
    *static_cast<int*>(answer) = *static_cast<int*>(question) + 1;
  };
  int question = 41;
  ASSERT_OK(AskHelper(In(10000), "server:/x", quick, &question, &answer,
                      sizeof(answer)));
  EXPECT_EQ(answer, 42);
  EXPECT_EQ(StuckHelpers(), 0u);
}

TEST(PathTest, SaysWhatIsThere) {
  const TempDir dir;
  dir.Write("file", "x");
  ASSERT_EQ(symlink("file", dir.Path("link").c_str()), 0);
  auto facts = InspectPath(In(10000), dir.Path("./link"));
  ASSERT_OK(facts);
  EXPECT_EQ(facts->path, dir.Path("file"));
  EXPECT_TRUE(S_ISREG(facts->info.st_mode));
  facts = InspectPath(In(10000), "/dev/null");
  ASSERT_OK(facts);
  EXPECT_TRUE(S_ISCHR(facts->info.st_mode));
  EXPECT_EQ(facts->info.st_rdev, makedev(1, 3));
  EXPECT_THAT(InspectPath(In(10000), dir.Path("none")),
              StatusIs(StatusCode::kNotFound, HasSubstr("none")));
  EXPECT_THAT(InspectPath(In(10000), "relative"),
              StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(InspectPath(In(10000), std::string("/a\0b", 4)),
              StatusIs(StatusCode::kInvalidArgument));
  EXPECT_FALSE(InspectPath(In(10000), "/" + std::string(5000, 'x')).ok());
}

TEST(PathTest, MakesWhatIsMissing) {
  const TempDir dir;
  dir.Write("file", "x");
  ASSERT_OK(MakePath(In(10000), dir.Path("a/b/c"), 0700));
  ASSERT_OK(MakePath(In(10000), dir.Path("a/b/c"), 0700));
  EXPECT_TRUE(dir.Exists("a/b/c"));
  EXPECT_FALSE(MakePath(In(10000), dir.Path("file"), 0700).ok());
  EXPECT_FALSE(MakePath(In(10000), dir.Path("file/below"), 0700).ok());
}

}  // namespace
}  // namespace berth
