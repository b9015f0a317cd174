// How sandboxes end: what Stop, Remove, a failed Start and recovery have in
// common. All with the sandbox's lock held.
#ifndef SANDBOX_SANDBOX_END_H_
#define SANDBOX_SANDBOX_END_H_

#include "base/context.h"
#include "base/status.h"
#include "sandbox/core.h"
#include "sandbox/inventory.h"

namespace berth::sandbox {

// Gives back every resource that was begun, last first. Stops at the first
// that will not go; `begun` then says what is left. Does not save.
Status ReleaseAll(const Context& ctx, Core& core, SandboxRecord& sandbox);

// Its SELinux level is free when no other sandbox has it: one that is asked for
// may be that of several. The sandbox's record is gone.
void ReleaseLevel(Core& core, const SandboxRecord& sandbox);

// Kills the containers, releases everything: STOPPED. OK if it is already.
Status EndSandbox(const Context& ctx, Core& core, SandboxRecord& sandbox);

// Ends it, then removes its containers, its record and its name.
Status EraseSandbox(const Context& ctx, Core& core, SandboxRecord& sandbox);

}  // namespace berth::sandbox

#endif  // SANDBOX_SANDBOX_END_H_
