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

struct ProcessFacts {
  // Pid 1 of its pid namespace: the kernel ends all others with it. True if
  // that cannot be told.
  bool namespace_init = true;
  std::string cgroup;  // path in its hierarchy; "" if that cannot be told
};

// Of a process that cannot exit meanwhile, as it has not been started: one that
// has exited is of no namespace, and in the root cgroup of v1.
ProcessFacts ReadProcessFacts(pid_t pid);

// For whoever must be told them: "1 /kubepods/x". INVALID_ARGUMENT.
std::string SerializeFacts(const ProcessFacts& facts);
StatusOr<ProcessFacts> ParseFacts(std::string_view text);

// NOT_FOUND for the root's and for the shim's own, which must never be
// signalled as a whole, and for "".
StatusOr<std::unique_ptr<oci::Cgroup>> OpenContainerCgroup(
    const std::string& path);

// The path in /proc/PID/cgroup that stands for all: of v1's memory, pids or
// devices hierarchy, else of v2's. NOT_FOUND. Source: cgroups(7).
StatusOr<std::string> ParseCgroupFile(std::string_view text);

}  // namespace berth::shim

#endif  // SHIM_PROCESS_PROCESS_FACTS_H_
