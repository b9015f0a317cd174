#include "shim/wire/metrics.h"

#include <algorithm>

#include "api/shim/cgroup1/stats/metrics.pb.h"
#include "api/shim/cgroup2/stats/metrics.pb.h"
#include "base/strings.h"

namespace berth::shim {
namespace {

namespace v1 = io::containerd::cgroups::v1;
namespace v2 = io::containerd::cgroups::v2;

constexpr char kV1[] = "io.containerd.cgroups.v1.Metrics";
constexpr char kV2[] = "io.containerd.cgroups.v2.Metrics";

// The kernel's "no limit" of v1: the largest page-aligned int64.
constexpr uint64_t kV1NoLimit = 0x7ffffffffffff000;

// 0 stands for "no limit" in TaskStats.
uint64_t LimitOf(uint64_t wire) { return wire >= kV1NoLimit ? 0 : wire; }

uint64_t Less(uint64_t a, uint64_t b) { return a > b ? a - b : 0; }

void SetCpu(const oci::CpuStats& stats, v1::CPUStat& cpu) {
  v1::CPUUsage& usage = *cpu.mutable_usage();
  usage.set_total(stats.total_ns);
  usage.set_user(stats.user_ns);
  usage.set_kernel(stats.kernel_ns);
  for (const uint64_t each : stats.per_cpu_ns) usage.add_per_cpu(each);
  v1::Throttle& throttling = *cpu.mutable_throttling();
  throttling.set_periods(stats.periods);
  throttling.set_throttled_periods(stats.throttled_periods);
  throttling.set_throttled_time(stats.throttled_ns);
}

void SetMemory(const oci::MemoryStats& stats, v1::Metrics& metrics) {
  v1::MemoryStat& memory = *metrics.mutable_memory();
  memory.set_cache(stats.cache);
  memory.set_rss(stats.rss);
  memory.set_inactive_file(stats.inactive_file);
  memory.set_total_inactive_file(stats.inactive_file);
  memory.set_total_cache(stats.cache);
  memory.set_total_rss(stats.rss);
  memory.set_pg_fault(stats.page_faults);
  memory.set_total_pg_fault(stats.page_faults);
  memory.set_pg_maj_fault(stats.major_page_faults);
  memory.set_total_pg_maj_fault(stats.major_page_faults);
  memory.mutable_usage()->set_usage(stats.usage);
  memory.mutable_usage()->set_max(stats.max_usage);
  memory.mutable_usage()->set_limit(std::min(stats.limit, kV1NoLimit));
  memory.mutable_usage()->set_failcnt(stats.failures);
  memory.mutable_swap()->set_usage(stats.swap + stats.usage);
  memory.mutable_swap()->set_limit(std::min(stats.swap_limit, kV1NoLimit));
  metrics.mutable_memory_oom_control()->set_oom_kill(stats.oom_kills);
}

void AddBlockIo(const std::vector<oci::BlockIoEntry>& entries,
                google::protobuf::RepeatedPtrField<v1::BlkIOEntry>& target) {
  for (const oci::BlockIoEntry& entry : entries) {
    v1::BlkIOEntry& added = *target.Add();
    added.set_op(entry.op);
    added.set_major(entry.major);
    added.set_minor(entry.minor);
    added.set_value(entry.value);
  }
}

TaskStats FromV1(const v1::Metrics& metrics) {
  TaskStats stats;
  stats.cpu_usage_ns = metrics.cpu().usage().total();
  stats.cpu_user_ns = metrics.cpu().usage().user();
  stats.cpu_system_ns = metrics.cpu().usage().kernel();
  const v1::MemoryStat& memory = metrics.memory();
  stats.memory_usage = memory.usage().usage();
  stats.memory_working_set =
      Less(memory.usage().usage(), memory.total_inactive_file());
  stats.memory_rss = memory.total_rss();
  stats.memory_limit = LimitOf(memory.usage().limit());
  stats.page_faults = memory.total_pg_fault();
  stats.major_page_faults = memory.total_pg_maj_fault();
  // v1 counts memory and swap together.
  stats.swap_usage = Less(memory.swap().usage(), memory.usage().usage());
  stats.swap_limit = LimitOf(memory.swap().limit());
  stats.oom_kills = metrics.memory_oom_control().oom_kill();
  stats.pids = metrics.pids().current();
  stats.pids_limit = LimitOf(metrics.pids().limit());
  return stats;
}

TaskStats FromV2(const v2::Metrics& metrics) {
  TaskStats stats;
  stats.cpu_usage_ns = metrics.cpu().usage_usec() * 1000;
  stats.cpu_user_ns = metrics.cpu().user_usec() * 1000;
  stats.cpu_system_ns = metrics.cpu().system_usec() * 1000;
  const v2::MemoryStat& memory = metrics.memory();
  stats.memory_usage = memory.usage();
  stats.memory_working_set = Less(memory.usage(), memory.inactive_file());
  stats.memory_rss = memory.anon();
  stats.memory_limit = LimitOf(memory.usage_limit());
  stats.page_faults = memory.pgfault();
  stats.major_page_faults = memory.pgmajfault();
  stats.swap_usage = memory.swap_usage();
  stats.swap_limit = LimitOf(memory.swap_limit());
  stats.oom_kills = metrics.memory_events().oom_kill();
  stats.pids = metrics.pids().current();
  stats.pids_limit = LimitOf(metrics.pids().limit());
  return stats;
}

}  // namespace

wire::Any ToMetrics(const oci::CgroupStats& stats) {
  v1::Metrics metrics;
  SetCpu(stats.cpu, *metrics.mutable_cpu());
  SetMemory(stats.memory, metrics);
  metrics.mutable_pids()->set_current(stats.pids);
  metrics.mutable_pids()->set_limit(
      stats.pids_limit == oci::kNoLimit ? 0 : stats.pids_limit);
  v1::BlkIOStat& block = *metrics.mutable_blkio();
  AddBlockIo(stats.io_bytes, *block.mutable_io_service_bytes_recursive());
  AddBlockIo(stats.io_operations, *block.mutable_io_serviced_recursive());
  for (const auto& [size, pages] : stats.hugepages) {
    v1::HugetlbStat& added = *metrics.add_hugetlb();
    added.set_pagesize(size);
    added.set_usage(pages.usage);
    added.set_max(pages.max_usage);
    added.set_failcnt(pages.failures);
  }
  wire::Any any;
  any.set_type_url(kV1);
  any.set_value(metrics.SerializeAsString());
  return any;
}

StatusOr<TaskStats> FromMetrics(const wire::Any& any, UnixNanos at) {
  StatusOr<TaskStats> stats =
      DataLoss("statistics of type " + Quoted(any.type_url()));
  if (EndsWith(any.type_url(), kV1)) {
    v1::Metrics metrics;
    if (metrics.ParseFromString(any.value())) stats = FromV1(metrics);
  } else if (EndsWith(any.type_url(), kV2)) {
    v2::Metrics metrics;
    if (metrics.ParseFromString(any.value())) stats = FromV2(metrics);
  }
  if (stats.ok()) stats->at = at;
  return stats;
}

}  // namespace berth::shim
