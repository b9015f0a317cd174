#ifndef SANDBOX_APPARMOR_DEFAULT_PROFILE_H_
#define SANDBOX_APPARMOR_DEFAULT_PROFILE_H_

#include <string>

#include "base/context.h"
#include "base/fs/host_paths.h"
#include "base/status.h"

namespace berth::sandbox {

// The profile of every container that asks for no other: what a container that
// has escaped its masked paths and seccomp still cannot do to the host.
inline constexpr char kDefaultProfile[] = "berth-default";

// Whether the kernel has AppArmor and it is on.
bool HasAppArmor(const HostPaths& paths);

// Its text, as apparmor_parser(8) reads it. `own_label` is what this daemon is
// confined by, so that it may send signals; "unconfined" mostly. `abi` whether
// the host has the file for `abi <abi/3.0>`, which parsers from 3.0 on know.
std::string DefaultProfileText(const std::string& own_label, bool abi);

// Has the kernel know the profile as it is here: at once if it does already,
// else by apparmor_parser. The state folder remembers which text it was.
// UNIMPLEMENTED: there is no AppArmor, or no apparmor_parser and nobody else
// has loaded the profile. Else the parser's own error.
Status LoadDefaultProfile(const Context& ctx, const HostPaths& paths);

// Loads it again if somebody has unloaded it since (aa-remove-unknown(8), an
// update of AppArmor's own). Thread-safe; one loads at a time.
Status KeepDefaultProfile(const Context& ctx, const HostPaths& paths);

// Whether a profile is loaded; an error if the kernel does not tell.
StatusOr<bool> IsProfileLoaded(const HostPaths& paths,
                               const std::string& profile);

}  // namespace berth::sandbox

#endif  // SANDBOX_APPARMOR_DEFAULT_PROFILE_H_
