#include "base/fs/rooted_path.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"

namespace berth {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// root/ is the root; outside/ is what no path may reach.
class RootedPathTest : public ::testing::Test {
 protected:
  RootedPathTest() {
    dir_.MakeDirectory("root/a/b");
    dir_.MakeDirectory("outside");
  }
  RootedPath Root() { return *RootedPath::Open(dir_.Path("root")); }
  void Link(const std::string& to, const std::string& at) {
    ASSERT_EQ(symlink(to.c_str(), dir_.Path("root/" + at).c_str()), 0);
  }
  TempDir dir_;
};

TEST_F(RootedPathTest, AbsoluteLinksStartAtTheRoot) {
  Link("/a", "link");
  ASSERT_OK_AND_ASSIGN(const UniqueFd fd, Root().Open("link/b", O_PATH));
  EXPECT_EQ(*PathOfFd(fd.get()), dir_.Path("root/a/b"));
}

TEST_F(RootedPathTest, NoLinkLeadsOutside) {
  Link(dir_.Path("outside"), "absolute");
  Link("../../../../../../.." + dir_.Path("outside"), "relative");
  for (const char* path : {"absolute/x", "relative/x", "../outside/x"}) {
    EXPECT_OK(Root().MakeDirectories(path, 0755)) << path;
    EXPECT_OK(Root().MakeFile(std::string(path) + "/f", 0644)) << path;
    EXPECT_OK(Root().ResolveParent(path)) << path;
  }
  EXPECT_THAT(dir_.Names("outside"), IsEmpty());
}

TEST_F(RootedPathTest, FollowsALinkToWhatIsMissing) {
  Link("/run", "var");
  ASSERT_OK(Root().MakeDirectories("/var/lock", 0755));
  EXPECT_TRUE(dir_.Exists("root/run/lock"));
  Link("made", "dangling");
  ASSERT_OK(Root().MakeFile("dangling", 0644));
  EXPECT_TRUE(dir_.Exists("root/made"));
}

TEST_F(RootedPathTest, LinksInACircleEnd) {
  Link("two", "one");
  Link("one", "two");
  EXPECT_FALSE(Root().MakeDirectories("one/x", 0755).ok());
}

TEST_F(RootedPathTest, OpenNoLinksRefusesThem) {
  Link("a", "link");
  EXPECT_OK(Root().OpenNoLinks("/a/b", O_PATH));
  EXPECT_FALSE(Root().OpenNoLinks("/link/b", O_PATH).ok());
  EXPECT_FALSE(Root().OpenNoLinks("/link", O_PATH).ok());
}

TEST_F(RootedPathTest, MagicLinksAreRefused) {
  ASSERT_OK_AND_ASSIGN(const RootedPath proc, RootedPath::Open("/proc"));
  EXPECT_FALSE(proc.Open("self/root/etc", O_PATH).ok());
  EXPECT_FALSE(proc.Open("self/cwd", O_PATH).ok());
}

TEST_F(RootedPathTest, AFileInTheWayIsAnError) {
  dir_.Write("root/file", "");
  EXPECT_FALSE(Root().MakeDirectories("file/x", 0755).ok());
  EXPECT_FALSE(Root().ResolveParent("file/x").ok());
  EXPECT_THAT(Root().ResolveParent("/"),
              StatusIs(StatusCode::kInvalidArgument));
}

TEST_F(RootedPathTest, ParentIsMade) {
  ASSERT_OK_AND_ASSIGN(const RootedPath::Place place,
                       Root().ResolveParent("new/dir/node"));
  EXPECT_EQ(place.name, "node");
  EXPECT_THAT(dir_.Names("root/new"), ElementsAre("dir"));
}

}  // namespace
}  // namespace berth
