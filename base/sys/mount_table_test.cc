#include "base/sys/mount_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <string>
#include <vector>

#include "base/sys/file.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"

namespace berth {
namespace {

using ::testing::ElementsAre;

TEST(MountTable, HasEachFieldOfALine) {
  EXPECT_EQ(ParseMountEntry("36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 "
                            "shared:2 - ext3 /dev/root rw,errors=continue"),
            (MountEntry{"/mnt1",
                        "/mnt2",
                        {"master:1", "shared:2"},
                        "ext3",
                        "/dev/root",
                        "rw,errors=continue"}));
  EXPECT_EQ(ParseMountEntry("1 0 0:1 / /a rw - proc none rw"),
            (MountEntry{"/", "/a", {}, "proc", "none", "rw"}));
}

TEST(MountTable, NamesAreAsTheyAreCalled) {
  const auto entry = ParseMountEntry(
      R"(1 0 0:1 /a\040b /c\011\012\134\043d\04 rw - fuse x\040y rw)");
  ASSERT_TRUE(entry.has_value());
  EXPECT_EQ(entry->root, "/a b");
  EXPECT_EQ(entry->point, "/c\t\n\\#d\\04");
  EXPECT_EQ(entry->source, "x y");
  // No digits of base eight, or too few.
  EXPECT_EQ(ParseMountEntry(R"(1 0 0:1 / /a\09z\ rw - t s o)")->point,
            R"(/a\09z\)");
}

TEST(MountTable, LinesOfAnotherFormAreLeftOut) {
  const auto entries = ParseMountTable(
      "\n"
      "1 0 0:1 / /short rw\n"
      "1 0 0:1 / /without-a-type rw a b c -\n"
      "1 0 0:1 / /without-a-dash rw tmpfs tmpfs rw\n"
      "1 0 0:1 / - rw - tmpfs tmpfs rw\n"
      "1 0 0:1 / /last rw - tmpfs tmpfs rw");
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].point, "-");
  EXPECT_EQ(entries[1].point, "/last");
}

TEST(MountTable, ReadsWhatTheKernelWrites) {
  TempDir dir;
  const std::string point = dir.path() + "/a b\t\\040";
  ASSERT_EQ(mkdir(point.c_str(), 0755), 0);
  ASSERT_EQ(mount("a source", point.c_str(), "tmpfs", 0, nullptr), 0);
  const auto text = ReadFile("/proc/self/mountinfo", 1 << 24);
  EXPECT_EQ(umount(point.c_str()), 0);
  ASSERT_OK(text);
  std::vector<std::string> found;
  for (const MountEntry& entry : ParseMountTable(*text)) {
    if (entry.point == point) found.push_back(entry.source);
  }
  EXPECT_THAT(found, ElementsAre("a source"));
}

}  // namespace
}  // namespace berth
