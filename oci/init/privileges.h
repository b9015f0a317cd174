// What a process is allowed to be: capabilities, ids, limits, labels. Done by
// the process itself, shortly before it becomes the user's program.
//
// Source: capabilities(7), prctl(2), config.md "Linux Process".
#ifndef OCI_INIT_PRIVILEGES_H_
#define OCI_INIT_PRIVILEGES_H_

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/unique_fd.h"
#include "oci/spec/spec.h"

namespace berth::oci {

// "CAP_CHOWN" -> 0, in any case; nothing if there is no such capability.
std::optional<int> CapabilityNumber(const std::string& name);
// Those that the running kernel knows.
std::vector<std::string> KernelCapabilities();

struct CapabilitySets {
  uint64_t bounding = 0;
  uint64_t effective = 0;
  uint64_t inheritable = 0;
  uint64_t permitted = 0;
  uint64_t ambient = 0;

  bool operator==(const CapabilitySets&) const = default;
};
// Bits by number. Unknown names and what the caller itself has not got
// (`available`) are left out. Nothing is inheritable but what is asked for
// (CVE-2022-24769). Pure.
CapabilitySets PlanCapabilities(const Capabilities& wanted, uint64_t available);

// What of `wanted` cannot be given, one sentence for each: unknown names, and
// ambient ones that are not inheritable and permitted as well. Pure.
std::vector<std::string> CapabilityWarnings(const Capabilities& wanted);

// Bounding set, groups, gid, uid, the other sets, in this order. `user` and
// `capabilities` as in the specification; none at all if unset. Those in
// `kept` that the caller has stay effective beside them. Returns what is
// wanted without these, for SetCapabilities.
StatusOr<CapabilitySets> BecomeUser(
    const User& user, const std::optional<Capabilities>& capabilities,
    uint64_t kept);

// Effective, permitted and inheritable, by one capset(2); what is ambient must
// be in them already.
Status SetCapabilities(const CapabilitySets& sets);

// "RLIMIT_NOFILE" -> its number.
std::optional<int> RlimitNumber(const std::string& name);
// Of `pid`, 0 for the caller. A limit that may not be raised is set as high as
// it may; what was cut is added to `warnings`.
Status SetRlimits(pid_t pid, const std::vector<Rlimit>& rlimits,
                  std::vector<std::string>& warnings);

// The label that the next execve gives. Opened while /proc is still the
// host's, written when all is done: a container cannot put another file in
// its place (CVE-2019-16884, CVE-2025-52881). Invalid fd: no label wanted.
StatusOr<UniqueFd> OpenExecLabel(const ProcessSpec& process);
Status WriteExecLabel(const UniqueFd& label, const ProcessSpec& process);

// Keyrings made from now on have the process's SELinux label, if it has one.
// Through the host's /proc.
Status SetKeyringLabel(const ProcessSpec& process);
// A session keyring of its own, so that the caller's keys stay outside.
Status JoinSessionKeyring(const std::string& name);

}  // namespace berth::oci

#endif  // OCI_INIT_PRIVILEGES_H_
