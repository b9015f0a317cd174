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

TEST(StatsTest, ReadsPressureInNanoseconds) {
  TempDir dir;
  dir.Write("cpu.pressure",
            "some avg10=1.50 avg60=0.25 avg300=0.00 total=7\n"
            "full avg10=0.50 avg60=0.00 avg300=0.00 total=3\n");
  dir.Write("io.pressure", "some avg10=0.00 avg60=0.00 avg300=2.00 total=9\n");
  const CgroupStats stats = ReadStatsV2(dir.path());
  ASSERT_TRUE(stats.cpu.pressure.has_value());
  EXPECT_EQ(stats.cpu.pressure->some, (PressureLine{1.5, 0.25, 0, 7000}));
  EXPECT_EQ(stats.cpu.pressure->full, (PressureLine{0.5, 0, 0, 3000}));
  ASSERT_TRUE(stats.io_pressure.has_value());
  EXPECT_EQ(stats.io_pressure->some, (PressureLine{0, 0, 2, 9000}));
  EXPECT_EQ(stats.io_pressure->full, PressureLine());
  EXPECT_FALSE(stats.memory.pressure.has_value());
}

TEST(StatsTest, ReadsTheLimitsOfCpuInBothVersions) {
  TempDir dir;
  dir.Write("cpu.max", "20000 100000\n");
  dir.Write("cpu.weight", "79\n");
  CpuStats cpu = ReadStatsV2(dir.path()).cpu;
  EXPECT_EQ(cpu.quota_us, 20000u);
  EXPECT_EQ(cpu.period_us, 100000u);
  EXPECT_EQ(cpu.weight, 79u);
  dir.Write("cpu.max", "max 50000\n");
  cpu = ReadStatsV2(dir.path()).cpu;
  EXPECT_EQ(cpu.quota_us, 0u);
  EXPECT_EQ(cpu.period_us, 50000u);

  const auto everywhere = [&](std::string_view /*controller*/) {
    return dir.path();
  };
  dir.Write("cpu.cfs_quota_us", "-1\n");
  dir.Write("cpu.cfs_period_us", "100000\n");
  dir.Write("cpu.shares", "512\n");
  cpu = ReadStatsV1(everywhere).cpu;
  EXPECT_EQ(cpu.quota_us, 0u);
  EXPECT_EQ(cpu.period_us, 100000u);
  EXPECT_EQ(cpu.shares, 512u);
  dir.Write("cpu.cfs_quota_us", "20000\n");
  EXPECT_EQ(ReadStatsV1(everywhere).cpu.quota_us, 20000u);
}

TEST(StatsTest, ReadsTheKindsOfMemoryInBothVersions) {
  TempDir dir;
  dir.Write("memory.stat",
            "active_file 1\nfile_mapped 2\nkernel 3\n"
            "total_active_file 4\ntotal_mapped_file 5\n");
  dir.Write("memory.low", "6\n");
  dir.Write("memory.kmem.usage_in_bytes", "7\n");
  dir.Write("memory.soft_limit_in_bytes", "9223372036854771712\n");
  MemoryStats memory = ReadStatsV2(dir.path()).memory;
  EXPECT_EQ(memory.active_file, 1u);
  EXPECT_EQ(memory.mapped_file, 2u);
  EXPECT_EQ(memory.kernel, 3u);
  EXPECT_EQ(memory.reservation, 6u);
  memory = ReadStatsV1([&](std::string_view) { return dir.path(); }).memory;
  EXPECT_EQ(memory.active_file, 4u);
  EXPECT_EQ(memory.mapped_file, 5u);
  EXPECT_EQ(memory.kernel, 7u);
  EXPECT_EQ(memory.reservation, kNoLimit);
}

TEST(StatsTest, SurvivesAnyFile) {
  TempDir dir;
  const std::string files[] = {"cpu.stat",
                               "memory.current",
                               "memory.max",
                               "memory.stat",
                               "io.stat",
                               "cpu.max",
                               "cpu.pressure",
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
       "some avg10=1.50 avg60=0.25 avg300=0.00 total=7\n", "1 2 3 4 \n",
       "9223372036854771712\n"},
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
