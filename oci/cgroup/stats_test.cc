// The kernel's files, and files that no kernel would write.
#include <gtest/gtest.h>

#include <string>

#include "base/testing/fuzz.h"
#include "base/testing/temp_dir.h"
#include "oci/cgroup/cgroup_files.h"
#include "oci/cgroup/stats_v1.h"
#include "oci/cgroup/stats_v2.h"

namespace berth::oci {
namespace {

TEST(StatsTest, ReadsTheFilesOfVersion2) {
  TempDir dir;
  dir.Write("cpu.stat", "usage_usec 7\nuser_usec 3\nnr_throttled 2\n");
  dir.Write("memory.current", "4096\n");
  dir.Write("memory.max", "max\n");
  dir.Write("memory.stat", "anon 5\nfile 6\ninactive_file 1\n");
  dir.Write("pids.current", "3\n");
  dir.Write("io.stat", "8:0 rbytes=1 wbytes=2 rios=3 wios=4\n");
  const CgroupStats stats = ReadStatsV2(dir.path());
  EXPECT_EQ(stats.cpu.total_ns, 7000u);
  EXPECT_EQ(stats.cpu.throttled_periods, 2u);
  EXPECT_EQ(stats.memory.usage, 4096u);
  EXPECT_EQ(stats.memory.limit, kNoLimit);
  EXPECT_EQ(stats.memory.working_set(), 4095u);
  EXPECT_EQ(stats.pids, 3u);
  EXPECT_EQ(stats.io_bytes.size(), 2u);
}

TEST(StatsTest, SurvivesAnyFile) {
  TempDir dir;
  const std::string files[] = {"cpu.stat",
                               "memory.current",
                               "memory.max",
                               "memory.stat",
                               "io.stat",
                               "cpuacct.usage_percpu",
                               "pids.max",
                               "hugetlb.2MB.current",
                               "cgroup.procs",
                               "memory.usage_in_bytes",
                               "memory.limit_in_bytes",
                               "blkio.throttle.io_service_bytes_recursive"};
  Fuzz(
      {"usage_usec 7\nnr_periods 18446744073709551615\n", "4096\n", "max\n",
       "8:0 rbytes=1 wbytes=2 rios=3 wios=4\n", "8:0 Read 4096\nTotal 1\n",
       "1 2 3 4 \n", "9223372036854771712\n"},
      {"\n", " ", ":", "=", "max", "-1", "Total", std::string(1, '\0')},
      [&](const std::string& bytes) {
        for (const std::string& file : files) dir.Write(file, bytes);
        (void)ReadStatsV2(dir.path());
        (void)ReadStatsV1(
            [&](std::string_view /*controller*/) { return dir.path(); });
        (void)PidsOfTree(dir.path());
        return true;
      },
      200);
}

}  // namespace
}  // namespace berth::oci
