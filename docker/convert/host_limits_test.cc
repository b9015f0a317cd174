// Limits and ports of HostConfig.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "docker/convert/create_fixture.h"

namespace berth::docker {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

class HostLimitsTest : public CreateTest {
 protected:
  state::v1::Resources Limits(const char* host) {
    const auto request = Hosted(host);
    EXPECT_OK(request) << host;
    return request.ok() ? request->container.resources()
                        : state::v1::Resources();
  }
  void ExpectInvalid(const char* host, const char* words) {
    EXPECT_THAT(Hosted(host),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr(words)))
        << host;
  }
};

TEST_F(HostLimitsTest, DiscardsWhatVersionTwoHasNothingFor) {
  auto limits = Limits(
      R"({"MemorySwappiness": 0, "OomKillDisable": true, "PidsLimit": 9})");
  EXPECT_THAT(DiscardV1Limits(limits),
              testing::ElementsAre(HasSubstr("swappiness discarded"),
                                   HasSubstr("OomKillDisable discarded")));
  EXPECT_FALSE(limits.has_memory_swappiness());
  EXPECT_FALSE(limits.oom_kill_disable());
  EXPECT_EQ(limits.pids_limit(), 9);
  EXPECT_THAT(DiscardV1Limits(limits), SizeIs(0));
}

TEST_F(HostLimitsTest, ConvertsEachLimit) {
  const auto limits = Limits(
      R"({"CpuPeriod": 1000, "CpuQuota": 2000, "CpuRealtimePeriod": 3,
          "CpuRealtimeRuntime": 4, "CpuShares": 5, "CpusetCpus": "0-1",
          "CpusetMems": "0", "MemoryReservation": 6291457,
          "MemorySwappiness": 0, "OomKillDisable": true, "OomScoreAdj": -5,
          "PidsLimit": 9})");
  EXPECT_EQ(limits.cpu_period(), 1000);
  EXPECT_EQ(limits.cpu_quota(), 2000);
  EXPECT_EQ(limits.cpu_realtime_period(), 3);
  EXPECT_EQ(limits.cpu_realtime_runtime(), 4);
  EXPECT_EQ(limits.cpu_shares(), 5);
  EXPECT_EQ(limits.cpuset_cpus(), "0-1");
  EXPECT_EQ(limits.cpuset_mems(), "0");
  EXPECT_EQ(limits.memory_reservation(), 6291457);
  EXPECT_EQ(limits.memory_swappiness(), 0u);
  EXPECT_TRUE(limits.has_memory_swappiness());
  EXPECT_TRUE(limits.oom_kill_disable());
  EXPECT_EQ(limits.oom_score_adj(), -5);
  EXPECT_EQ(limits.pids_limit(), 9);
  EXPECT_FALSE(Limits(R"({"MemorySwappiness": -1})").has_memory_swappiness());
  EXPECT_EQ(Limits(R"({"PidsLimit": -1})").pids_limit(), 0);
}

TEST_F(HostLimitsTest, MemoryAndSwapBelongTogether) {
  EXPECT_EQ(Limits(R"({"Memory": 6291456})").memory_swap_limit(), 12582912);
  EXPECT_EQ(
      Limits(R"({"Memory": 6291456, "MemorySwap": -1})").memory_swap_limit(),
      -1);
  EXPECT_EQ(Limits(R"({"Memory": 6291456, "MemorySwap": 6291456})")
                .memory_swap_limit(),
            6291456);
  EXPECT_EQ(Limits(R"({"Memory": 0})").memory_swap_limit(), 0);
  ExpectInvalid(R"({"Memory": 6291455})",
                "Minimum memory limit allowed is 6MB");
  ExpectInvalid(R"({"Memory": -5})", "Minimum memory limit");
  ExpectInvalid(R"({"Memory": 6291457, "MemorySwap": 6291456})",
                "Minimum memoryswap limit should be larger");
  ExpectInvalid(R"({"Memory": 0, "MemorySwap": 5})",
                "You should always set the Memory limit");
  ExpectInvalid(R"({"MemorySwap": 5})", "MemorySwap");
  EXPECT_OK(Hosted(R"({"MemorySwap": -1})"));
}

