#include "cri/metrics/metric_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

namespace berth::cri {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Not;
using ::testing::SizeIs;

// Those that a conformance test of the interface asks for.
constexpr const char* kNames[] = {"blkio_device_usage_total",
                                  "cpu_cfs_periods_total",
                                  "cpu_cfs_throttled_periods_total",
                                  "cpu_cfs_throttled_seconds_total",
                                  "cpu_system_seconds_total",
                                  "cpu_usage_seconds_total",
                                  "cpu_user_seconds_total",
                                  "file_descriptors",
                                  "fs_inodes_free",
                                  "fs_inodes_total",
                                  "fs_limit_bytes",
                                  "fs_reads_bytes_total",
                                  "fs_reads_total",
                                  "fs_usage_bytes",
                                  "fs_writes_bytes_total",
                                  "fs_writes_total",
                                  "hugetlb_max_usage_bytes",
                                  "hugetlb_usage_bytes",
                                  "last_seen",
                                  "memory_cache",
                                  "memory_failcnt",
                                  "memory_failures_total",
                                  "memory_kernel_usage",
                                  "memory_mapped_file",
                                  "memory_max_usage_bytes",
                                  "memory_rss",
                                  "memory_swap",
                                  "memory_usage_bytes",
                                  "memory_working_set_bytes",
                                  "network_receive_bytes_total",
                                  "network_receive_errors_total",
                                  "network_receive_packets_dropped_total",
                                  "network_receive_packets_total",
                                  "network_transmit_bytes_total",
                                  "network_transmit_errors_total",
                                  "network_transmit_packets_dropped_total",
                                  "network_transmit_packets_total",
                                  "oom_events_total",
                                  "pressure_cpu_stalled_seconds_total",
                                  "pressure_cpu_waiting_seconds_total",
                                  "pressure_io_stalled_seconds_total",
                                  "pressure_io_waiting_seconds_total",
                                  "pressure_memory_stalled_seconds_total",
                                  "pressure_memory_waiting_seconds_total",
                                  "processes",
                                  "sockets",
                                  "spec_cpu_period",
                                  "spec_cpu_quota",
                                  "spec_cpu_shares",
                                  "spec_memory_limit_bytes",
                                  "spec_memory_reservation_limit_bytes",
                                  "spec_memory_swap_limit_bytes",
                                  "start_time_seconds",
                                  "threads",
                                  "threads_max",
                                  "ulimits_soft"};

// A source that has everything.
MetricSource Full() {
  MetricSource source;
  source.container = "c";
  source.pod = "p";
  source.namespace_of_pod = "n";
  source.image = "example.com/i:1";
  source.id = "/pods/p/1234";
  source.name = "1234";
  source.now = 2'500'000'000;
  source.started_at = 1'000'000'000;
  sandbox::CgroupStats cgroup;
  cgroup.cpu.total_ns = 1'700'000'000;
  cgroup.cpu.quota_us = 20000;
  cgroup.cpu.period_us = 100000;
  cgroup.cpu.weight = 100;
  cgroup.cpu.pressure = sandbox::Pressure();
  cgroup.cpu.pressure->full.total_ns = 3'000'000'000;
  cgroup.cpu.pressure->some.total_ns = 4'000'000'000;
  cgroup.memory.limit = 64 << 20;
  cgroup.memory.page_faults = 9;
  cgroup.memory.raw = {{"pgfault", 5}};
  cgroup.memory.pressure = sandbox::Pressure();
  cgroup.io_pressure = sandbox::Pressure();
  cgroup.io_bytes = {
      {0, 4095, "Read", 7}, {0, 4095, "Write", 8}, {0, 4094, "Read", 9}};
  cgroup.io_operations = {{0, 4095, "Read", 1}, {0, 4095, "Write", 2}};
  cgroup.hugepages["2MB"].usage = 2 << 20;
  cgroup.hugepages["1GB"] = {};
  source.cgroup = cgroup;
  source.processes = sandbox::ProcessStats{.processes = 2,
                                           .descriptors = 11,
                                           .sockets = 3,
                                           .descriptor_limit = 1024};
  source.interfaces.resize(2);
  source.interfaces[0].name = "eth0";
  source.interfaces[0].rx_bytes = 5;
  source.interfaces[1].name = "net1";
  source.layer.emplace().device = "/dev/sda";
  return source;
}

std::vector<v1::Metric> Named(const MetricSource& source,
                              const std::string& name) {
  std::vector<v1::Metric> found;
  for (const v1::Metric& metric : MetricsOf(source)) {
    if (metric.name() == "container_" + name) found.push_back(metric);
  }
  return found;
}

std::vector<std::string> LabelsOf(const v1::Metric& metric) {
  return {metric.label_values().begin(), metric.label_values().end()};
}

uint64_t ValueOf(const MetricSource& source, const std::string& name) {
  const std::vector<v1::Metric> found = Named(source, name);
  EXPECT_THAT(found, SizeIs(1)) << name;
  return found.empty() ? 0 : found[0].value().value();
}

TEST(MetricTableTest, DescribesAndFillsEveryName) {
  std::set<std::string> described, filled;
  for (const v1::MetricDescriptor& one : MetricDescriptors()) {
    EXPECT_TRUE(described.insert(one.name()).second) << one.name();
    EXPECT_NE(one.help(), "");
  }
  for (const v1::Metric& metric : MetricsOf(Full())) {
    filled.insert(metric.name());
  }
  for (const char* const name : kNames) {
    EXPECT_THAT(described, Contains("container_" + std::string(name)));
    EXPECT_THAT(filled, Contains("container_" + std::string(name)));
  }
  EXPECT_EQ(described, filled);
}

// Prometheus refuses all of an answer in which two series are alike, or have
// other labels than was said.
TEST(MetricTableTest, LabelsFitTheirDescriptorsAndTellMetricsApart) {
  std::map<std::string, std::vector<std::string>> keys;
  for (const v1::MetricDescriptor& one : MetricDescriptors()) {
    keys[one.name()] = {one.label_keys().begin(), one.label_keys().end()};
    EXPECT_EQ(
        std::set<std::string>(one.label_keys().begin(), one.label_keys().end())
            .size(),
        keys[one.name()].size());
  }
  std::set<std::pair<std::string, std::vector<std::string>>> series;
  for (const v1::Metric& metric : MetricsOf(Full())) {
    const auto labels = LabelsOf(metric);
    EXPECT_THAT(labels, SizeIs(keys[metric.name()].size())) << metric.name();
    EXPECT_TRUE(series.emplace(metric.name(), labels).second)
        << metric.DebugString();
  }
}

TEST(MetricTableTest, EveryMetricSaysWhoseItIs) {
  for (const v1::MetricDescriptor& one : MetricDescriptors()) {
    const std::vector<std::string> keys(one.label_keys().begin(),
                                        one.label_keys().begin() + 6);
    EXPECT_THAT(keys, ElementsAre("container", "pod", "namespace", "image",
                                  "id", "name"));
  }
  const auto rows = Named(Full(), "network_receive_bytes_total");
  ASSERT_THAT(rows, SizeIs(2));
  EXPECT_THAT(LabelsOf(rows[0]), ElementsAre("c", "p", "n", "example.com/i:1",
                                             "/pods/p/1234", "1234", "eth0"));
  EXPECT_EQ(rows[0].value().value(), 5u);
}

TEST(MetricTableTest, TellsSecondsAsFractionsAndRounded) {
  const auto cpu = Named(Full(), "cpu_usage_seconds_total");
  ASSERT_THAT(cpu, SizeIs(1));
  EXPECT_DOUBLE_EQ(cpu[0].double_value().value(), 1.7);
  EXPECT_EQ(cpu[0].value().value(), 2u);
  EXPECT_EQ(cpu[0].label_values(6), "total");
  EXPECT_EQ(cpu[0].metric_type(), v1::COUNTER);
  const auto seen = Named(Full(), "last_seen");
  ASSERT_THAT(seen, SizeIs(1));
  EXPECT_DOUBLE_EQ(seen[0].double_value().value(), 2.5);
  const auto bytes = Named(Full(), "memory_usage_bytes");
  ASSERT_THAT(bytes, SizeIs(1));
  EXPECT_FALSE(bytes[0].has_double_value());
}

TEST(MetricTableTest, LeavesOutWhatIsNotThere) {
  MetricSource source = Full();
  source.cgroup->cpu.quota_us = 0;
  source.cgroup->cpu.pressure.reset();
  source.cgroup->hugepages.clear();
  source.interfaces.clear();
  source.processes->descriptor_limit.reset();
  source.layer.reset();
  std::set<std::string> filled;
  for (const v1::Metric& metric : MetricsOf(source)) {
    filled.insert(metric.name());
  }
  EXPECT_THAT(
      filled,
      AllOf(Not(Contains("container_spec_cpu_quota")),
            Not(Contains("container_cpu_cfs_periods_total")),
            Not(Contains("container_pressure_cpu_waiting_seconds_total")),
            Contains("container_pressure_io_waiting_seconds_total"),
            Not(Contains("container_hugetlb_usage_bytes")),
            Not(Contains("container_network_receive_bytes_total")),
            Not(Contains("container_ulimits_soft")),
            Contains("container_sockets"),
            Not(Contains("container_fs_usage_bytes"))));
  source.cgroup.reset();
  source.processes.reset();
  EXPECT_THAT(MetricsOf(source), SizeIs(2));  // when
}

TEST(MetricTableTest, TellsWhichTasksWaited) {
  EXPECT_EQ(ValueOf(Full(), "pressure_cpu_stalled_seconds_total"), 3u);
  EXPECT_EQ(ValueOf(Full(), "pressure_cpu_waiting_seconds_total"), 4u);
}

TEST(MetricTableTest, CountsThePageFaultsOfTheCgroupAlone) {
  std::map<std::string, uint64_t> by_labels;
  for (const v1::Metric& one : Named(Full(), "memory_failures_total")) {
    by_labels[one.label_values(6) + " " + one.label_values(7)] =
        one.value().value();
  }
  EXPECT_EQ(by_labels["pgfault container"], 5u);
  EXPECT_EQ(by_labels["pgfault hierarchy"], 9u);
  EXPECT_THAT(by_labels, SizeIs(4));
}

TEST(MetricTableTest, TellsSharesInEitherVersion) {
  MetricSource source = Full();
  EXPECT_EQ(ValueOf(source, "spec_cpu_shares"), 1024u);  // of weight 100
  source.cgroup->cpu.weight = 1;
  EXPECT_EQ(ValueOf(source, "spec_cpu_shares"), 2u);
  source.cpu_shares = 512;
  EXPECT_EQ(ValueOf(source, "spec_cpu_shares"), 512u);
  source.cpu_shares = 0;
  source.cgroup->cpu.weight = 0;
  source.cgroup->cpu.shares = 700;
  EXPECT_EQ(ValueOf(source, "spec_cpu_shares"), 700u);
}

TEST(MetricTableTest, NoLimitIsZero) {
  MetricSource source = Full();
  EXPECT_EQ(ValueOf(source, "spec_memory_limit_bytes"), 64u << 20);
  source.cgroup->memory.limit = sandbox::kNoLimit;
  EXPECT_EQ(ValueOf(source, "spec_memory_limit_bytes"), 0u);
  EXPECT_EQ(ValueOf(source, "threads_max"), 0u);
}

}  // namespace
}  // namespace berth::cri
