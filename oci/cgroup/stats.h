// What a cgroup has used: one form for v1 and v2.
#ifndef OCI_CGROUP_STATS_H_
#define OCI_CGROUP_STATS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace berth::oci {

// Limits that are "no limit" read as this value.
inline constexpr uint64_t kNoLimit = UINT64_MAX;

// Pressure stall information: for how long work had to wait for a resource.
// Source: kernel Documentation/accounting/psi.rst.
struct PressureLine {
  // Of the last 10, 60 and 300 seconds, in percent.
  double average_10 = 0;
  double average_60 = 0;
  double average_300 = 0;
  uint64_t total_ns = 0;

  bool operator==(const PressureLine&) const = default;
};

struct Pressure {
  PressureLine some;  // at least one task waited
  PressureLine full;  // all of them did at once
};

struct CpuStats {
  uint64_t total_ns = 0;
  uint64_t user_ns = 0;
  uint64_t kernel_ns = 0;
  std::vector<uint64_t> per_cpu_ns;  // v1 only
  uint64_t periods = 0;
  uint64_t throttled_periods = 0;
  uint64_t throttled_ns = 0;
  uint64_t quota_us = 0;  // a period; 0: no limit
  uint64_t period_us = 0;
  uint64_t shares = 0;               // v1
  uint64_t weight = 0;               // v2
  std::optional<Pressure> pressure;  // where the kernel counts it; v2 only
};

struct MemoryStats {
  uint64_t usage = 0;  // bytes, page cache included
  uint64_t max_usage = 0;
  uint64_t limit = kNoLimit;
  uint64_t failures = 0;  // v1: failcnt; v2: memory.events "max"
  uint64_t rss = 0;       // anonymous
  uint64_t cache = 0;
  uint64_t active_file = 0;
  uint64_t inactive_file = 0;
  uint64_t mapped_file = 0;
  uint64_t kernel = 0;       // bytes that the kernel keeps for it
  uint64_t reservation = 0;  // v1: the soft limit; v2: memory.low
  uint64_t swap = 0;         // bytes in swap
  uint64_t swap_limit = 0;
  bool swap_with_memory = false;  // v1: the limit is of both together
  uint64_t page_faults = 0;
  uint64_t major_page_faults = 0;
  uint64_t oom_kills = 0;
  std::optional<Pressure> pressure;
  std::map<std::string, uint64_t> raw;  // memory.stat as it is

  // Usage less what can be dropped at once: what kubelet evicts by.
  uint64_t working_set() const {
    return usage > inactive_file ? usage - inactive_file : 0;
  }
};

struct BlockIoEntry {
  uint64_t major = 0;
  uint64_t minor = 0;
  std::string op;  // "Read", "Write"
  uint64_t value = 0;
};

struct HugepageStats {
  uint64_t usage = 0;
  uint64_t max_usage = 0;
  uint64_t failures = 0;
};

struct CgroupStats {
  CpuStats cpu;
  MemoryStats memory;
  uint64_t pids = 0;
  uint64_t pids_limit = kNoLimit;
  std::vector<BlockIoEntry> io_bytes;
  std::vector<BlockIoEntry> io_operations;
  std::optional<Pressure> io_pressure;
  std::map<std::string, HugepageStats> hugepages;  // by page size, "2MB"
};

}  // namespace berth::oci

#endif  // OCI_CGROUP_STATS_H_
