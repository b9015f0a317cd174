#ifndef OCI_INIT_INIT_PROCESS_H_
#define OCI_INIT_INIT_PROCESS_H_

#include "base/status.h"
#include "oci/init/birth.h"
#include "oci/init/entry.h"
#include "oci/init/namespace_plan.h"

namespace berth::oci {

// The life of a container's init from clone3 to execve: the "init" side of
// birth.h. `in_cgroup`: it was born where it belongs. Returns only to say why
// it failed; before kReady the runtime must be told, after it `result` was.
Status RunInit(const InitRequest& request, const NamespacePlan& namespaces,
               Handshake& channel, bool in_cgroup);

// The same where a pid namespace is joined: enters the user namespace and
// makes the new ones itself, and crosses over by `entry` when it is ready. The
// copy inside waits for a byte from `go`, a pipe.
Status RunInitOutside(const InitRequest& request,
                      const NamespacePlan& namespaces, Handshake& channel,
                      Entry& entry, int go, bool in_cgroup);

}  // namespace berth::oci

#endif  // OCI_INIT_INIT_PROCESS_H_
