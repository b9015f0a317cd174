// When, where and with which memory a process runs. What is unset costs no
// system call. Source: sched_setattr(2), ioprio_set(2), sched_setaffinity(2),
// set_mempolicy(2).
#ifndef OCI_INIT_SCHEDULING_H_
#define OCI_INIT_SCHEDULING_H_

#include <sys/types.h>

#include <optional>
#include <string>

#include "base/status.h"
#include "oci/spec/spec.h"

namespace berth::oci {

// process.scheduler of `pid`, 0 for the caller. What it may ask for needs the
// host's rights (CAP_SYS_NICE).
Status SetScheduler(pid_t pid, const Scheduler& scheduler);
// A child of a process with this scheduler has it as well: not so if it is to
// be reset on fork, and with SCHED_DEADLINE there can be no child at all.
bool IsInherited(const Scheduler& scheduler);

// process.ioPriority of `pid`; children have it as well.
Status SetIoPriority(pid_t pid, const IoPriority& priority);

// For the caller and its children: a list of processors that
// process.execCPUAffinity has under `member`, and linux.memoryPolicy.
Status SetAffinity(const std::string& list, const char* member);
Status SetMemoryPolicy(const std::optional<MemoryPolicy>& policy);

}  // namespace berth::oci

#endif  // OCI_INIT_SCHEDULING_H_
