// How sandboxes end: what Stop, Remove, a failed Start and recovery have in
// common. All with the sandbox's lock held.
#ifndef SANDBOX_SANDBOX_END_H_
#define SANDBOX_SANDBOX_END_H_

#include "base/context.h"
#include "base/status.h"
#include "sandbox/core.h"
#include "sandbox/ids.h"
#include "sandbox/inventory.h"

namespace berth::sandbox {

// Gives back every resource that was begun, last first. Stops at the first
// that will not go; `begun` then says what is left. Does not save.
Status ReleaseAll(const Context& ctx, Core& core, SandboxRecord& sandbox);

// Its SELinux level is free when no other sandbox has it: one that is asked for
// may be that of several. The sandbox's record is gone.
void ReleaseLevel(Core& core, const SandboxRecord& sandbox);

// Networks let a sandbox go though a plugin fails to take back what it may have
// given. If they have, that is tried again behind all requests, until it
// succeeds or the daemon ends: then the next one does. The sandbox's record is
// gone.
void DetachLater(Core& core, const SandboxId& id);

// Kills the containers, releases everything: STOPPED. OK if it is already.
Status EndSandbox(const Context& ctx, Core& core, SandboxRecord& sandbox);

// Ends it, then removes its containers, its record and its name.
Status EraseSandbox(const Context& ctx, Core& core, SandboxRecord& sandbox);

}  // namespace berth::sandbox

#endif  // SANDBOX_SANDBOX_END_H_