TEST_F(HostLimitsTest, CpusAreAQuota) {
  const auto limits = Limits(R"({"NanoCpus": 250000000})");
  EXPECT_EQ(limits.cpu_quota(), 25000);
  EXPECT_EQ(limits.cpu_period(), 100000);
  EXPECT_EQ(Limits(R"({"NanoCpus": 0})").cpu_period(), 0);
  ExpectInvalid(R"({"NanoCpus": -1})", "NanoCpus");
  ExpectInvalid(R"({"NanoCpus": 1000000, "CpuQuota": 1000})",
                "Nano CPUs and CPU Period cannot both be set");
  ExpectInvalid(R"({"NanoCpus": 1000000, "CpuPeriod": 1000})", "Conflicting");
}

TEST_F(HostLimitsTest, RefusesWhatIsOutOfRange) {
  ExpectInvalid(R"({"CpuShares": -2})", "CpuShares: must not be negative");
  ExpectInvalid(R"({"MemorySwappiness": 101})",
                "valid memory swappiness range is 0-100");
  ExpectInvalid(R"({"MemorySwappiness": -2})", "Invalid value: -2");
  ExpectInvalid(R"({"OomScoreAdj": 1001})", "range for oom score adj");
  ExpectInvalid(R"({"OomScoreAdj": -1001})", "Invalid value -1001");
  ExpectInvalid(R"({"CpuPeriod": 999})", "CPU cfs period");
  ExpectInvalid(R"({"CpuPeriod": 1000001})", "CPU cfs period");
  ExpectInvalid(R"({"CpuQuota": 999})", "CPU cfs quota");
  ExpectInvalid(R"({"NanoCpus": 1000000000000})", "range of CPUs");
  ExpectInvalid(R"({"Memory": 8388608, "MemoryReservation": 8388609})",
                "memory reservation limit");
  ExpectInvalid(R"({"MemoryReservation": 1})", "Minimum memory reservation");
  ExpectInvalid(R"({"Isolation": "hyperv"})", "invalid isolation (hyperv)");
  ExpectInvalid(R"({"ShmSize": -1})", "SHM size can not be less than 0");
  ExpectInvalid(R"({"Memory": 1.5})", "Memory is not an integer");
  ExpectInvalid(R"({"CpusetCpus": 1})", "CpusetCpus is not a string");
  ExpectInvalid(R"({"OomKillDisable": 1})", "OomKillDisable");
}

TEST_F(HostLimitsTest, ConvertsUlimits) {
  ASSERT_OK_AND_ASSIGN(const CreateRequest request,
                       Hosted(R"({"ShmSize": 5, "Ulimits": [
                 {"Name": "nofile", "Soft": 1, "Hard": 2},
                 {"Name": "core", "Soft": -1, "Hard": -1}]})"));
  EXPECT_EQ(request.sandbox.shm_size(), 5);
  ASSERT_THAT(request.container.rlimits(), SizeIs(2));
  EXPECT_EQ(request.container.rlimits(0).type(), "RLIMIT_NOFILE");
  EXPECT_EQ(request.container.rlimits(0).soft(), 1u);
  EXPECT_EQ(request.container.rlimits(0).hard(), 2u);
  EXPECT_EQ(request.container.rlimits(1).type(), "RLIMIT_CORE");
  EXPECT_EQ(request.container.rlimits(1).hard(), UINT64_MAX);  // no limit
  ExpectInvalid(R"({"Ulimits": [{"Name": "core", "Soft": "1"}]})", "Ulimits");
}

