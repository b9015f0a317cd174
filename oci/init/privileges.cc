#include "oci/init/privileges.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <set>

#include "base/strings.h"
#include "oci/init/procfs.h"

namespace berth::oci {
namespace {

// By number (linux/capability.h).
constexpr const char* kCapabilities[] = {"CHOWN",
                                         "DAC_OVERRIDE",
                                         "DAC_READ_SEARCH",
                                         "FOWNER",
                                         "FSETID",
                                         "KILL",
                                         "SETGID",
                                         "SETUID",
                                         "SETPCAP",
                                         "LINUX_IMMUTABLE",
                                         "NET_BIND_SERVICE",
                                         "NET_BROADCAST",
                                         "NET_ADMIN",
                                         "NET_RAW",
                                         "IPC_LOCK",
                                         "IPC_OWNER",
                                         "SYS_MODULE",
                                         "SYS_RAWIO",
                                         "SYS_CHROOT",
                                         "SYS_PTRACE",
                                         "SYS_PACCT",
                                         "SYS_ADMIN",
                                         "SYS_BOOT",
                                         "SYS_NICE",
                                         "SYS_RESOURCE",
                                         "SYS_TIME",
                                         "SYS_TTY_CONFIG",
                                         "MKNOD",
                                         "LEASE",
                                         "AUDIT_WRITE",
                                         "AUDIT_CONTROL",
                                         "SETFCAP",
                                         "MAC_OVERRIDE",
                                         "MAC_ADMIN",
                                         "SYSLOG",
                                         "WAKE_ALARM",
                                         "BLOCK_SUSPEND",
                                         "AUDIT_READ",
                                         "PERFMON",
                                         "BPF",
                                         "CHECKPOINT_RESTORE"};

constexpr struct {
  const char* name;
  int number;
} kRlimits[] = {{"AS", RLIMIT_AS},
                {"CORE", RLIMIT_CORE},
                {"CPU", RLIMIT_CPU},
                {"DATA", RLIMIT_DATA},
                {"FSIZE", RLIMIT_FSIZE},
                {"LOCKS", RLIMIT_LOCKS},
                {"MEMLOCK", RLIMIT_MEMLOCK},
                {"MSGQUEUE", RLIMIT_MSGQUEUE},
                {"NICE", RLIMIT_NICE},
                {"NOFILE", RLIMIT_NOFILE},
                {"NPROC", RLIMIT_NPROC},
                {"RSS", RLIMIT_RSS},
                {"RTPRIO", RLIMIT_RTPRIO},
                {"RTTIME", RLIMIT_RTTIME},
                {"SIGPENDING", RLIMIT_SIGPENDING},
                {"STACK", RLIMIT_STACK}};

uint64_t Bits(const std::vector<std::string>& names) {
  uint64_t bits = 0;
  for (const std::string& name : names) {
    if (const auto number = CapabilityNumber(name)) {
      bits |= uint64_t{1} << *number;
    }
  }
  return bits;
}

struct RawSets {
  uint64_t effective = 0;
  uint64_t permitted = 0;
  uint64_t inheritable = 0;
};

StatusOr<RawSets> GetCapabilities() {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2] = {};
  if (syscall(SYS_capget, &header, data) != 0) return Errno(errno, "capget");
  const auto join = [](uint32_t low, uint32_t high) {
    return uint64_t{low} | uint64_t{high} << 32;
  };
  return RawSets{join(data[0].effective, data[1].effective),
                 join(data[0].permitted, data[1].permitted),
                 join(data[0].inheritable, data[1].inheritable)};
}

Status DropBounding(uint64_t keep) {
  for (int cap = 0; cap < 64; ++cap) {
    if (keep & (uint64_t{1} << cap)) continue;
    if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0) continue;
    if (errno == EINVAL) break;  // past the last that the kernel knows
    return Errno(errno, "drop capability " + std::to_string(cap));
  }
  return OkStatus();
}

Status RaiseAmbient(uint64_t ambient) {
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) {
    return Errno(errno, "clear ambient capabilities");
  }
  for (int cap = 0; cap < 64; ++cap) {
    if (!(ambient & (uint64_t{1} << cap))) continue;
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) != 0) {
      return Errno(errno, "raise ambient capability " + std::to_string(cap));
    }
  }
  return OkStatus();
}

// A user namespace may forbid it (user_namespaces(7)); then there are no
// groups to lose either. It is the only reason left for who has CAP_SETGID.
// Not from /proc/self: in the container's /proc we may not be.
bool SetgroupsDenied() {
  const auto sets = GetCapabilities();
  return sets.ok() && (sets->effective & (uint64_t{1} << CAP_SETGID)) != 0;
}

