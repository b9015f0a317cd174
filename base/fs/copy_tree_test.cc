#include "base/fs/copy_tree.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"

namespace berth {
namespace {

using ::testing::ElementsAre;

UniqueFd OpenDir(const TempDir& dir, const std::string& name) {
  return UniqueFd(openat(dir.fd(), name.c_str(), O_RDONLY | O_DIRECTORY));
}

TEST(CopyTreeTest, CopiesFilesDirectoriesAndLinks) {
  TempDir dir;
  dir.MakeDirectory("from/sub");
  dir.MakeDirectory("to");
  dir.Write("from/a", "one");
  dir.Write("from/sub/b", "two");
  ASSERT_EQ(symlinkat("/etc/passwd", dir.fd(), "from/link"), 0);
  ASSERT_EQ(chmod(dir.Path("from/a").c_str(), 0640), 0);
  ASSERT_OK(CopyTree(OpenDir(dir, "from").get(), OpenDir(dir, "to").get()));
  EXPECT_THAT(dir.Names("to"), ElementsAre("a", "link", "sub"));
  EXPECT_EQ(dir.Read("to/sub/b"), "two");
  struct stat info;
  ASSERT_EQ(lstat(dir.Path("to/link").c_str(), &info), 0);
  EXPECT_TRUE(S_ISLNK(info.st_mode));
  ASSERT_EQ(stat(dir.Path("to/a").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0640u);
}

ino_t InodeOf(const std::string& path) {
  struct stat info = {};
  EXPECT_EQ(lstat(path.c_str(), &info), 0) << path;
  return info.st_ino;
}

TEST(CopyTreeTest, KeepsHardLinks) {
  TempDir dir;
  dir.MakeDirectory("from/sub/deep");
  dir.MakeDirectory("to");
  dir.Write("from/a", "one");
  dir.Write("from/sub/other", "two");
  const std::string from = dir.Path("from");
  ASSERT_EQ(link((from + "/a").c_str(), (from + "/b").c_str()), 0);
  ASSERT_EQ(link((from + "/a").c_str(), (from + "/sub/deep/c").c_str()), 0);
  ASSERT_EQ(symlink("/nowhere", (from + "/l").c_str()), 0);
  ASSERT_EQ(link((from + "/l").c_str(), (from + "/sub/l").c_str()), 0);
  // One that has its other name elsewhere is a file like any other.
  ASSERT_EQ(link((from + "/sub/other").c_str(), dir.Path("outside").c_str()),
            0);
  ASSERT_OK(CopyTree(OpenDir(dir, "from").get(), OpenDir(dir, "to").get()));
  EXPECT_EQ(dir.Read("to/sub/deep/c"), "one");
  EXPECT_EQ(InodeOf(dir.Path("to/a")), InodeOf(dir.Path("to/b")));
  EXPECT_EQ(InodeOf(dir.Path("to/a")), InodeOf(dir.Path("to/sub/deep/c")));
  EXPECT_EQ(InodeOf(dir.Path("to/l")), InodeOf(dir.Path("to/sub/l")));
  EXPECT_NE(InodeOf(dir.Path("to/a")), InodeOf(dir.Path("from/a")));
  EXPECT_NE(InodeOf(dir.Path("to/sub/other")), InodeOf(dir.Path("outside")));
  EXPECT_EQ(dir.Read("to/sub/other"), "two");
}

TEST(CopyTreeTest, DoesNotWaitForAFifo) {
  TempDir dir;
  dir.MakeDirectory("from");
  dir.MakeDirectory("to");
  ASSERT_EQ(mkfifo(dir.Path("from/fifo").c_str(), 0600), 0);
  ASSERT_OK(CopyTree(OpenDir(dir, "from").get(), OpenDir(dir, "to").get()));
  EXPECT_THAT(dir.Names("to"), ElementsAre("fifo"));
}

TEST(CopyTreeTest, RefusesEndlessDepth) {
  TempDir dir;
  std::string path = "from";
  for (int i = 0; i < 300; ++i) path += "/d";
  dir.MakeDirectory(path);
  dir.MakeDirectory("to");
  EXPECT_THAT(CopyTree(OpenDir(dir, "from").get(), OpenDir(dir, "to").get()),
              StatusIs(StatusCode::kResourceExhausted));
}

}  // namespace
}  // namespace berth