TEST_F(HostLimitsTest, ReadsPorts) {
  const auto ports = [this](const char* bindings) {
    const auto request =
        Hosted((R"({"PortBindings": )" + std::string(bindings) + "}").c_str());
    EXPECT_OK(request) << bindings;
    return request.ok() ? request->sandbox.port_mappings()
                        : state::v1::SandboxConfig().port_mappings();
  };
  const auto plain = ports(R"({"80": [{"HostPort": "81"}]})");
  ASSERT_THAT(plain, SizeIs(1));
  EXPECT_EQ(plain[0].protocol(), state::v1::PROTOCOL_TCP);
  EXPECT_EQ(plain[0].container_port(), 80u);
  EXPECT_EQ(plain[0].host_port(), 81u);
  EXPECT_EQ(ports(R"({"80/SCTP": [{}]})")[0].protocol(),
            state::v1::PROTOCOL_SCTP);
  EXPECT_EQ(ports(R"({"80/tcp": [{"HostIp": "::1"}]})")[0].host_ip(), "::1");
  EXPECT_EQ(ports(R"({"80/tcp": [{"HostPort": "0"}]})")[0].host_port(), 0u);
  EXPECT_THAT(ports(R"({"80/tcp": [{"HostPort": "1"}, {"HostPort": "2"}]})"),
              SizeIs(2));
  // None at all is one that leaves all open, as with dockerd since 23.
  for (const char* none : {R"({"80/tcp": []})", R"({"80/tcp": null})"}) {
    const auto chosen = ports(none);
    ASSERT_THAT(chosen, SizeIs(1)) << none;
    EXPECT_EQ(chosen[0].container_port(), 80u);
    EXPECT_EQ(chosen[0].host_port(), 0u);
  }
}

TEST_F(HostLimitsTest, RefusesPortsThatAreNone) {
  for (const char* port : {"", "0", "65536", "-1", "x", "/tcp", "1/2/3"}) {
    EXPECT_THAT(With("PortBindings", {{port, Json::array()}}),
                StatusIs(StatusCode::kInvalidArgument,
                         HasSubstr("invalid port specification")))
        << port;
    body_["ExposedPorts"] = {{port, Json::object()}};
    EXPECT_THAT(Convert(), StatusIs(StatusCode::kInvalidArgument)) << port;
    body_.erase("ExposedPorts");
  }
  ExpectInvalid(R"({"PortBindings": {"80/icmp": []}})", "Invalid proto: icmp");
  ExpectInvalid(R"({"PortBindings": {"80/tcp": {}}})", "not a list");
  ExpectInvalid(R"({"PortBindings": {"80/tcp": [{"HostPort": "x"}]}})",
                "invalid port specification: \"x\"");
  ExpectInvalid(R"({"PortBindings": {"80/tcp": [{"HostPort": 80}]}})",
                "HostPort is not a string");
  ExpectInvalid(R"({"PortBindings": {"80/tcp": [{"HostPort": "90-80"}]}})",
                "invalid port specification: \"90-80\"");
  ExpectInvalid(R"({"PortBindings": {"80/tcp": [{"HostPort": "80-"}]}})",
                "invalid port specification: \"80-\"");
}

TEST_F(HostLimitsTest, LeavesTheChoiceOfARangeToTheCaller) {
  ASSERT_OK_AND_ASSIGN(const CreateRequest request,
                       Hosted(R"({"PortBindings": {"80/tcp": [{"HostPort": "9"},
                                             {"HostPort": "80-90"}]}})"));
  ASSERT_EQ(request.sandbox.port_mappings_size(), 2);
  EXPECT_EQ(request.sandbox.port_mappings(1).host_port(), 0u);
  EXPECT_EQ(request.port_ranges.at(1), std::pair(80u, 90u));
  EXPECT_EQ(request.port_ranges.count(0), 0u);
}

// What an image says is no error of the request.
TEST_F(HostLimitsTest, PassesAnImagesOddPorts) {
  image_.add_exposed_ports("many");
  image_.add_exposed_ports("90/tcp");
  const auto request = Hosted(R"({"PublishAllPorts": true})");
  ASSERT_OK(request);
  ASSERT_THAT(request->sandbox.port_mappings(), SizeIs(1));
  EXPECT_EQ(request->sandbox.port_mappings(0).container_port(), 90u);
}

}  // namespace
}  // namespace berth::docker
