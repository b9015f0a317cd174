#include "base/sys/id_mapped.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/strings.h"
#include "base/sys/file.h"
#include "base/sys/mount.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"

namespace berth {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const IdMaps kMaps{{{0, 100000, 1000}}, {{0, 200000, 1000}}};

TEST(IdMapOptionsTest, GoThereAndBack) {
  std::vector<std::string> options = IdMapOptions(kMaps);
  EXPECT_THAT(options,
              ElementsAre("uidmap=0:100000:1000", "gidmap=0:200000:1000"));
  options.push_back("ro");
  EXPECT_THAT(TakeIdMapOptions(options), IsOkAndHolds(kMaps));
  EXPECT_THAT(options, ElementsAre("ro"));
  EXPECT_THAT(IdMapOptions({}), IsEmpty());
}

TEST(IdMapOptionsTest, RefusesWhatIsNoMap) {
  for (const char* bad : {"uidmap=", "uidmap=1:2", "uidmap=0:0:x",
                          "uidmap=0:4294967296:1", "uidmap=0:1:2"}) {
    std::vector<std::string> options = {bad};
    EXPECT_THAT(TakeIdMapOptions(options),
                StatusIs(StatusCode::kInvalidArgument))
        << bad;
  }
}

// Kernels that can map a tmpfs do not need it, but it works there as well.
TEST(CloneGivenMountTest, GivesAnEmptyTmpfsAway) {
  if (getuid() != 0) GTEST_SKIP() << "needs root";
  TempDir dir;
  dir.MakeDirectory("t");
  const std::string path = dir.Path("t");
  EXPECT_EQ(CloneGivenMount(path, false, kMaps).status().code(),
            StatusCode::kUnimplemented)
      << "no tmpfs";
  ASSERT_EQ(mount("tmpfs", path.c_str(), "tmpfs", 0, "mode=2770,gid=7"), 0);
  EXPECT_OK(CloneGivenMount(path, false, kMaps));
  struct stat info {};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, 100000u);
  EXPECT_EQ(info.st_gid, 200007u);
  EXPECT_EQ(info.st_mode & 07777, 02770u);
  // Once more, now that it has files.
  dir.Write("t/file", "");
  EXPECT_OK(CloneGivenMount(path, false, kMaps));
  ASSERT_EQ(chown(path.c_str(), 0, 0), 0);
  EXPECT_EQ(CloneGivenMount(path, false, kMaps).status().code(),
            StatusCode::kUnimplemented)
      << "files of another owner";
  EXPECT_EQ(umount(path.c_str()), 0);
}

TEST(OutsideIdTest, CountsFromTheRangesStart) {
  EXPECT_EQ(OutsideId({{0, 70, 2}, {5, 90, 1}}, 1), 71u);
  EXPECT_EQ(OutsideId({{0, 70, 2}, {5, 90, 1}}, 5), 90u);
  EXPECT_EQ(OutsideId({{0, 70, 2}, {5, 90, 1}}, 2), std::nullopt);
}

class MappedMountTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (getuid() != 0) GTEST_SKIP() << "needs root";
    if (const Status able = ProbeMappedOverlay(dir_.path()); !able.ok()) {
      GTEST_SKIP() << Message(able);
    }
    for (const char* name : {"a", "b", "upper", "work", "root"}) {
      ASSERT_EQ(mkdir(dir_.Path(name).c_str(), 0755), 0);
    }
    dir_.Write("a/low", "low");
    dir_.Write("b/lower", "lower");
    ASSERT_EQ(chown(dir_.Path("b/lower").c_str(), 5, 7), 0);
  }

  void TearDown() override {
    while (Unmount(dir_.Path("root"), MNT_DETACH).ok()) {
    }
  }

  std::pair<uid_t, gid_t> OwnerOf(const std::string& name) const {
    struct stat info {};
    EXPECT_EQ(lstat(dir_.Path(name).c_str(), &info), 0) << name;
    return {info.st_uid, info.st_gid};
  }

  Mount Overlay() const {
    Mount mount{"overlay",
                "overlay",
                dir_.Path("root"),
                {"lowerdir=" + dir_.Path("a") + ":" + dir_.Path("b"),
                 "upperdir=" + dir_.Path("upper"),
                 "workdir=" + dir_.Path("work"), "index=off"}};
    for (const std::string& option : IdMapOptions(kMaps)) {
      mount.options.push_back(option);
    }
    return mount;
  }

  TempDir dir_;
};

using Owner = std::pair<uid_t, gid_t>;

TEST_F(MappedMountTest, AnOverlaysLayersBelongToTheNamespace) {
  ASSERT_OK(MountAt(Overlay()));
  EXPECT_EQ(OwnerOf("root/low"), Owner(100000, 200000));
  EXPECT_EQ(OwnerOf("root/lower"), Owner(100005, 200007));
  // The layers themselves, and what the mount needed on the way.
  EXPECT_EQ(OwnerOf("a/low"), Owner(0, 0));
  EXPECT_NE(access(dir_.Path("root.layers").c_str(), F_OK), 0);
  EXPECT_EQ(OwnerOf("root"), Owner(100000, 200000));
  // A copy on write keeps the owner that is seen.
  dir_.Write("root/lower", "changed");
  EXPECT_EQ(OwnerOf("upper/lower"), Owner(100005, 200007));
}

TEST_F(MappedMountTest, ABindBelongsToTheNamespace) {
  Mount mount{"bind", dir_.Path("b"), dir_.Path("root"), {"rbind", "ro"}};
  for (const std::string& option : IdMapOptions(kMaps)) {
    mount.options.push_back(option);
  }
  ASSERT_OK(MountAt(mount));
  EXPECT_EQ(OwnerOf("root/lower"), Owner(100005, 200007));
}

TEST_F(MappedMountTest, NothingElseIsMapped) {
  Mount mount = Overlay();
  mount.type = "tmpfs";
  EXPECT_THAT(MountAt(mount), StatusIs(StatusCode::kUnimplemented));
  mount = Overlay();
  mount.options[0] = "lowerdir=" + dir_.Path("absent/x");
  EXPECT_FALSE(MountAt(mount).ok());
  EXPECT_NE(access(dir_.Path("root.layers").c_str(), F_OK), 0);
}

}  // namespace
}  // namespace berth
