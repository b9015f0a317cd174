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
