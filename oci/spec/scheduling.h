// Parts of config.json that say when, where and with which memory a process
// runs. Source: config.md, "process.scheduler", "ioPriority",
// "execCPUAffinity"; config-linux.md, "Memory policy".
#ifndef OCI_SPEC_SCHEDULING_H_
#define OCI_SPEC_SCHEDULING_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"

namespace berth::oci {

// sched_setattr(2); times are in nanoseconds.
struct Scheduler {
  std::string policy;              // "SCHED_OTHER"
  int32_t nice = 0;                // of SCHED_OTHER, SCHED_BATCH
  int32_t priority = 0;            // of SCHED_FIFO, SCHED_RR
  std::vector<std::string> flags;  // "SCHED_FLAG_RESET_ON_FORK"
  uint64_t runtime = 0;            // these three of SCHED_DEADLINE
  uint64_t deadline = 0;
  uint64_t period = 0;

  bool operator==(const Scheduler&) const = default;
};

// ioprio_set(2).
struct IoPriority {
  std::string io_class;  // "IOPRIO_CLASS_BE"
  int32_t priority = 0;  // 0 (first) to 7

  bool operator==(const IoPriority&) const = default;
};

// Of exec'd processes: lists of processors ("0-3,7"); empty: as they are.
struct CpuAffinity {
  std::string initial;  // before the process enters the container's cgroup
  std::string final;    // from then on

  bool operator==(const CpuAffinity&) const = default;
};

// set_mempolicy(2).
struct MemoryPolicy {
  std::string mode;   // "MPOL_BIND"
  std::string nodes;  // list of NUMA nodes
  std::vector<std::string> flags;

  bool operator==(const MemoryPolicy&) const = default;
};

// The kernel's numbers for the names above; nothing for unknown ones.
std::optional<uint32_t> SchedulerPolicyNumber(const std::string& name);
std::optional<uint64_t> SchedulerFlagNumber(const std::string& name);
std::optional<int> IoClassNumber(const std::string& name);
std::optional<int> MemoryModeNumber(const std::string& name);
std::optional<int> MemoryFlagNumber(const std::string& name);
// The names themselves, as `features` shows them.
std::vector<std::string> MemoryModes();
std::vector<std::string> MemoryFlags();

// More than any kernel can be built for (NR_CPUS and MAX_NUMNODES).
inline constexpr size_t kMaxListedNumber = 8191;

// Longer ones are refused: each number could be named several times over.
inline constexpr size_t kMaxListBytes = 64 << 10;

// A list such as "0-3, 7" as a bit mask for the kernel, lowest number first;
// empty for an empty list. INVALID_ARGUMENT if it is no list, or a number is
// above kMaxListedNumber.
StatusOr<std::vector<unsigned long>> ParseNumberList(const std::string& list);

}  // namespace berth::oci

#endif  // OCI_SPEC_SCHEDULING_H_
