#include "oci/init/scheduling.h"

#include <errno.h>
#include <linux/ioprio.h>
#include <linux/sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <vector>

#include "base/strings.h"

namespace berth::oci {
namespace {

constexpr size_t kBits = 8 * sizeof(unsigned long);

// struct sched_attr of the kernel, first version: its header and the C
// library's cannot be had together.
struct SchedulerAttributes {
  uint32_t size = sizeof(SchedulerAttributes);
  uint32_t policy = 0;
  uint64_t flags = 0;
  int32_t nice = 0;
  uint32_t priority = 0;
  uint64_t runtime = 0;
  uint64_t deadline = 0;
  uint64_t period = 0;
  uint32_t util_min = 0;
  uint32_t util_max = 0;
};
static_assert(sizeof(SchedulerAttributes) == 56);

uint64_t FlagsOf(const Scheduler& scheduler) {
  uint64_t flags = 0;
  for (const std::string& name : scheduler.flags) {
    flags |= SchedulerFlagNumber(name).value_or(0);
  }
  return flags;
}

}  // namespace

Status SetScheduler(pid_t pid, const Scheduler& scheduler) {
  SchedulerAttributes wanted;
  wanted.policy = SchedulerPolicyNumber(scheduler.policy).value_or(0);
  wanted.flags = FlagsOf(scheduler);
  wanted.nice = scheduler.nice;
  wanted.priority = static_cast<uint32_t>(scheduler.priority);
  wanted.runtime = scheduler.runtime;
  wanted.deadline = scheduler.deadline;
  wanted.period = scheduler.period;
  if (syscall(SYS_sched_setattr, pid, &wanted, 0) != 0) {
    return Errno(errno, "set process.scheduler " + scheduler.policy);
  }
  return OkStatus();
}

bool IsInherited(const Scheduler& scheduler) {
  return scheduler.policy != "SCHED_DEADLINE" &&
         (FlagsOf(scheduler) & SCHED_FLAG_RESET_ON_FORK) == 0;
}

Status SetIoPriority(pid_t pid, const IoPriority& priority) {
  const int io_class = IoClassNumber(priority.io_class).value_or(0);
  if (syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, pid,
              IOPRIO_PRIO_VALUE(io_class, priority.priority)) != 0) {
    return Errno(errno, "set process.ioPriority " + priority.io_class);
  }
  return OkStatus();
}

Status SetAffinity(const std::string& list, const char* member) {
  if (list.empty()) return OkStatus();
  const std::string field = std::string("process.execCPUAffinity.") + member;
  ASSIGN_OR_RETURN_AS(const std::vector<unsigned long> mask,
                      ParseNumberList(list), field);
  if (mask.empty()) return OkStatus();
  if (syscall(SYS_sched_setaffinity, 0, mask.size() * sizeof(unsigned long),
              mask.data()) != 0) {
    return Errno(errno, "set " + field + " " + Quoted(list));
  }
  return OkStatus();
}

Status SetMemoryPolicy(const std::optional<MemoryPolicy>& policy) {
  if (!policy.has_value()) return OkStatus();
  ASSIGN_OR_RETURN_AS(const std::vector<unsigned long> nodes,
                      ParseNumberList(policy->nodes), "linux.memoryPolicy");
  int mode = MemoryModeNumber(policy->mode).value_or(0);
  for (const std::string& flag : policy->flags) {
    mode |= MemoryFlagNumber(flag).value_or(0);
  }
  // The kernel takes one bit less than it is told of.
  const size_t bits = nodes.empty() ? 0 : nodes.size() * kBits + 1;
  if (syscall(SYS_set_mempolicy, mode, nodes.empty() ? nullptr : nodes.data(),
              bits) != 0) {
    return Errno(errno, "set linux.memoryPolicy " + policy->mode);
  }
  return OkStatus();
}

}  // namespace berth::oci
