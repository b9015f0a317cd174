// What a daemon does when it comes back, before any door opens.
//
//   record           machine was       then
//   sandbox
//     CREATED        -                 a pod: forgotten; standalone: kept
//     STARTING       -                 released; a pod: forgotten
//     READY          booted since      released: STOPPED
//     READY          not               each resource recovered; if one cannot
//                                      be: STOPPING, its containers lost
//     STOPPING       -                 stopped
//     REMOVING       -                 removed
//   container
//     CREATING       -                 removed
//     STARTING..     task created      deleted: EXITED 128
//     STARTING..     task running      RUNNING, watched (STOPPING: until its
//                                      grace ends)
//     STARTING..     task stopped      EXITED with its code
//     STARTING..     task unknown      EXITED 128 if it was STARTING, else the
//                                      recorded code or 255
//     REMOVING       -                 removed
//
// Then what no record names is swept: directories, namespaces and shims of
// sandboxes, directories and cgroups of containers.
#ifndef SANDBOX_RECOVERY_H_
#define SANDBOX_RECOVERY_H_

#include "base/context.h"
#include "base/status.h"
#include "sandbox/core.h"

namespace berth::sandbox {

// Fails only if the records cannot be read. What cannot be cleaned up is
// logged and stays as it is, for Stop and Remove to try again.
Status RecoverAll(const Context& ctx, Core& core);

}  // namespace berth::sandbox

#endif  // SANDBOX_RECOVERY_H_
