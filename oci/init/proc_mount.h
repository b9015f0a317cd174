#ifndef OCI_INIT_PROC_MOUNT_H_
#define OCI_INIT_PROC_MOUNT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/unique_fd.h"

namespace berth::oci {

// What NewFilesystem takes for a procfs.
struct ProcOptions {
  std::string source = {};
  std::vector<std::string> superblock = {};
  std::vector<std::string> data = {};
  uint64_t attributes = 0;
};

// A procfs that shows the pid namespace that `pid_namespace` is open on, of
// which the caller is no member; not attached yet. Needs the rights of a
// runtime; for a process with one thread. Source: proc(5), "pidns".
StatusOr<UniqueFd> MountProcOf(int pid_namespace, const ProcOptions& options);

// The same on Linux before 6.17, where a procfs shows the namespace of the
// process that makes it: by a process that is born there with an empty root,
// without descriptors, in namespaces of its own, and is killed at once.
StatusOr<UniqueFd> MountProcByMember(int pid_namespace,
                                     const ProcOptions& options);

}  // namespace berth::oci

#endif  // OCI_INIT_PROC_MOUNT_H_
