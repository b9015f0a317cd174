#include "base/fs/tree_size.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "base/unique_fd.h"

namespace berth {
namespace {

UniqueFd OpenDirectory(int dir, const char* name) {
  return UniqueFd(openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

TreeSize Measure(const TempDir& dir, const char* name) {
  const UniqueFd tree = OpenDirectory(dir.fd(), name);
  const StatusOr<TreeSize> size = MeasureTree(tree.get());
  EXPECT_OK(size);
  return size.ok() ? *size : TreeSize();
}

TEST(MeasureTreeTest, CountsHardLinksOnceAndFollowsNoLink) {
  TempDir dir;
  dir.MakeDirectory("outside");
  dir.Write("outside/file", std::string(1 << 20, 'x'));
  dir.MakeDirectory("tree/sub/empty");
  dir.Write("tree/sub/file", std::string(100'000, 'x'));
  ASSERT_EQ(linkat(dir.fd(), "tree/sub/file", dir.fd(), "tree/again", 0), 0);
  ASSERT_EQ(symlinkat("../outside", dir.fd(), "tree/link"), 0);
  ASSERT_EQ(mkfifoat(dir.fd(), "tree/fifo", 0600), 0);
  const TreeSize size = Measure(dir, "tree");
  EXPECT_EQ(size.inodes, 6u);  // tree sub empty file link fifo
  EXPECT_GE(size.bytes, 100'000u);
  EXPECT_LT(size.bytes, 1u << 20);
}

// The path of the deepest file is longer than PATH_MAX several times over.
TEST(MeasureTreeTest, SeesWhatIsDeeperThanAPathMayBe) {
  constexpr int kLevels = 500;
  TempDir dir;
  dir.MakeDirectory("tree");
  const std::string name(20, 'd');
  UniqueFd at = OpenDirectory(dir.fd(), "tree");
  for (int i = 0; i < kLevels; ++i) {
    ASSERT_EQ(mkdirat(at.get(), name.c_str(), 0755), 0);
    ASSERT_EQ(mkdirat(at.get(), "side", 0755), 0);
    at = OpenDirectory(at.get(), name.c_str());
    ASSERT_TRUE(at.valid());
  }
  const UniqueFd file(openat(at.get(), "big", O_WRONLY | O_CREAT, 0600));
  ASSERT_EQ(write(file.get(), std::string(300'000, 'x').data(), 300'000),
            300'000);
  const TreeSize size = Measure(dir, "tree");
  EXPECT_EQ(size.inodes, 1u + 2 * kLevels + 1);
  EXPECT_GE(size.bytes, 300'000u);
}

// A process that exchanges a directory with a link to another tree, for ever.
pid_t ForkSwapper(int dir, const char* one, const char* other) {
  const pid_t pid = fork();
  if (pid != 0) return pid;
  while (renameat2(dir, one, dir, other, RENAME_EXCHANGE) == 0) {
  }
  _exit(1);
}

TEST(MeasureTreeTest, IsNotLedAwayByALinkThatTakesADirectorysPlace) {
  constexpr int kFiles = 500;
  TempDir dir;
  dir.MakeDirectory("outside");
  for (int i = 0; i < kFiles; ++i) {
    dir.Write("outside/file" + std::to_string(i), "");
  }
  for (int i = 0; i < 50; ++i) {
    dir.MakeDirectory("tree/sibling" + std::to_string(i));
  }
  dir.MakeDirectory("tree/one");
  ASSERT_EQ(symlinkat(dir.Path("outside").c_str(), dir.fd(), "tree/other"), 0);
  const UniqueFd tree = OpenDirectory(dir.fd(), "tree");
  const pid_t swapper = ForkSwapper(tree.get(), "one", "other");
  const absl::Cleanup end = [swapper] {
    kill(swapper, SIGKILL);
    waitpid(swapper, nullptr, 0);
  };
  for (int i = 0; i < 500; ++i) {
    const StatusOr<TreeSize> size = MeasureTree(tree.get());
    ASSERT_OK(size);
    ASSERT_LT(size->inodes, kFiles);
  }
  EXPECT_EQ(waitpid(swapper, nullptr, WNOHANG), 0) << "nothing was exchanged";
}

// Moves the directory "d" out of `from` and back, for ever.
pid_t ForkMover(int from, int to) {
  const pid_t pid = fork();
  if (pid != 0) return pid;
  while (renameat(from, "d", to, "d") == 0 &&
         renameat(to, "d", from, "d") == 0) {
  }
  _exit(1);
}

// Where a deep directory is moved to, ".." of it holds the same names.
TEST(MeasureTreeTest, IsNotLedAwayByADirectoryThatMoves) {
  constexpr int kLevels = 200, kSiblings = 20, kFiles = 300;
  TempDir dir;
  dir.MakeDirectory("tree");
  UniqueFd at = OpenDirectory(dir.fd(), "tree");
  UniqueFd parent;
  for (int i = 0; i < kLevels; ++i) {
    ASSERT_EQ(mkdirat(at.get(), "d", 0755), 0);
    UniqueFd next = OpenDirectory(at.get(), "d");
    if (i == 100) parent = std::move(at);
    at = std::move(next);
  }
  for (int i = 0; i < kSiblings; ++i) {
    const std::string name = "sibling" + std::to_string(i);
    ASSERT_EQ(mkdirat(parent.get(), name.c_str(), 0755), 0);
    dir.MakeDirectory("outside/" + name);
    for (int j = 0; j < kFiles; ++j) {
      dir.Write("outside/" + name + "/" + std::to_string(j), "");
    }
  }
  const UniqueFd outside = OpenDirectory(dir.fd(), "outside");
  const pid_t mover = ForkMover(parent.get(), outside.get());
  const absl::Cleanup end = [mover] {
    kill(mover, SIGKILL);
    waitpid(mover, nullptr, 0);
  };
  for (int i = 0; i < 150; ++i) {
    ASSERT_LE(Measure(dir, "tree").inodes, 1u + kLevels + kSiblings);
  }
  EXPECT_EQ(waitpid(mover, nullptr, WNOHANG), 0) << "nothing was moved";
}

TEST(MeasureTreeTest, DoesNotEnterOtherMounts) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root: a mount";
  TempDir dir;
  dir.MakeDirectory("tree/mount");
  const std::string point = dir.Path("tree/mount");
  ASSERT_EQ(mount("/proc/self", point.c_str(), nullptr, MS_BIND, nullptr), 0);
  const absl::Cleanup end = [&] { umount2(point.c_str(), MNT_DETACH); };
  EXPECT_LE(Measure(dir, "tree").inodes, 2u);
}

}  // namespace
}  // namespace berth
