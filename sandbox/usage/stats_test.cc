#include "sandbox/usage/stats.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing/status_matchers.h"

namespace berth::sandbox {
namespace {

using ::testing::IsEmpty;

constexpr char kNetDev[] =
    R"(Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     100       1    0    0    0     0          0         0      100       1    0    0    0     0       0          0
  net1:       5       1    0    0    0     0          0         0        6       1    0    0    0     0       0          0
  eth0: 1296 16 2 3 0 0 0 0 807 11 4 5 0 0 0 0
)";

TEST(ParseNetDevTest, PutsEth0FirstAndLeavesOutLoopback) {
  const std::vector<InterfaceStats> interfaces = ParseNetDev(kNetDev);
  ASSERT_EQ(interfaces.size(), 2u);
  EXPECT_EQ(interfaces[0], (InterfaceStats{.name = "eth0",
                                           .rx_bytes = 1296,
                                           .rx_packets = 16,
                                           .rx_errors = 2,
                                           .rx_dropped = 3,
                                           .tx_bytes = 807,
                                           .tx_packets = 11,
                                           .tx_errors = 4,
                                           .tx_dropped = 5}));
  EXPECT_EQ(interfaces[1].name, "net1");
}

TEST(ParseNetDevTest, DropsWhatItCannotRead) {
  EXPECT_THAT(ParseNetDev(""), IsEmpty());
  EXPECT_THAT(ParseNetDev("eth0: 1 2 3\nno colon"), IsEmpty());
}

StatsReader Reader() {
  StatusOr<oci::CgroupHost> host = oci::CgroupHost::Detect();
  return StatsReader(host.ok() ? *std::move(host) : oci::CgroupHost());
}

TEST(StatsReaderTest, RefusesAContainerThatDoesNotRun) {
  StatsReader reader = Reader();
  ContainerRecord record;
  record.set_phase(state::v1::CONTAINER_PHASE_EXITED);
  EXPECT_THAT(reader.Container(record).status(),
              StatusIs(StatusCode::kFailedPrecondition));
}

TEST(StatsReaderTest, AddsNothingUpForAPodWithoutContainers) {
  StatsReader reader = Reader();
  const auto usage = reader.Sandbox(SandboxRecord(), {});
  ASSERT_OK(usage);
  EXPECT_EQ(usage->cgroup.pids, 0u);
  EXPECT_GT(usage->time, 0);
}

TEST(StatsReaderTest, HasNoInterfacesForTheHostsNetwork) {
  const StatsReader reader = Reader();
  const auto interfaces = reader.Interfaces(SandboxRecord());
  ASSERT_OK(interfaces);
  EXPECT_THAT(*interfaces, IsEmpty());
}

TEST(StatsReaderTest, NamesANamespaceThatIsGone) {
  const StatsReader reader = Reader();
  SandboxRecord record;
  record.mutable_namespaces()->set_network("/no/such/netns");
  EXPECT_THAT(reader.Interfaces(record).status(),
              StatusIs(StatusCode::kNotFound));
}

}  // namespace
}  // namespace berth::sandbox
