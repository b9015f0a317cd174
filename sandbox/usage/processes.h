#ifndef SANDBOX_USAGE_PROCESSES_H_
#define SANDBOX_USAGE_PROCESSES_H_

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <vector>

namespace berth::sandbox {

// What the processes of a container hold.
struct ProcessStats {
  uint64_t processes = 0;
  uint64_t descriptors = 0;
  uint64_t sockets = 0;  // of the descriptors
  // How many descriptors the first process may have (RLIMIT_NOFILE, soft);
  // none if it has no limit.
  std::optional<uint64_t> descriptor_limit;
};

// Of these processes; one that ends meanwhile counts for nothing. `first` is
// the container's process 1, or 0. Reads the links in /proc/PID/fd and never
// goes to what they name, which may be on a file system that does not answer.
ProcessStats ReadProcessStats(const std::vector<pid_t>& pids, pid_t first);

}  // namespace berth::sandbox

#endif  // SANDBOX_USAGE_PROCESSES_H_
