// Overlays of many layers below a long path, by each way there is.
#include "base/sys/overlay_mount.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <vector>

#include "base/strings.h"
#include "base/sys/file.h"
#include "base/sys/id_mapped.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"

namespace berth {
namespace {

using Way = std::function<Status(const Mount&)>;

class OverlayMountTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
  }
  void TearDown() override {
    (void)Unmount(dir_.Path("root"), MNT_DETACH).ok();
  }

  // Layer N has a file "N", and a file "all" that says N; the last is on top.
  Mount Overlay(size_t layers, const std::string& folder) {
    std::vector<std::string> lower;
    for (size_t i = 1; i <= layers; ++i) {
      const std::string name = folder + "/" + std::to_string(i);
      dir_.MakeDirectory(name);
      dir_.Write(name + "/" + std::to_string(i), "");
      dir_.Write(name + "/all", std::to_string(i));
      lower.insert(lower.begin(), dir_.Path(name));
    }
    for (const char* part : {"/upper", "/work"}) {
      dir_.MakeDirectory(folder + part);
    }
    dir_.MakeDirectory("root");
    Mount mount;
    mount.type = mount.source = "overlay";
    mount.target = dir_.Path("root");
    mount.options = {"lowerdir=" + Join(lower, ":"),
                     "upperdir=" + dir_.Path(folder + "/upper"),
                     "workdir=" + dir_.Path(folder + "/work"), "index=off"};
    return mount;
  }
  void ExpectLayers(size_t layers) {
    EXPECT_EQ(dir_.Names("root").size(), layers + 1);
    EXPECT_EQ(dir_.Read("root/all"), std::to_string(layers));
  }

  TempDir dir_;
};

TEST_F(OverlayMountTest, TakesManyLayersBelowALongPath) {
  const std::string folder = std::string(60, 'a') + "/" + std::string(60, 'b');
  const struct {
    const char* name;
    Way way;
  } ways[] = {{"as the kernel can", MountAt},
              {"by layer", MountOverlayByLayer},
              {"by folder", MountOverlayByFolder}};
  for (const size_t layers : {100, 127, 400}) {
    Mount mount = Overlay(layers, folder);
    ASSERT_GT(Join(mount.options, ",").size(), kMaxMountData);
    for (const auto& [name, way] : ways) {
      SCOPED_TRACE(name + std::to_string(layers));
      const Status mounted = way(mount);
      if (name == std::string("by layer") &&
          mounted.code() == StatusCode::kInvalidArgument) {
        continue;  // before Linux 6.5
      }
      ASSERT_OK(mounted);
      ExpectLayers(layers);
      dir_.Write("root/new", "written");
      EXPECT_EQ(unlink(dir_.Path("root/new").c_str()), 0);
      ASSERT_OK(Unmount(mount.target, 0));
    }
  }
}

TEST_F(OverlayMountTest, TakesAPathThatIsLongerThanOneOption) {
  const std::string folder =
      std::string(200, 'a') + "/" + std::string(200, 'b');
  Mount mount = Overlay(20, folder);
  ASSERT_OK(MountAt(mount));
  ExpectLayers(20);
  ASSERT_OK(Unmount(mount.target, 0));
  ASSERT_OK(MountOverlayByFolder(mount));
  ExpectLayers(20);
}

TEST_F(OverlayMountTest, TakesAReadOnlyOne) {
  Mount mount = Overlay(127, std::string(60, 'a'));
  mount.options = {mount.options[0], "ro", "index=off"};
  for (const Way& way : {Way(MountAt), Way(MountOverlayByFolder)}) {
    ASSERT_OK(way(mount));
    ExpectLayers(127);
    EXPECT_EQ(open(dir_.Path("root/new").c_str(), O_CREAT | O_WRONLY, 0600),
              -1);
    EXPECT_EQ(errno, EROFS);
    ASSERT_OK(Unmount(mount.target, 0));
  }
}

TEST_F(OverlayMountTest, MapsTheIdsOfManyLayers) {
  if (const Status able = ProbeMappedOverlay(dir_.path()); !able.ok()) {
    GTEST_SKIP() << Message(able);
  }
  Mount mount = Overlay(300, std::string(60, 'a'));
  for (const std::string& word :
       IdMapOptions({{{0, 70000, 1000}}, {{0, 70000, 1000}}})) {
    mount.options.push_back(word);
  }
  ASSERT_OK(MountAt(mount));
  ExpectLayers(300);
  struct stat info;
  ASSERT_EQ(stat(dir_.Path("root/all").c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, 70000u);
}

TEST_F(OverlayMountTest, LeavesTheWorkingDirectoryAlone) {
  char before[4096];
  ASSERT_NE(getcwd(before, sizeof(before)), nullptr);
  Mount mount = Overlay(100, std::string(60, 'a'));
  ASSERT_OK(MountOverlayByFolder(mount));
  char after[4096];
  ASSERT_NE(getcwd(after, sizeof(after)), nullptr);
  EXPECT_STREQ(before, after);
}

}  // namespace
}  // namespace berth
