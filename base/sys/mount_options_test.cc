#include "base/sys/mount_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/mount.h>
#include <sys/mount.h>

namespace berth {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(ParseMountOptionsTest, SortsFlagsPropagationAndData) {
  const MountOptions o = ParseMountOptions(
      {"rbind", "ro", "nosuid", "rslave", "private", "size=64k", "sync"});
  EXPECT_TRUE(o.bind);
  EXPECT_TRUE(o.recursive);
  EXPECT_TRUE(o.read_only);
  EXPECT_EQ(o.top.set, uint64_t{MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID});
  EXPECT_EQ(o.top.clear, 0u);
  EXPECT_THAT(o.propagation, ElementsAre(MS_SLAVE | MS_REC,
                                         static_cast<unsigned>(MS_PRIVATE)));
  EXPECT_THAT(o.data, ElementsAre("size=64k"));
  EXPECT_THAT(o.superblock, ElementsAre("sync"));
}

TEST(MountDataTest, QuotesALabel) {
  EXPECT_EQ(MountData({}), "");
  EXPECT_EQ(MountData({"size=64k", "context=u:object_r:t:s0:c1,c2", "x"}),
            "size=64k,context=\"u:object_r:t:s0:c1,c2\",x");
}

TEST(ParseMountOptionsTest, LaterOptionsWin) {
  const MountOptions o =
      ParseMountOptions({"ro", "noexec", "rw", "exec", "sync", "async"});
  EXPECT_EQ(o.top.set, 0u);
  EXPECT_EQ(o.top.clear, uint64_t{MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC});
  EXPECT_FALSE(o.read_only);
  EXPECT_THAT(o.superblock, IsEmpty());
}

TEST(ParseMountOptionsTest, AccessTimeIsOneField) {
  const MountOptions o = ParseMountOptions({"noatime", "strictatime"});
  EXPECT_EQ(o.top.set, uint64_t{MOUNT_ATTR_STRICTATIME});
  EXPECT_EQ(o.top.clear, uint64_t{MOUNT_ATTR__ATIME});
}

TEST(ParseMountOptionsTest, RecursiveFormsActOnTheTree) {
  const MountOptions o = ParseMountOptions({"rro", "rnosuid", "rexec"});
  EXPECT_EQ(o.top, MountAttributes());
  EXPECT_EQ(o.tree.set, uint64_t{MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID});
  EXPECT_EQ(o.tree.clear, uint64_t{MOUNT_ATTR_NOEXEC});
}

TEST(ParseMountOptionsTest, RelatimeIsNotARecursiveForm) {
  EXPECT_EQ(ParseMountOptions({"relatime"}).tree, MountAttributes());
  EXPECT_EQ(ParseMountOptions({"remount"}).data, std::vector<std::string>());
}

TEST(ParseMountOptionsTest, FormsOfCrun) {
  const MountOptions o = ParseMountOptions(
      {"idmap=uids=0-1-2;gids=0-1-2", "copy-symlink", "src-nofollow"});
  EXPECT_TRUE(o.id_mapped);
  EXPECT_FALSE(o.id_mapped_tree);
  EXPECT_EQ(o.id_mapping, "uids=0-1-2;gids=0-1-2");
  EXPECT_TRUE(o.copy_symlink);
  EXPECT_TRUE(o.source_nofollow);
  EXPECT_FALSE(o.target_nofollow);
  EXPECT_TRUE(ParseMountOptions({"ridmap=x"}).id_mapped_tree);
}

TEST(KnownMountOptionsTest, HasWhatCallersLookFor) {
  const auto names = KnownMountOptions();
  for (const char* name : {"ro", "rro", "bind", "rshared", "idmap"}) {
    EXPECT_THAT(names, Contains(name));
  }
}

}  // namespace
}  // namespace berth