Status SetGroups(const User& user) {
  const std::vector<gid_t>& groups = user.additional_gids;
  if (user.keep_groups || setgroups(groups.size(), groups.data()) == 0) {
    return OkStatus();
  }
  const int error = errno;
  if (error != EPERM || !SetgroupsDenied()) return Errno(error, "setgroups");
  if (groups.empty()) return OkStatus();
  return Error(StatusCode::kPermissionDenied,
               "process.user: cannot set any additional groups in a rootless "
               "container");
}

Status SetIds(const User& user) {
  RETURN_IF_ERROR(SetGroups(user));
  if (setresgid(user.gid, user.gid, user.gid) != 0) {
    return Errno(errno, "setgid " + std::to_string(user.gid));
  }
  if (setresuid(user.uid, user.uid, user.uid) != 0) {
    return Errno(errno, "setuid " + std::to_string(user.uid));
  }
  return OkStatus();
}

bool HasApparmor() {
  const UniqueFd fd(
      open("/sys/module/apparmor/parameters/enabled", O_RDONLY | O_CLOEXEC));
  char enabled = 0;
  return fd.valid() && read(fd.get(), &enabled, 1) == 1 && enabled == 'Y';
}

bool WantsApparmor(const ProcessSpec& process) {
  return !process.apparmor_profile.empty() &&
         process.apparmor_profile != "unconfined";
}

}  // namespace

std::optional<int> CapabilityNumber(const std::string& name) {
  const std::string lower = Lower(name);
  if (!StartsWith(lower, "cap_")) return std::nullopt;
  for (size_t i = 0; i < std::size(kCapabilities); ++i) {
    if (lower.substr(4) == Lower(kCapabilities[i])) return static_cast<int>(i);
  }
  return std::nullopt;
}

std::vector<std::string> KernelCapabilities() {
  std::vector<std::string> names;
  for (size_t i = 0; i < std::size(kCapabilities); ++i) {
    if (prctl(PR_CAPBSET_READ, i, 0, 0, 0) < 0) break;
    names.push_back("CAP_" + std::string(kCapabilities[i]));
  }
  return names;
}

CapabilitySets PlanCapabilities(const Capabilities& wanted,
                                uint64_t available) {
  CapabilitySets sets;
  sets.bounding = Bits(wanted.bounding) & available;
  sets.permitted = Bits(wanted.permitted) & available;
  sets.effective = Bits(wanted.effective) & sets.permitted;
  // Inheritable ones must be permitted or bounding (capabilities(7)).
  sets.inheritable =
      Bits(wanted.inheritable) & (sets.permitted | sets.bounding) & available;
  sets.ambient = Bits(wanted.ambient) & sets.permitted & sets.inheritable;
  return sets;
}

std::vector<std::string> CapabilityWarnings(const Capabilities& wanted) {
  std::set<std::string> unknown;
  for (const auto* list :
       {&wanted.bounding, &wanted.effective, &wanted.permitted,
        &wanted.inheritable, &wanted.ambient}) {
    for (const std::string& name : *list) {
      if (!CapabilityNumber(name)) unknown.insert(name);
    }
  }
  std::vector<std::string> warnings;
  for (const std::string& name : unknown) {
    warnings.push_back("process.capabilities: unknown " + Quoted(name) +
                       " is ignored");
  }
  const uint64_t possible = Bits(wanted.inheritable) & Bits(wanted.permitted);
  // One line: some callers name all that they have.
  std::vector<std::string> impossible;
  for (const std::string& name : wanted.ambient) {
    if (Bits({name}) & ~possible) impossible.push_back(name);
  }
  if (!impossible.empty()) {
    warnings.push_back("process.capabilities: ambient " +
                       Join(impossible, ", ") +
                       " ignored: not inheritable and permitted");
  }
  return warnings;
}

StatusOr<CapabilitySets> BecomeUser(
    const User& user, const std::optional<Capabilities>& capabilities,
    uint64_t kept) {
  ASSIGN_OR_RETURN(const RawSets mine, GetCapabilities());
  const CapabilitySets sets =
      PlanCapabilities(capabilities.value_or(Capabilities()), mine.permitted);
  RETURN_IF_ERROR(DropBounding(sets.bounding));
  if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) {
    return Errno(errno, "keep capabilities");
  }
  RETURN_IF_ERROR(SetIds(user));
  if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) != 0) {
    return Errno(errno, "keep capabilities no more");
  }
  CapabilitySets now = sets;
  now.effective |= kept & mine.permitted;
  now.permitted |= kept & mine.permitted;
  RETURN_IF_ERROR_AS(SetCapabilities(now), "set process.capabilities");
  RETURN_IF_ERROR(RaiseAmbient(sets.ambient));
  return sets;
}

