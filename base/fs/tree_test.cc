#include "base/fs/tree.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "base/unique_fd.h"

namespace berth {
namespace {

TEST(RemoveTreeTest, RemovesFilesLinksAndDirectoriesButNotWhatLinksLeadTo) {
  TempDir dir;
  dir.Write("kept", "x");
  dir.MakeDirectory("tree/a/b");
  dir.Write("tree/a/b/file", "x");
  ASSERT_EQ(symlinkat("../kept", dir.fd(), "tree/link"), 0);
  ASSERT_EQ(symlinkat("..", dir.fd(), "tree/up"), 0);
  ASSERT_OK(RemoveTree(dir.fd(), "tree"));
  EXPECT_THAT(dir.Names(), ::testing::ElementsAre("kept"));
}

TEST(RemoveTreeTest, MayCrossMountsOnTheWayToTheTree) {
  // /dev/shm is a file system of its own, wherever there is one.
  const std::string tree = "/dev/shm/tree-test." + std::to_string(getpid());
  ASSERT_EQ(mkdir(tree.c_str(), 0755), 0);
  ASSERT_EQ(mkdir((tree + "/in").c_str(), 0755), 0);
  EXPECT_OK(RemoveTree(AT_FDCWD, tree));
  EXPECT_NE(access(tree.c_str(), F_OK), 0);
  EXPECT_OK(RemoveTree(AT_FDCWD, tree + "/missing/too"));
}

TEST(RemoveTreeTest, AcceptsWhatIsNotThereAndASingleFile) {
  TempDir dir;
  EXPECT_OK(RemoveTree(dir.fd(), "missing"));
  dir.Write("file", "x");
  EXPECT_OK(RemoveTree(dir.fd(), "file"));
  EXPECT_FALSE(dir.Exists("file"));
}

TEST(RemoveTreeTest, ReachesATreeOnAnotherFileSystem) {
  // A mount of its own everywhere; the working directory is not on it.
  const std::string tree = "/dev/shm/berth-tree-" + std::to_string(getpid());
  ASSERT_EQ(mkdir(tree.c_str(), 0755), 0);
  ASSERT_EQ(mkdir((tree + "/inner").c_str(), 0755), 0);
  EXPECT_OK(RemoveTree(AT_FDCWD, tree));
  EXPECT_NE(access(tree.c_str(), F_OK), 0);
  EXPECT_OK(RemoveTree(AT_FDCWD, tree + "/inner"));
}

TEST(RemoveTreeTest, RemovesATreeThatNeedsMoreLevelsThanWeOpen) {
  TempDir dir;
  UniqueFd at(dup(dir.fd()));
  for (int i = 0; i < 600; ++i) {
    ASSERT_EQ(mkdirat(at.get(), "deep", 0755), 0);
    ASSERT_EQ(mkdirat(at.get(), "side", 0755), 0);
    at = UniqueFd(openat(at.get(), "deep", O_RDONLY | O_DIRECTORY));
    ASSERT_TRUE(at.valid());
  }
  ASSERT_OK(RemoveTree(dir.fd(), "deep"));
  EXPECT_FALSE(dir.Exists("deep"));
}

}  // namespace
}  // namespace berth
