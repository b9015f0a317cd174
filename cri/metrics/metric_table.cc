#include "cri/metrics/metric_table.h"

#include <utility>

#include "cri/metrics/metric_reader.h"

namespace berth::cri {
namespace {

using sandbox::BlockIoEntry;
using sandbox::CgroupStats;
using sandbox::HugepageStats;
using sandbox::InterfaceStats;
using sandbox::Pressure;
using sandbox::ProcessStats;

using Families = std::vector<Family>;
using Keys = std::vector<const char*>;
using C = const CgroupStats&;
using P = const ProcessStats&;

Family Gauge(const char* name, const char* help, Reader read, Keys keys = {}) {
  return {name,           help, v1::GAUGE, Unit::kWhole, std::move(keys),
          std::move(read)};
}

Family Counter(const char* name, const char* help, Reader read,
               Keys keys = {}) {
  return {name,           help, v1::COUNTER, Unit::kWhole, std::move(keys),
          std::move(read)};
}

// A counter of nanoseconds.
Family Seconds(const char* name, const char* help, Reader read,
               Keys keys = {}) {
  return {
      name,           help, v1::COUNTER, Unit::kNanoseconds, std::move(keys),
      std::move(read)};
}

// A limit; 0 says that there is none.
uint64_t Limit(uint64_t value) {
  return value == sandbox::kNoLimit ? 0 : value;
}

Families CpuTimes() {
  return {
      Seconds("container_cpu_user_seconds_total",
              "CPU time of the user's code, in seconds",
              OfCgroup([](C c) { return c.cpu.user_ns; })),
      Seconds("container_cpu_system_seconds_total",
              "CPU time of the kernel's code, in seconds",
              OfCgroup([](C c) { return c.cpu.kernel_ns; })),
      Seconds("container_cpu_usage_seconds_total", "CPU time, in seconds",
              OfCgroup([](C c) { return c.cpu.total_ns; }, {"total"}), {"cpu"}),
      Counter("container_cpu_cfs_periods_total",
              "Periods of the CPU quota that have passed",
              OfQuota([](C c) { return c.cpu.periods; })),
      Counter("container_cpu_cfs_throttled_periods_total",
              "Periods in which the CPU quota was used up",
              OfQuota([](C c) { return c.cpu.throttled_periods; })),
      Seconds(
          "container_cpu_cfs_throttled_seconds_total",
          "Time of waiting for the next period of the CPU quota, in seconds",
          OfQuota([](C c) { return c.cpu.throttled_ns; })),
  };
}

Families MemoryUse() {
  return {
      Gauge("container_memory_cache", "Bytes of the page cache",
            OfCgroup([](C c) { return c.memory.cache; })),
      Gauge("container_memory_rss", "Bytes of anonymous memory",
            OfCgroup([](C c) { return c.memory.rss; })),
      Gauge("container_memory_kernel_usage",
            "Bytes that the kernel holds for it",
            OfCgroup([](C c) { return c.memory.kernel; })),
      Gauge("container_memory_mapped_file", "Bytes of files that are mapped",
            OfCgroup([](C c) { return c.memory.mapped_file; })),
      Gauge("container_memory_swap", "Bytes in swap",
            OfCgroup([](C c) { return c.memory.swap; })),
      Gauge("container_memory_usage_bytes", "Bytes in use, page cache included",
            OfCgroup([](C c) { return c.memory.usage; })),
      Gauge("container_memory_max_usage_bytes",
            "Most bytes that were ever in use",
            OfCgroup([](C c) { return c.memory.max_usage; })),
      Gauge("container_memory_working_set_bytes",
            "Bytes in use that cannot be dropped at once",
            OfCgroup([](C c) { return c.memory.working_set(); })),
      Gauge("container_memory_total_active_file_bytes",
            "Bytes of the page cache that were used lately",
            OfCgroup([](C c) { return c.memory.active_file; })),
      Gauge("container_memory_total_inactive_file_bytes",
            "Bytes of the page cache that can be dropped at once",
            OfCgroup([](C c) { return c.memory.inactive_file; })),
  };
}

Families MemoryEvents() {
  return {
      Counter("container_memory_failcnt", "How often the memory limit was hit",
              OfCgroup([](C c) { return c.memory.failures; })),
      Counter("container_memory_failures_total",
              "Page faults, by kind and scope", ReadMemoryFailures,
              {"failure_type", "scope"}),
      Counter("container_oom_events_total",
              "Processes that were killed for want of memory",
              OfCgroup([](C c) { return c.memory.oom_kills; })),
      Gauge("container_hugetlb_usage_bytes", "Bytes of huge pages in use",
            OfHugepages(&HugepageStats::usage), {"pagesize"}),
      Gauge("container_hugetlb_max_usage_bytes",
            "Most bytes of huge pages that were ever in use",
            OfHugepages(&HugepageStats::max_usage), {"pagesize"}),
  };
}

Families Network() {
  using I = InterfaceStats;
  const auto row = [](const char* name, const char* help, uint64_t I::*value) {
    return Counter(name, help, OfInterfaces(value), {"interface"});
  };
  return {
      row("container_network_receive_bytes_total", "Bytes received",
          &I::rx_bytes),
      row("container_network_receive_packets_total", "Packets received",
          &I::rx_packets),
      row("container_network_receive_packets_dropped_total",
          "Packets dropped while receiving", &I::rx_dropped),
      row("container_network_receive_errors_total", "Errors while receiving",
          &I::rx_errors),
      row("container_network_transmit_bytes_total", "Bytes sent", &I::tx_bytes),
      row("container_network_transmit_packets_total", "Packets sent",
          &I::tx_packets),
      row("container_network_transmit_packets_dropped_total",
          "Packets dropped while sending", &I::tx_dropped),
      row("container_network_transmit_errors_total", "Errors while sending",
          &I::tx_errors),
  };
}

Families Disk() {
  const auto layer = [](const char* name, const char* help,
                        uint64_t LayerUsage::*value) {
    return Gauge(name, help, OfLayer(value), {"device"});
  };
  const auto device = [](const char* name, const char* help,
                         std::vector<BlockIoEntry> CgroupStats::*entries,
                         const char* operation) {
    return Counter(name, help, OfDevices(entries, operation), {"device"});
  };
  return {
      layer("container_fs_usage_bytes", "Bytes of the writable layer",
            &LayerUsage::bytes),
      layer("container_fs_limit_bytes",
            "Bytes of the file system that the writable layer is on",
            &LayerUsage::limit),
      layer("container_fs_inodes_total", "Inodes of that file system",
            &LayerUsage::inodes),
      layer("container_fs_inodes_free", "Free inodes of that file system",
            &LayerUsage::inodes_free),
      device("container_fs_reads_bytes_total", "Bytes read",
             &CgroupStats::io_bytes, "Read"),
      device("container_fs_reads_total", "Reads", &CgroupStats::io_operations,
             "Read"),
      device("container_fs_writes_bytes_total", "Bytes written",
             &CgroupStats::io_bytes, "Write"),
      device("container_fs_writes_total", "Writes", &CgroupStats::io_operations,
             "Write"),
      Counter("container_blkio_device_usage_total",
              "Bytes of input and output, by device and operation",
              ReadDeviceUsage, {"device", "major", "minor", "operation"}),
  };
}

Families Processes() {
  return {
      Gauge("container_processes", "Processes",
            OfProcesses([](P p) { return p.processes; })),
      Gauge("container_file_descriptors", "Open file descriptors",
            OfProcesses([](P p) { return p.descriptors; })),
      Gauge("container_sockets", "Open sockets",
            OfProcesses([](P p) { return p.sockets; })),
      Gauge("container_ulimits_soft", "Soft limits of the first process",
            OfProcesses([](P p) { return p.descriptor_limit; },
                        {"max_open_files"}),
            {"ulimit"}),
      Gauge("container_threads", "Threads",
            OfCgroup([](C c) { return c.pids; })),
      Gauge("container_threads_max", "Most threads there may be; 0: any number",
            OfCgroup([](C c) { return Limit(c.pids_limit); })),
  };
}

Families Limits() {
  return {
      Gauge("container_spec_cpu_period",
            "Period of the CPU quota, in microseconds",
            OfCgroup([](C c) { return c.cpu.period_us; })),
      Gauge("container_spec_cpu_quota", "CPU time of a period, in microseconds",
            OfQuota([](C c) { return c.cpu.quota_us; })),
      Gauge("container_spec_cpu_shares", "Share of the CPU", ReadShares),
      Gauge("container_spec_memory_limit_bytes", "Memory limit; 0: none",
            OfCgroup([](C c) { return Limit(c.memory.limit); })),
      Gauge("container_spec_memory_reservation_limit_bytes",
            "Memory that is reserved; 0: none",
            OfCgroup([](C c) { return Limit(c.memory.reservation); })),
      Gauge("container_spec_memory_swap_limit_bytes", "Swap limit; 0: none",
            OfCgroup([](C c) { return Limit(c.memory.swap_limit); })),
  };
}

Families PressureStalls() {
  const auto cpu = [](C c) -> const auto& { return c.cpu.pressure; };
  const auto memory = [](C c) -> const auto& { return c.memory.pressure; };
  const auto io = [](C c) -> const auto& { return c.io_pressure; };
  return {
      Seconds("container_pressure_cpu_stalled_seconds_total",
              "Time in which all tasks waited for CPU, in seconds",
              OfPressure(cpu, &Pressure::full)),
      Seconds("container_pressure_cpu_waiting_seconds_total",
              "Time in which a task waited for CPU, in seconds",
              OfPressure(cpu, &Pressure::some)),
      Seconds("container_pressure_memory_stalled_seconds_total",
              "Time in which all tasks waited for memory, in seconds",
              OfPressure(memory, &Pressure::full)),
      Seconds("container_pressure_memory_waiting_seconds_total",
              "Time in which a task waited for memory, in seconds",
              OfPressure(memory, &Pressure::some)),
      Seconds("container_pressure_io_stalled_seconds_total",
              "Time in which all tasks waited for input and output, in seconds",
              OfPressure(io, &Pressure::full)),
      Seconds("container_pressure_io_waiting_seconds_total",
              "Time in which a task waited for input and output, in seconds",
              OfPressure(io, &Pressure::some)),
  };
}

Family Moment(const char* name, const char* help,
              UnixNanos MetricSource::*value) {
  const Reader read = [value](const MetricSource& source, Rows& rows) {
    if (source.*value > 0) rows.Add(static_cast<uint64_t>(source.*value));
  };
  return {name, help, v1::GAUGE, Unit::kNanoseconds, {}, read};
}

Families Times() {
  return {
      Moment("container_last_seen", "When it was last seen, since 1970",
             &MetricSource::now),
      Moment("container_start_time_seconds", "When it was started, since 1970",
             &MetricSource::started_at),
  };
}

const Families& Table() {
  static const Families* const table = [] {
    auto* const all = new Families;
    for (Families part :
         {CpuTimes(), MemoryUse(), MemoryEvents(), Network(), Disk(),
          Processes(), Limits(), PressureStalls(), Times()}) {
      for (Family& family : part) all->push_back(std::move(family));
    }
    return all;
  }();
  return *table;
}

}  // namespace

std::vector<v1::MetricDescriptor> MetricDescriptors() {
  std::vector<v1::MetricDescriptor> descriptors;
  for (const Family& family : Table()) {
    v1::MetricDescriptor& descriptor = descriptors.emplace_back();
    descriptor.set_name(family.name);
    descriptor.set_help(family.help);
    for (const char* const key : kCommonKeys) descriptor.add_label_keys(key);
    for (const char* const key : family.keys) descriptor.add_label_keys(key);
  }
  return descriptors;
}

google::protobuf::RepeatedPtrField<v1::Metric> MetricsOf(
    const MetricSource& source) {
  google::protobuf::RepeatedPtrField<v1::Metric> metrics;
  Rows rows(source, metrics);
  for (const Family& family : Table()) rows.Read(family);
  return metrics;
}

}  // namespace berth::cri
