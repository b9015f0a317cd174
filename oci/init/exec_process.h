#ifndef OCI_INIT_EXEC_PROCESS_H_
#define OCI_INIT_EXEC_PROCESS_H_

#include "base/status.h"
#include "oci/init/birth.h"
#include "oci/init/entry.h"

namespace berth::oci {

// The life of an exec'd process from clone3 to execve: outside of the
// container's pid namespace first, then inside (entry.h). Returns only to say
// why it failed, as long as the runtime listens at `channel`.
Status RunExec(const ExecRequest& request, Handshake& channel, Entry& entry,
               bool in_cgroup);

}  // namespace berth::oci

#endif  // OCI_INIT_EXEC_PROCESS_H_
