// What no record names, below our folders.
#ifndef SANDBOX_RECOVERY_SWEEP_H_
#define SANDBOX_RECOVERY_SWEEP_H_

#include "base/context.h"
#include "base/status.h"
#include "sandbox/core.h"
#include "sandbox/recovery/recovery_queue.h"

namespace berth::sandbox {

// FAILED_PRECONDITION if shims live in the state directory and no record, not
// even one that was set aside, knows any of them: they are another daemon's,
// and a sweep would kill its containers. To be called when the records have
// been loaded.
Status CheckOwner(const Core& core);

// Adds to `queue` a job for each object without a record, and one for what
// networks hold without a record of theirs.
Status Sweep(Core& core, RecoveryQueue& queue);

}  // namespace berth::sandbox

#endif  // SANDBOX_RECOVERY_SWEEP_H_
