#include "daemon/host_facts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing/temp_dir.h"

namespace berth::daemon {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kAll[] = "Name:\tx\nCapEff:\t000001ffffffffff\n";

TEST(HostLacksTest, IsSilentAboutACompleteHost) {
  TempDir proc, cgroup;
  proc.MakeDirectory("self");
  proc.Write("self/status", kAll);
  cgroup.Write("cgroup.controllers", "cpu memory pids");
  EXPECT_THAT(HostLacks(proc.path(), cgroup.path()), IsEmpty());
}

TEST(HostLacksTest, TellsHybridFromVersionOne) {
  TempDir proc, cgroup;
  proc.MakeDirectory("self");
  proc.Write("self/status", kAll);
  for (const char* name : {"memory", "cpu", "devices"}) {
    cgroup.MakeDirectory(name);
  }
  EXPECT_THAT(HostLacks(proc.path(), cgroup.path()),
              Contains(HasSubstr("cgroups are version 1")));
  EXPECT_THAT(HostLacks(proc.path(), cgroup.path()),
              Contains(HasSubstr("no cgroup controller pids")));
  cgroup.MakeDirectory("unified");
  cgroup.Write("unified/cgroup.controllers", "");
  EXPECT_THAT(HostLacks(proc.path(), cgroup.path()),
              Contains(HasSubstr("hybrid")));
}

TEST(HostLacksTest, MissesTheCapability) {
  TempDir proc, cgroup;
  proc.MakeDirectory("self");
  // All but bit 24.
  proc.Write("self/status", "CapEff:\t000001fffeffffff\n");
  cgroup.Write("cgroup.controllers", "");
  EXPECT_THAT(HostLacks(proc.path(), cgroup.path()),
              Contains(HasSubstr("CAP_SYS_RESOURCE")));
}

}  // namespace
}  // namespace berth::daemon
