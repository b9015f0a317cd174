#include <string>

#include "base/strings.h"
#include "oci/spec/validate_parts.h"

namespace berth::oci {
namespace {

Status Bad(const std::string& what) { return InvalidArgument(what); }

Status CheckScheduler(const Scheduler& scheduler) {
  const std::string field = "process.scheduler.";
  const std::string& policy = scheduler.policy;
  if (!SchedulerPolicyNumber(policy)) {
    return Bad(field + "policy: unknown " + Quoted(policy));
  }
  for (const std::string& flag : scheduler.flags) {
    if (!SchedulerFlagNumber(flag)) {
      return Bad(field + "flags: unknown " + Quoted(flag));
    }
  }
  const bool fair = policy == "SCHED_OTHER" || policy == "SCHED_BATCH";
  if (fair && (scheduler.nice < -20 || scheduler.nice > 19)) {
    return Bad(field + "nice is not in -20..19");
  }
  const bool real_time = policy == "SCHED_FIFO" || policy == "SCHED_RR";
  if (scheduler.priority != 0 && !real_time) {
    return Bad(field + "priority is for SCHED_FIFO and SCHED_RR only");
  }
  const bool timed = scheduler.runtime != 0 || scheduler.deadline != 0 ||
                     scheduler.period != 0;
  if (timed && policy != "SCHED_DEADLINE") {
    return Bad(field + "runtime, deadline and period are for SCHED_DEADLINE " +
               "only");
  }
  if (policy != "SCHED_DEADLINE") return OkStatus();
  // sched_setattr(2); without a period the deadline is it.
  const uint64_t period =
      scheduler.period != 0 ? scheduler.period : scheduler.deadline;
  if (scheduler.runtime < 1024 || scheduler.runtime > scheduler.deadline ||
      scheduler.deadline > period) {
    return Bad(field + "runtime: not 1024 <= runtime <= deadline <= period");
  }
  return OkStatus();
}

Status CheckIoPriority(const IoPriority& priority) {
  if (!IoClassNumber(priority.io_class)) {
    return Bad("process.ioPriority.class: unknown " +
               Quoted(priority.io_class));
  }
  if (priority.priority < 0 || priority.priority > 7) {
    return Bad("process.ioPriority.priority is not in 0..7");
  }
  return OkStatus();
}

}  // namespace

Status CheckScheduling(const ProcessSpec& process) {
  if (process.scheduler.has_value()) {
    RETURN_IF_ERROR(CheckScheduler(*process.scheduler));
  }
  if (process.io_priority.has_value()) {
    RETURN_IF_ERROR(CheckIoPriority(*process.io_priority));
  }
  if (!process.exec_cpu_affinity.has_value()) return OkStatus();
  RETURN_IF_ERROR_AS(
      ParseNumberList(process.exec_cpu_affinity->initial).status(),
      "process.execCPUAffinity.initial");
  return Annotate(ParseNumberList(process.exec_cpu_affinity->final).status(),
                  "process.execCPUAffinity.final");
}

Status CheckMemoryPolicy(const MemoryPolicy& policy) {
  const std::string field = "linux.memoryPolicy.";
  if (!MemoryModeNumber(policy.mode)) {
    return Bad(field + "mode: unknown " + Quoted(policy.mode));
  }
  for (const std::string& flag : policy.flags) {
    if (!MemoryFlagNumber(flag)) {
      return Bad(field + "flags: unknown " + Quoted(flag));
    }
  }
  ASSIGN_OR_RETURN_AS(const auto nodes, ParseNumberList(policy.nodes),
                      field + "nodes");
  const bool takes_none =
      policy.mode == "MPOL_DEFAULT" || policy.mode == "MPOL_LOCAL";
  // MPOL_PREFERRED without nodes means the local one (set_mempolicy(2)).
  const bool takes_some = !takes_none && policy.mode != "MPOL_PREFERRED";
  if (takes_none && !nodes.empty()) {
    return Bad(field + "nodes are not for " + policy.mode);
  }
  if (takes_some && nodes.empty()) {
    return Bad(field + "nodes: " + policy.mode + " needs some");
  }
  return OkStatus();
}

}  // namespace berth::oci
