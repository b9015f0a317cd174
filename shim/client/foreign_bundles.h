#ifndef SHIM_CLIENT_FOREIGN_BUNDLES_H_
#define SHIM_CLIENT_FOREIGN_BUNDLES_H_

#include <map>
#include <string>

#include "base/status.h"
#include "shim/shim.h"

namespace berth::shim {

// Which containers a foreign shim was given, and their bundles: files in the
// sandbox's state directory, for the day when the shim is dead and each of
// them must be cleaned up by name. (berth-shim keeps such notes by itself.)

Status NoteForeignBundle(const SandboxShim& sandbox, const std::string& id,
                         const std::string& bundle);
void ForgetForeignBundle(const SandboxShim& sandbox, const std::string& id);
// By container. Those whose bundle is gone are left out.
std::map<std::string, std::string> ForeignBundles(const SandboxShim& sandbox);

}  // namespace berth::shim

#endif  // SHIM_CLIENT_FOREIGN_BUNDLES_H_
