// Who is who in a user namespace. Source: user_namespaces(7).
#ifndef OCI_INIT_ID_MAP_H_
#define OCI_INIT_ID_MAP_H_

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "oci/spec/spec.h"

namespace berth::oci {

// The text of /proc/PID/uid_map: "container host size" a line. Pure.
std::string IdMapText(const std::vector<IdMapping>& mappings);

// The host's id of a container's; nothing if it is not mapped. With no
// mappings at all the id is its own. Pure.
std::optional<uint32_t> ToHostId(const std::vector<IdMapping>& mappings,
                                 uint32_t container_id);

// Writes both maps of a process in a new user namespace that has none yet.
//
// What the caller has no right to write itself newuidmap(1) and newgidmap(1)
// write for it, from the subordinate ids of its user: for them the process must
// be dumpable (PR_SET_DUMPABLE). Only a caller who is not root and maps nothing
// but its own group loses setgroups(2) in the namespace. NOT_FOUND if a program
// is needed and is not in $PATH, PERMISSION_DENIED if it refuses.
Status WriteIdMaps(pid_t pid, const std::vector<IdMapping>& uids,
                   const std::vector<IdMapping>& gids);

// By a process in a user namespace with these maps (none: not known): becomes
// its root, so that the files it makes belong to that. Where 0 is not mapped,
// the first id that is.
Status BecomeNamespaceRoot(const std::vector<IdMapping>& uids,
                           const std::vector<IdMapping>& gids);

}  // namespace berth::oci

#endif  // OCI_INIT_ID_MAP_H_
