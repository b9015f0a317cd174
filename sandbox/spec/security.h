// What a container's processes may do: capabilities, system calls, paths that
// are hidden or read-only. Tables and pure functions, but for reading a
// seccomp profile's file.
#ifndef SANDBOX_SPEC_SECURITY_H_
#define SANDBOX_SPEC_SECURITY_H_

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "api/state/v1/state.pb.h"
#include "base/status.h"
#include "oci/spec/spec.h"

namespace berth::sandbox {

// The fourteen that a container has unless told otherwise, sorted.
const std::vector<std::string>& DefaultCapabilities();
// Every capability up to `last` (/proc/sys/kernel/cap_last_cap), by number.
std::vector<std::string> AllCapabilities(int last);

// The sets of the first process. `known` are the capabilities that can be
// given at all (the kernel's, within our own bounding set). "ALL" is worked
// off first, then single additions, then single removals. Inheritable stays
// empty but for ambient ones (CVE-2022-24769).
// INVALID_ARGUMENT: a name that is no capability.
StatusOr<oci::Capabilities> CapabilitySets(
    const state::v1::ContainerSecurity& security,
    const std::vector<std::string>& known);

const std::vector<std::string>& DefaultMaskedPaths();
// The same for a machine whose sysfs is there: each of its processors counts
// how often it was throttled, which tells what others do.
std::vector<std::string> MaskedPathsOf(const std::string& sysfs);

const std::vector<std::string>& DefaultReadonlyPaths();

// Our profile for RUNTIME_DEFAULT (seccomp_profile.cc): an allow list, wider
// for the capabilities that a container has. All else fails with EPERM.
oci::Seccomp DefaultSeccompProfile(const std::vector<std::string>& bounding);

// A profile as JSON: the runtime specification's, with Docker's extensions
// (archMap, includes and excludes by capability, architecture and kernel).
StatusOr<oci::Seccomp> ParseSeccompProfile(
    std::string_view json, const std::vector<std::string>& bounding);

// What the request's field comes to; none: unconfined. A privileged container
// never has one.
StatusOr<std::optional<oci::Seccomp>> ResolveSeccomp(
    const state::v1::ContainerSecurity& security,
    const std::vector<std::string>& bounding);

// "user:role:type:level" syntax: INVALID_ARGUMENT names the wrong part.
Status CheckSelinux(const state::v1::SelinuxOptions& options);

}  // namespace berth::sandbox

#endif  // SANDBOX_SPEC_SECURITY_H_