Status SetCapabilities(const CapabilitySets& sets) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2] = {};
  for (int i = 0; i < 2; ++i) {
    data[i].effective = static_cast<uint32_t>(sets.effective >> (32 * i));
    data[i].permitted = static_cast<uint32_t>(sets.permitted >> (32 * i));
    data[i].inheritable = static_cast<uint32_t>(sets.inheritable >> (32 * i));
  }
  if (syscall(SYS_capset, &header, data) != 0) return Errno(errno, "capset");
  return OkStatus();
}

std::optional<int> RlimitNumber(const std::string& name) {
  for (const auto& entry : kRlimits) {
    if (name == std::string("RLIMIT_") + entry.name) return entry.number;
  }
  return std::nullopt;
}

Status SetRlimits(pid_t pid, const std::vector<Rlimit>& rlimits,
                  std::vector<std::string>& warnings) {
  for (const Rlimit& wanted : rlimits) {
    const auto number = RlimitNumber(wanted.type);
    if (!number) {
      return InvalidArgument("process.rlimits: unknown type " +
                             Quoted(wanted.type));
    }
    const auto resource = static_cast<__rlimit_resource>(*number);
    struct rlimit limit = {wanted.soft, wanted.hard};
    if (prlimit(pid, resource, &limit, nullptr) == 0) continue;
    if (errno != EPERM) return Errno(errno, "set " + wanted.type);
    // Without CAP_SYS_RESOURCE the hard limit only goes down.
    struct rlimit now = {};
    if (prlimit(pid, resource, nullptr, &now) != 0) {
      return Errno(errno, "get " + wanted.type);
    }
    limit.rlim_max = std::min(limit.rlim_max, now.rlim_max);
    limit.rlim_cur = std::min(limit.rlim_cur, limit.rlim_max);
    if (prlimit(pid, resource, &limit, nullptr) != 0) {
      return Errno(errno, "set " + wanted.type);
    }
    warnings.push_back(wanted.type + " cannot be raised above " +
                       std::to_string(now.rlim_max));
  }
  return OkStatus();
}

StatusOr<UniqueFd> OpenExecLabel(const ProcessSpec& process) {
  const bool apparmor = WantsApparmor(process);
  if (!apparmor && process.selinux_label.empty()) return UniqueFd();
  if (apparmor && !HasApparmor()) {
    return FailedPrecondition(
        "process.apparmorProfile: AppArmor is not enabled on this host");
  }
  if (!apparmor && access("/sys/fs/selinux/enforce", F_OK) != 0) {
    return FailedPrecondition(
        "process.selinuxLabel: SELinux is not enabled on this host");
  }
  if (apparmor) {
    auto own = OpenProcfs("/proc", "thread-self/attr/apparmor/exec");
    if (ErrnoOf(own.status()) != ENOENT) return own;
  }
  return OpenProcfs("/proc", "thread-self/attr/exec");
}

Status WriteExecLabel(const UniqueFd& label, const ProcessSpec& process) {
  if (!label.valid()) return OkStatus();
  const std::string text = WantsApparmor(process)
                               ? "exec " + process.apparmor_profile
                               : process.selinux_label;
  if (write(label.get(), text.data(), text.size()) !=
      static_cast<ssize_t>(text.size())) {
    return Errno(errno, (WantsApparmor(process) ? "set AppArmor label "
                                                : "set SELinux label ") +
                            Quoted(text));
  }
  return OkStatus();
}

Status SetKeyringLabel(const ProcessSpec& process) {
  if (process.selinux_label.empty() || WantsApparmor(process)) {
    return OkStatus();
  }
  const StatusOr<UniqueFd> file =
      OpenProcfs("/proc", "thread-self/attr/keycreate");
  // A kernel without keyrings.
  if (ErrnoOf(file.status()) == ENOENT) return OkStatus();
  RETURN_IF_ERROR(file.status());
  const std::string& label = process.selinux_label;
  if (write(file->get(), label.data(), label.size()) !=
      static_cast<ssize_t>(label.size())) {
    return Errno(errno, "set SELinux label " + Quoted(label) + " of keyrings");
  }
  return OkStatus();
}

Status JoinSessionKeyring(const std::string& name) {
  if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name.c_str()) >= 0) {
    return OkStatus();
  }
  // No keyrings in this kernel, or none left for this user: no keys either.
  if (errno == ENOSYS || errno == EDQUOT) return OkStatus();
  return Errno(errno, "join session keyring " + Quoted(name));
}

}  // namespace berth::oci
