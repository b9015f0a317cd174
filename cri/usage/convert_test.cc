#include "cri/usage/convert.h"

#include <gtest/gtest.h>

namespace berth::cri {
namespace {

using sandbox::kNoLimit;
using sandbox::Pressure;
using sandbox::UsageStats;

TEST(ConvertUsageTest, TellsPressureWhereTheKernelCountsIt) {
  UsageStats usage;
  usage.time = 5;
  EXPECT_FALSE(ToCpu(usage).has_psi());
  EXPECT_FALSE(ToMemory(usage).has_psi());
  EXPECT_FALSE(ToIo(usage).has_value());
  usage.cgroup.cpu.pressure = Pressure{{1.5, 2, 3, 4000}, {0, 0, 0, 7000}};
  usage.cgroup.memory.pressure = Pressure();
  usage.cgroup.io_pressure = Pressure{{0, 0, 9, 0}, {}};
  const v1::CpuUsage cpu = ToCpu(usage);
  EXPECT_EQ(cpu.psi().some().total(), 4000u);
  EXPECT_DOUBLE_EQ(cpu.psi().some().avg10(), 1.5);
  EXPECT_EQ(cpu.psi().full().total(), 7000u);
  EXPECT_TRUE(ToMemory(usage).has_psi());
  ASSERT_TRUE(ToIo(usage).has_value());
  EXPECT_DOUBLE_EQ(ToIo(usage)->psi().some().avg300(), 9);
  EXPECT_EQ(ToIo(usage)->timestamp(), 5);
}

TEST(ConvertUsageTest, TellsARateOnceThereIsOne) {
  UsageStats usage;
  EXPECT_FALSE(ToCpu(usage).has_usage_nano_cores());
  usage.nano_cores = 0;  // an idle container
  EXPECT_TRUE(ToCpu(usage).has_usage_nano_cores());
}

TEST(ConvertUsageTest, MemoryThatIsLeftIsOfTheLimitInForce) {
  UsageStats usage;
  usage.cgroup.memory.usage = 30;
  usage.cgroup.memory.inactive_file = 10;
  usage.cgroup.memory.limit = kNoLimit;
  EXPECT_FALSE(ToMemory(usage).has_available_bytes());
  usage.cgroup.memory.limit = 50;
  EXPECT_EQ(ToMemory(usage).available_bytes().value(), 30u);
  usage.cgroup.memory.limit = 15;
  EXPECT_EQ(ToMemory(usage).available_bytes().value(), 0u);
}

TEST(ConvertUsageTest, SwapThatIsLeftInEitherVersion) {
  UsageStats usage;
  usage.cgroup.memory.swap = 10;
  usage.cgroup.memory.swap_limit = kNoLimit;
  EXPECT_FALSE(ToSwap(usage).has_swap_available_bytes());
  usage.cgroup.memory.swap_limit = 40;
  EXPECT_EQ(ToSwap(usage).swap_available_bytes().value(), 30u);
  EXPECT_EQ(ToSwap(usage).swap_usage_bytes().value(), 10u);
  // Together: 100 of memory, so 20 of swap.
  usage.cgroup.memory.swap_with_memory = true;
  usage.cgroup.memory.swap_limit = 120;
  usage.cgroup.memory.limit = 100;
  EXPECT_EQ(ToSwap(usage).swap_available_bytes().value(), 10u);
  usage.cgroup.memory.limit = kNoLimit;
  usage.cgroup.memory.usage = 60;
  EXPECT_EQ(ToSwap(usage).swap_available_bytes().value(), 50u);
}

}  // namespace
}  // namespace berth::cri
