#include "base/fs/private_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "absl/cleanup/cleanup.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"

namespace berth {
namespace {

mode_t ModeOf(const std::string& path) {
  struct stat info {};
  EXPECT_EQ(stat(path.c_str(), &info), 0) << path;
  return info.st_mode & 07777;
}

class PrivateFolderTest : public ::testing::Test {
 protected:
  std::string Make(const std::string& name, mode_t mode) {
    dir_.MakeDirectory(name);
    EXPECT_EQ(chmod(dir_.Path(name).c_str(), mode), 0);
    return dir_.Path(name);
  }
  HostPaths Paths() {
    HostPaths paths;
    paths.root = dir_.Path("root");
    paths.state = dir_.Path("state");
    return paths;
  }
  TempDir dir_;
};

TEST_F(PrivateFolderTest, IsOursAloneWithOpenParents) {
  ASSERT_OK(MakePrivateFolder(dir_.Path("a/b/c")));
  EXPECT_EQ(ModeOf(dir_.Path("a/b/c")), 0700u);
  EXPECT_EQ(ModeOf(dir_.Path("a/b")) & 0111, 0111u);
}

TEST_F(PrivateFolderTest, IsTightenedWhereALinkLeadsToo) {
  const std::string real = Make("elsewhere", 0711);
  ASSERT_EQ(symlink(real.c_str(), dir_.Path("link").c_str()), 0);
  ASSERT_OK(MakePrivateFolder(dir_.Path("link")));
  EXPECT_EQ(ModeOf(real), 0700u);
}

TEST_F(PrivateFolderTest, IsNotTakenFromOthers) {
  const std::string shared = Make("shared", 01777);
  EXPECT_THAT(MakePrivateFolder(shared),
              StatusIs(StatusCode::kFailedPrecondition));
  EXPECT_EQ(ModeOf(shared), 01777u);
  if (geteuid() != 0) GTEST_SKIP() << "needs root: chown";
  const std::string theirs = Make("theirs", 0755);
  ASSERT_EQ(chown(theirs.c_str(), 1000, 0), 0);
  EXPECT_THAT(MakePrivateFolder(theirs),
              StatusIs(StatusCode::kFailedPrecondition));
  dir_.Write("file", "");
  EXPECT_FALSE(MakePrivateFolder(dir_.Path("file")).ok());
}

TEST_F(PrivateFolderTest, WhatAnEarlierVersionLeftOpenIsTightened) {
  const std::string ours[] = {
      Make("root", 0711),
      Make("state", 0755),
      Make("root/containers", 0711),
      Make("root/containers/c", 0711),
      Make("root/containers/c/volumes", 0711),
      Make("root/sandboxes/s", 0711),
      Make("root/volumes", 0701),
      Make("root/volumes/v", 0701),
      Make("root/snapshots", 0711),
      Make("state/containers/c/images", 0711),
      Make("state/sandboxes/s", 0711),
      Make("state/oci/c", 0711),
  };
  // What containers see: its mode is theirs.
  const std::string theirs[] = {
      Make("root/containers/c/volumes/0", 01777),
      Make("root/volumes/v/_data", 0755),
      Make("root/snapshots/7", 02755),
  };
  const mode_t modes[] = {01777, 0755, 02755};
  ASSERT_OK(MakePrivate(Paths()));
  for (const std::string& path : ours) EXPECT_EQ(ModeOf(path), 0700u) << path;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ModeOf(theirs[i]), modes[i]);
}

TEST_F(PrivateFolderTest, LinksAndMountsBelowAreLeftAlone) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root: a mount";
  const std::string outside = Make("outside", 0755);
  Make("state", 0700);
  const std::string point = Make("state/containers/c/rootfs", 0711);
  ASSERT_EQ(symlink(outside.c_str(), dir_.Path("state/oci").c_str()), 0);
  ASSERT_EQ(mount(outside.c_str(), point.c_str(), nullptr, MS_BIND, nullptr),
            0);
  const absl::Cleanup end = [&] { umount2(point.c_str(), MNT_DETACH); };
  ASSERT_OK(MakePrivate(Paths()));
  EXPECT_EQ(ModeOf(outside), 0755u);
}

}  // namespace
}  // namespace berth
