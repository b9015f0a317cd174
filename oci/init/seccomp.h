// From a seccomp profile to a filter in the kernel.
//
// Compiling a profile of Docker's size takes libseccomp some 17 ms, longer
// than all the rest of a start; so compiled filters are kept in files, by
// profile. Source: config-linux.md, "Seccomp"; seccomp(2);
// seccomp_attr_set(3).
#ifndef OCI_INIT_SECCOMP_H_
#define OCI_INIT_SECCOMP_H_

#include <cstdint>
#include <string>

#include "base/status.h"
#include "oci/spec/spec.h"

namespace berth::oci {

struct SeccompFilter {
  std::string program;  // struct sock_filter, one after the other
  uint32_t flags = 0;   // SECCOMP_FILTER_FLAG_*

  // SCMP_ACT_NOTIFY: somebody is to be asked.
  bool has_listener() const;
  bool operator==(const SeccompFilter&) const = default;
};

// A binary tree over the system calls, the machine's own architecture first.
// Names that the library does not know are passed over, as the specification
// asks; system calls newer than all that the profile names get ENOSYS, not its
// default error, so that programs fall back. With more than one profile
// (`also`), one filter that permits what all of them do, and else does what the
// first of them says that does not permit it, those of `also` before.
StatusOr<SeccompFilter> CompileSeccomp(const Seccomp& profile);

// The same, from a file in `cache` (a directory of ours, made if missing), and
// into it. A cache that cannot be read or written only costs time.
StatusOr<SeccompFilter> CachedSeccomp(const Seccomp& profile,
                                      const std::string& cache);

// For the calling thread, and all that it becomes. Needs no_new_privs or
// CAP_SYS_ADMIN. Returns the listener, close-on-exec, or -1 for a filter
// without one; not as an object, for it could not be closed behind the filter.
StatusOr<int> LoadSeccomp(const SeccompFilter& filter);

}  // namespace berth::oci

#endif  // OCI_INIT_SECCOMP_H_
