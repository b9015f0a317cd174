#ifndef OCI_INIT_NAMESPACE_PLAN_H_
#define OCI_INIT_NAMESPACE_PLAN_H_

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "base/unique_fd.h"
#include "oci/spec/spec.h"

namespace berth::oci {

// linux.namespaces sorted by when and by whom each is entered. Holds the
// joined ones open. Source: clone(2), setns(2).
struct NamespacePlan {
  struct Join {
    int type = 0;
    UniqueFd fd;
  };

  // CLONE_NEW* flags for the birth itself.
  uint64_t at_birth = 0;
  // A cgroup namespace has the group of its maker as root: made by the new
  // process once it sits in its cgroup.
  bool new_cgroup = false;
  // A time namespace takes offsets only while it is empty: the runtime makes
  // it, for its next child.
  bool new_time = false;
  // By the new process.
  std::vector<Join> joins;
  // Of others, who see each process there: entered last of all, by a copy of
  // the process (entry.h).
  UniqueFd pid;
  // `pid` does not belong to the container's user namespace, so it must be
  // chosen with the host's rights, before that one is entered.
  bool pid_first = false;
  // By a process that gives up the host's rights.
  UniqueFd user;
  // The runtime is not root: what it may do for another process is little.
  bool by_user = false;

  // The caller is already in the new user namespace, which is no more among
  // those of `at_birth`.
  bool in_new_user = false;

  bool has_user() const;  // new or joined
  // Only root of the user namespace may make the time namespace: a process
  // between the runtime and the init.
  bool time_by_middle() const;
  bool new_user() const;
  bool new_network() const;
};

// Errors are those of OpenNamespace.
StatusOr<NamespacePlan> PlanNamespaces(const Linux& spec);

}  // namespace berth::oci

#endif  // OCI_INIT_NAMESPACE_PLAN_H_
