#include "oci/cgroup/cgroup_host.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"

namespace berth::oci {
namespace {

using ::testing::ElementsAre;

TEST(CgroupHostTest, HybridCountsAsV1) {
  TempDir proc;
  proc.Write("mountinfo",
             "21 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
             "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
             "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - "
             "cgroup cgroup rw,cpu,cpuacct\n"
             "33 31 0:30 / /sys/fs/cgroup/systemd rw - cgroup systemd "
             "rw,xattr,release_agent=/x,name=systemd\n"
             "34 31 0:31 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
  proc.Write("cgroup",
             "5:cpu,cpuacct:/a/b\n1:name=systemd:/system.slice/x\n0::/u\n");
  ASSERT_OK_AND_ASSIGN(const CgroupHost host, CgroupHost::Detect(proc.path()));
  EXPECT_EQ(host.version, CgroupVersion::kV1);
  ASSERT_EQ(host.hierarchies.size(), 3u);
  ASSERT_NE(host.Find("cpuacct"), nullptr);
  EXPECT_EQ(host.Find("cpuacct"), host.Find("cpu"));
  EXPECT_EQ(host.Find("cpu")->own_path, "/a/b");
  EXPECT_EQ(host.Find("memory"), nullptr);
  EXPECT_THAT(host.hierarchies[1].controllers, ElementsAre("name=systemd"));
  EXPECT_EQ(host.hierarchies[1].own_path, "/system.slice/x");
  EXPECT_TRUE(host.hierarchies[2].v2);
  EXPECT_EQ(host.hierarchies[2].own_path, "/u");
}

TEST(CgroupHostTest, OneTreeIsV2) {
  TempDir proc;
  proc.MakeDirectory("tree");
  proc.Write("tree/cgroup.controllers", "cpuset cpu io memory pids\n");
  proc.Write("mountinfo", "34 31 0:31 / " + proc.Path("tree") +
                              " rw - cgroup2 cgroup2 rw,nsdelegate\n");
  proc.Write("cgroup", "0::/user.slice\n");
  ASSERT_OK_AND_ASSIGN(const CgroupHost host, CgroupHost::Detect(proc.path()));
  EXPECT_EQ(host.version, CgroupVersion::kV2);
  ASSERT_NE(host.Find("memory"), nullptr);
  EXPECT_EQ(host.Find("memory")->own_path, "/user.slice");
  EXPECT_EQ(host.Find("devices"), nullptr);
}

TEST(CgroupHostTest, UsersMakeCgroupsBesideTheirOwn) {
  TempDir proc;
  proc.MakeDirectory("tree");
  proc.MakeDirectory("tree/user");
  proc.MakeDirectory("tree/user/shell");
  proc.Write("tree/cgroup.controllers", "cpu memory pids\n");
  proc.Write("mountinfo", "34 31 0:31 / " + proc.Path("tree") +
                              " rw - cgroup2 cgroup2 rw\n");
  proc.Write("cgroup", "0::/user/shell\n");
  ASSERT_OK_AND_ASSIGN(const CgroupHost host, CgroupHost::Detect(proc.path()));
  // Directories of ours, but not their files: nobody could be moved.
  EXPECT_EQ(host.Delegated(), std::nullopt);
  proc.Write("tree/user/shell/cgroup.procs", "");
  EXPECT_EQ(host.Delegated(), "/user/shell");
  proc.Write("tree/user/cgroup.procs", "");
  EXPECT_EQ(host.Delegated(), "/user");
}

TEST(CgroupHostTest, AV1HierarchyWithoutLimitsChangesNothing) {
  for (const char* const other :
       {"net_cls,net_prio", "perf_event", "devices"}) {
    TempDir proc;
    proc.MakeDirectory("tree");
    proc.Write("tree/cgroup.controllers", "cpu io memory pids\n");
    proc.Write("mountinfo",
               std::string("33 31 0:30 / /mnt/x rw - cgroup x rw,") + other +
                   "\n34 31 0:31 / " + proc.Path("tree") +
                   " rw - cgroup2 cgroup2 rw\n");
    proc.Write("cgroup", std::string("3:") + other + ":/\n0::/a\n");
    ASSERT_OK_AND_ASSIGN(const CgroupHost host,
                         CgroupHost::Detect(proc.path()));
    EXPECT_EQ(host.version, CgroupVersion::kV2) << other;
    ASSERT_NE(host.Find("memory"), nullptr);
    EXPECT_EQ(host.Find("memory")->own_path, "/a");
  }
}

TEST(CgroupHostTest, LimitsOnNeitherSideAreV1AsBefore) {
  TempDir proc;
  proc.MakeDirectory("tree");
  proc.Write("tree/cgroup.controllers", "hugetlb\n");
  proc.Write("mountinfo",
             "33 31 0:30 / /mnt/x rw - cgroup x rw,devices\n34 31 "
             "0:31 / " +
                 proc.Path("tree") + " rw - cgroup2 cgroup2 rw\n");
  proc.Write("cgroup", "3:devices:/\n0::/a\n");
  ASSERT_OK_AND_ASSIGN(const CgroupHost host, CgroupHost::Detect(proc.path()));
  EXPECT_EQ(host.version, CgroupVersion::kV1);
  EXPECT_EQ(host.Find("hugetlb"), nullptr);
}

TEST(CgroupHostTest, OwnIsKept) {
  ASSERT_OK_AND_ASSIGN(const CgroupHost* const own, CgroupHost::Own());
  EXPECT_FALSE(own->hierarchies.empty());
  ASSERT_OK_AND_ASSIGN(const CgroupHost* const again, CgroupHost::Own());
  EXPECT_EQ(again, own);
}

TEST(CgroupHostTest, PathsAreThoseBelowTheMount) {
  TempDir proc;
  proc.Write("mountinfo",
             "34 31 0:31 /docker/x /sys/fs/cgroup\\040a rw - cgroup cgroup "
             "rw,memory\n");
  proc.Write("cgroup", "4:memory:/docker/x/init\n");
  ASSERT_OK_AND_ASSIGN(const CgroupHost host, CgroupHost::Detect(proc.path()));
  EXPECT_EQ(host.hierarchies[0].mount_point, "/sys/fs/cgroup a");
  EXPECT_EQ(host.hierarchies[0].own_path, "/init");
}

TEST(CgroupHostTest, SaysWhenThereIsNone) {
  TempDir proc;
  proc.Write("mountinfo", "21 1 8:1 / / rw - ext4 /dev/sda1 rw\n");
  proc.Write("cgroup", "");
  EXPECT_THAT(CgroupHost::Detect(proc.path()),
              StatusIs(StatusCode::kFailedPrecondition));
}

}  // namespace
}  // namespace berth::oci
