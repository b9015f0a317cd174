#ifndef SHIM_CLIENT_FOREIGN_BUNDLES_H_
#define SHIM_CLIENT_FOREIGN_BUNDLES_H_

#include <string>

#include "base/context.h"
#include "base/status.h"
#include "shim/shim.h"

namespace berth::shim {

// Which containers a foreign shim was given, and their bundles: files in its
// state directory, for the day when the shim is dead and each of them must be
// cleaned up by name. (berth-shim keeps such notes by itself.) `foreign` is
// what ForeignOf gives.

Status NoteForeignBundle(const SandboxShim& foreign, const std::string& id,
                         const std::string& bundle);
// Noted, and so lately that the shim may still be making it.
bool IsNotedLately(const SandboxShim& foreign, const std::string& id);
void ForgetForeignBundle(const SandboxShim& foreign, const std::string& id);

// The shim is dead: kills what is left of a container and frees its runtime
// state, by the shim's program. The bundle must still be there; else, and
// without a note, it does nothing.
Status CleanUpForeign(const Context& ctx, const SandboxShim& foreign,
                      const std::string& id);
// All that are noted.
Status CleanUpForeign(const Context& ctx, const SandboxShim& foreign);

}  // namespace berth::shim

#endif  // SHIM_CLIENT_FOREIGN_BUNDLES_H_
