#include "oci/cgroup/limits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/testing/status_matchers.h"

namespace berth::oci {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// "file=value", with "?" for what may be missing, "|" before what else may be
// written, and "<>" for a pair that may change places.
std::vector<std::string> Shown(const StatusOr<std::vector<LimitWrite>>& list) {
  EXPECT_OK(list);
  std::vector<std::string> shown;
  if (!list.ok()) return shown;
  for (const LimitWrite& write : *list) {
    EXPECT_EQ(write.file.rfind(write.controller, 0), 0u) << write.file;
    std::string text = write.file + "=" + write.value;
    if (write.optional) text += "?";
    if (!write.other_file.empty()) {
      text += "|" + write.other_file + "=" + write.other_value;
    }
    if (write.swap_on_einval) text += "<>";
    shown.push_back(text);
  }
  return shown;
}

TEST(LimitsTest, NothingAskedIsNothingWritten) {
  EXPECT_THAT(Shown(LimitsV1(Resources())), IsEmpty());
  EXPECT_THAT(Shown(LimitsV2(Resources())), IsEmpty());
}

TEST(LimitsTest, MemoryV1) {
  Resources r;
  r.memory = {.limit = 1000,
              .reservation = 500,
              .swap = 2000,
              .swappiness = 10,
              .disable_oom_killer = true,
              .check_before_update = {}};
  EXPECT_THAT(Shown(LimitsV1(r)),
              ElementsAre("memory.limit_in_bytes=1000<>",
                          "memory.memsw.limit_in_bytes=2000",
                          "memory.soft_limit_in_bytes=500",
                          "memory.swappiness=10", "memory.oom_control=1"));
}

TEST(LimitsTest, LiftingTheMemoryLimitLiftsTheSwapLimit) {
  Resources r;
  r.memory.limit = -1;
  EXPECT_THAT(Shown(LimitsV1(r)),
              ElementsAre("memory.limit_in_bytes=-1<>",
                          "memory.memsw.limit_in_bytes=-1?"));
  EXPECT_THAT(Shown(LimitsV2(r)),
              ElementsAre("memory.swap.max=max?", "memory.max=max"));
}

TEST(LimitsTest, SwapV2IsWithoutMemory) {
  Resources r;
  r.memory.limit = 1000;
  r.memory.swap = 1600;
  r.memory.reservation = 300;
  EXPECT_THAT(
      Shown(LimitsV2(r)),
      ElementsAre("memory.swap.max=600", "memory.max=1000", "memory.low=300"));
  r.memory.swap = 1000;
  EXPECT_THAT(Shown(LimitsV2(r))[0], "memory.swap.max=0?");
  r.memory.swap = 999;
  EXPECT_THAT(LimitsV2(r), StatusIs(StatusCode::kInvalidArgument));
  r.memory.limit.reset();
  EXPECT_THAT(LimitsV2(r), StatusIs(StatusCode::kInvalidArgument));
  r.memory.swap = -1;
  EXPECT_THAT(Shown(LimitsV2(r)),
              ElementsAre("memory.swap.max=max?", "memory.low=300"));
}

TEST(LimitsTest, Cpu) {
  Resources r;
  r.cpu.shares = 1024;
  r.cpu.quota = 50000;
  r.cpu.period = 100000;
  r.cpu.burst = 1000;
  r.cpu.cpus = "0-1";
  r.cpu.mems = "0";
  EXPECT_THAT(Shown(LimitsV1(r)),
              ElementsAre("cpu.shares=1024", "cpu.cfs_period_us=100000<>",
                          "cpu.cfs_quota_us=50000", "cpu.cfs_burst_us=1000",
                          "cpuset.cpus=0-1", "cpuset.mems=0"));
  EXPECT_THAT(
      Shown(LimitsV2(r)),
      ElementsAre("cpu.weight=100", "cpu.max=50000 100000",
                  "cpu.max.burst=1000", "cpuset.cpus=0-1", "cpuset.mems=0"));
}

TEST(LimitsTest, CpuQuotaAloneKeepsThePeriod) {
  Resources r;
  r.cpu.quota = 20000;
  EXPECT_THAT(Shown(LimitsV2(r)), ElementsAre("cpu.max=20000"));
  r.cpu.quota = -1;
  EXPECT_THAT(Shown(LimitsV1(r)), ElementsAre("cpu.cfs_quota_us=-1"));
  EXPECT_THAT(Shown(LimitsV2(r)), ElementsAre("cpu.max=max"));
}

TEST(LimitsTest, AnIdleGroupHasNoWeight) {
  Resources r;
  r.cpu.idle = 1;
  r.cpu.shares = 1024;
  EXPECT_THAT(Shown(LimitsV1(r)), ElementsAre("cpu.idle=1"));
  EXPECT_THAT(Shown(LimitsV2(r)), ElementsAre("cpu.idle=1"));
}

TEST(LimitsTest, NoProcessesIsNoLimit) {
  Resources r;
  r.pids_limit = 0;
  EXPECT_THAT(Shown(LimitsV1(r)), ElementsAre());
  r.pids_limit = -1;
  EXPECT_THAT(Shown(LimitsV2(r)), ElementsAre("pids.max=max"));
}

TEST(LimitsTest, BlockIo) {
  Resources r;
  r.block_io.weight = 1000;
  r.block_io.weight_devices = {
      {.major = 8, .minor = 16, .weight = 10, .leaf_weight = {}}};
  r.block_io.read_bps = {{.major = 8, .minor = 0, .rate = 5}};
  r.block_io.write_iops = {{.major = 8, .minor = 0, .rate = 0}};
  EXPECT_THAT(
      Shown(LimitsV1(r)),
      ElementsAre("blkio.weight=1000|blkio.bfq.weight=1000",
                  "blkio.weight_device=8:16 10|blkio.bfq.weight_device=8:16 10",
                  "blkio.throttle.read_bps_device=8:0 5",
                  "blkio.throttle.write_iops_device=8:0 0"));
  EXPECT_THAT(Shown(LimitsV2(r)),
              ElementsAre("io.bfq.weight=default 1000|io.weight=default 10000",
                          "io.bfq.weight=8:16 10|io.weight=8:16 1",
                          "io.max=8:0 rbps=5", "io.max=8:0 wiops=max"));
}

TEST(LimitsTest, HugepagesAndRdma) {
  Resources r;
  r.hugepages = {{.page_size = "2MB", .limit = 4096}};
  r.rdma["mlx5"] = {.hca_handles = 2, .hca_objects = {}};
  EXPECT_THAT(Shown(LimitsV1(r)),
              ElementsAre("hugetlb.2MB.limit_in_bytes=4096",
                          "hugetlb.2MB.rsvd.limit_in_bytes=4096?",
                          "rdma.max=mlx5 hca_handle=2"));
  EXPECT_THAT(Shown(LimitsV2(r)),
              ElementsAre("hugetlb.2MB.max=4096", "hugetlb.2MB.rsvd.max=4096?",
                          "rdma.max=mlx5 hca_handle=2"));
}

TEST(LimitsTest, UnifiedComesLastAndIsOfV2Alone) {
  Resources r;
  r.pids_limit = 5;
  r.unified = {{"pids.max", "7"}};
  EXPECT_THAT(Shown(LimitsV2(r)), ElementsAre("pids.max=5", "pids.max=7"));
  EXPECT_THAT(LimitsV1(r),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("unified")));
  for (const char* const bad : {"x", ".x", "a/b.c", "cgroup.procs"}) {
    r.unified = {{bad, "7"}};
    EXPECT_THAT(LimitsV2(r), StatusIs(StatusCode::kInvalidArgument)) << bad;
  }
}

