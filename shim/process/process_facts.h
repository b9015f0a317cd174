// What /proc says about a container's process, and what may be an id.
#ifndef SHIM_PROCESS_PROCESS_FACTS_H_
#define SHIM_PROCESS_PROCESS_FACTS_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"
#include "oci/cgroup/cgroup.h"

namespace berth::shim {

// Ids become file names: letters, digits, "_", ".", "-", "+", at most 256, the
// first a letter or digit. INVALID_ARGUMENT.
Status ValidateId(const std::string& id);

// Whether it is pid 1 of its pid namespace: the kernel then ends all others
// with it. True if that cannot be told.
bool IsNamespaceInit(pid_t pid);

// The cgroup that the process is in.
StatusOr<std::unique_ptr<oci::Cgroup>> OpenCgroupOf(pid_t pid);

// The path in /proc/PID/cgroup that stands for all: of v1's memory, pids or
// devices hierarchy, else of v2's. NOT_FOUND. Source: cgroups(7).
StatusOr<std::string> ParseCgroupFile(std::string_view text);

}  // namespace berth::shim

#endif  // SHIM_PROCESS_PROCESS_FACTS_H_
