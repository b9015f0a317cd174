#ifndef OCI_INIT_EXEC_PROCESS_H_
#define OCI_INIT_EXEC_PROCESS_H_

#include "base/status.h"
#include "oci/init/birth.h"

namespace berth::oci {

// The life of an exec'd process from clone3 to execve. Returns only to say
// why it failed.
Status RunExec(const ExecRequest& request, const Handshake& channel,
               bool in_cgroup);

}  // namespace berth::oci

#endif  // OCI_INIT_EXEC_PROCESS_H_