TEST(LimitsTest, V2NamesWhatItCannotSay) {
  Resources r;
  r.cpu.realtime_period = 5;
  EXPECT_THAT(LimitsV2(r),
              StatusIs(StatusCode::kUnimplemented, HasSubstr("realtime")));
  r = {};
  r.network.class_id = 1;
  EXPECT_THAT(LimitsV2(r),
              StatusIs(StatusCode::kUnimplemented, HasSubstr("network")));
  EXPECT_THAT(Shown(LimitsV1(r)), ElementsAre("net_cls.classid=1"));
}

TEST(LimitsTest, V2LeavesAdviceOut) {
  Resources r;
  r.pids_limit = 5;
  EXPECT_THAT(LeftOutOnV2(r), IsEmpty());
  r.memory.swappiness = 5;
  r.memory.disable_oom_killer = true;
  EXPECT_THAT(Shown(LimitsV2(r)), ElementsAre("pids.max=5"));
  EXPECT_THAT(LeftOutOnV2(r),
              ElementsAre("memory.swappiness", "memory.disableOOMKiller"));
}

TEST(CpuWeightTest, MeetsTheKnownPoints) {
  EXPECT_EQ(CpuWeight(0), 1u);
  EXPECT_EQ(CpuWeight(2), 1u);
  EXPECT_EQ(CpuWeight(1024), 100u);
  EXPECT_EQ(CpuWeight(262144), 10000u);
  EXPECT_EQ(CpuWeight(1 << 30), 10000u);
}

}  // namespace
}  // namespace berth::oci
