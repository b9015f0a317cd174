#ifndef SANDBOX_USAGE_STATS_H_
#define SANDBOX_USAGE_STATS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/status.h"
#include "oci/cgroup/cgroup.h"
#include "oci/cgroup/cgroup_host.h"
#include "oci/cgroup/stats.h"
#include "sandbox/inventory.h"
#include "sandbox/usage/file_system.h"
#include "sandbox/usage/processes.h"

namespace berth::sandbox {

// The doors read what a cgroup tells, and nothing else of oci/.
using oci::BlockIoEntry;
using oci::CgroupStats;
using oci::HugepageStats;
using oci::kNoLimit;
using oci::Pressure;
using oci::PressureLine;

// Usage of one cgroup, at one moment.
struct UsageStats {
  UnixNanos time = 0;
  CgroupStats cgroup;
  // CPU nanoseconds a second since the last look at the same object; none on
  // the first.
  std::optional<uint64_t> nano_cores;
};

struct InterfaceStats {
  std::string name;
  uint64_t rx_bytes = 0, rx_packets = 0, rx_errors = 0, rx_dropped = 0;
  uint64_t tx_bytes = 0, tx_packets = 0, tx_errors = 0, tx_dropped = 0;

  bool operator==(const InterfaceStats&) const = default;
};

// The interfaces in the text of /proc/net/dev, without loopback, in its order
// but for eth0, which comes first.
std::vector<InterfaceStats> ParseNetDev(const std::string& text);

// Reads usage from the kernel, in one pass over the files of a cgroup and of
// /proc; never asks a shim and never touches a container's mounts.
// Thread-safe.
class StatsReader {
 public:
  // FAILED_PRECONDITION on a machine without cgroups.
  static StatusOr<std::unique_ptr<StatsReader>> Open();
  explicit StatsReader(oci::CgroupHost host) : host_(std::move(host)) {}

  // FAILED_PRECONDITION unless it runs.
  StatusOr<UsageStats> Container(const ContainerRecord& container);
  // FAILED_PRECONDITION unless it runs.
  StatusOr<ProcessStats> Processes(const ContainerRecord& container) const;
  // Of the sandbox's cgroup if it has one of its own, whose counters never
  // fall; else of its containers that run, added up. All zero before the first
  // start.
  StatusOr<UsageStats> Sandbox(const SandboxRecord& sandbox,
                               const std::vector<ContainerStatus>& containers);
  // Empty for a sandbox in the host's network.
  StatusOr<std::vector<InterfaceStats>> Interfaces(
      const SandboxRecord& sandbox) const;

 private:
  struct Sample {
    UnixNanos time = 0;
    uint64_t cpu = 0;
    std::optional<uint64_t> rate;
  };
  StatusOr<std::unique_ptr<oci::Cgroup>> Open(
      const ContainerRecord& container) const;
  StatusOr<UsageStats> Read(const std::string& id, const oci::Cgroup& cgroup);
  std::optional<uint64_t> Rate(const std::string& id, UnixNanos time,
                               uint64_t cpu) EXCLUDES(mutex_);

  const oci::CgroupHost host_;
  Mutex mutex_;
  std::map<std::string, Sample> last_ GUARDED_BY(mutex_);
  UnixNanos swept_ GUARDED_BY(mutex_) = 0;
};

}  // namespace berth::sandbox

#endif  // SANDBOX_USAGE_STATS_H_
