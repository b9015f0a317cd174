#ifndef OCI_INIT_PROCFS_H_
#define OCI_INIT_PROCFS_H_

#include <string>

#include "base/status.h"
#include "base/unique_fd.h"

namespace berth::oci {

// Opens a file of /proc for writing: `path`, such as "thread-self/attr/exec",
// is below `directory`, which is "/proc" or a directory of it.
//
// What is opened is of a procfs, and of the mount that `directory` is on:
// FAILED_PRECONDITION if that is no procfs, and an error if ".." leads out of
// it, or if something is mounted on the way, which would turn the write to
// another file (CVE-2019-16884, CVE-2025-52881). Symbolic links are those of
// procfs itself ("thread-self"); none of them leads elsewhere.
StatusOr<UniqueFd> OpenProcfs(const char* directory, const std::string& path);

}  // namespace berth::oci

#endif  // OCI_INIT_PROCFS_H_
