#ifndef OCI_INIT_INIT_PROCESS_H_
#define OCI_INIT_INIT_PROCESS_H_

#include "base/status.h"
#include "oci/init/birth.h"
#include "oci/init/namespace_plan.h"

namespace berth::oci {

// The life of a container's init from clone3 to execve: the "init" side of
// birth.h. `in_cgroup`: it was born where it belongs. Returns only to say why
// it failed; before kReady the runtime must be told, after it `result` was.
Status RunInit(const InitRequest& request, const NamespacePlan& namespaces,
               const Handshake& channel, bool in_cgroup);

}  // namespace berth::oci

#endif  // OCI_INIT_INIT_PROCESS_H_
