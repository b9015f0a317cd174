#include "oci/spec/validate.h"

#include <algorithm>
#include <set>
#include <string>
#include <string_view>

#include "base/strings.h"
#include "oci/spec/validate_parts.h"

namespace berth::oci {
namespace {

// The kernel takes that many lines in /proc/PID/uid_map (user_namespaces(7)).
constexpr size_t kMaxMappings = 340;

constexpr std::string_view kRlimits[] = {
    "RLIMIT_AS",     "RLIMIT_CORE",   "RLIMIT_CPU",        "RLIMIT_DATA",
    "RLIMIT_FSIZE",  "RLIMIT_LOCKS",  "RLIMIT_MEMLOCK",    "RLIMIT_MSGQUEUE",
    "RLIMIT_NICE",   "RLIMIT_NOFILE", "RLIMIT_NPROC",      "RLIMIT_RSS",
    "RLIMIT_RTPRIO", "RLIMIT_RTTIME", "RLIMIT_SIGPENDING", "RLIMIT_STACK",
};

constexpr std::string_view kPropagations[] = {
    "",      "private", "rprivate",   "shared",      "rshared",
    "slave", "rslave",  "unbindable", "runbindable",
};

template <typename List>
bool Contains(const List& list, std::string_view word) {
  return std::find(std::begin(list), std::end(list), word) != std::end(list);
}

// execve and mount take C strings: a NUL would cut the text short.
bool HasNul(const std::string& text) {
  return text.find('\0') != std::string::npos;
}

bool IsAbsolute(const std::string& path) {
  return !path.empty() && path[0] == '/' && !HasNul(path);
}

// The kernel takes -1 for "leave the id as it is" (setresuid(2)).
bool IsNoId(uint32_t id) { return id == ~uint32_t{0}; }

Status CheckIds(const User& user) {
  const auto& groups = user.additional_gids;
  if (IsNoId(user.uid) || IsNoId(user.gid) ||
      std::any_of(groups.begin(), groups.end(), IsNoId)) {
    return InvalidArgument("process.user: 4294967295 is no id");
  }
  return OkStatus();
}

Status CheckRlimits(const std::vector<Rlimit>& limits) {
  std::set<std::string_view> seen;
  for (const Rlimit& limit : limits) {
    if (!Contains(kRlimits, limit.type)) {
      return InvalidArgument("process.rlimits: unknown type " +
                             Quoted(limit.type));
    }
    if (!seen.insert(limit.type).second) {
      return InvalidArgument("process.rlimits: " + limit.type +
                             " is there twice");
    }
    if (limit.soft > limit.hard) {
      return InvalidArgument("process.rlimits: soft limit of " + limit.type +
                             " is above the hard one");
    }
  }
  return OkStatus();
}

Status CheckVersion(const std::string& version) {
  const std::vector<std::string> parts = Split(version, '.');
  if (version.empty()) return InvalidArgument("ociVersion is missing");
  if (parts.size() < 3 || parts[0] != "1" || !ParseUint(parts[1])) {
    return InvalidArgument("ociVersion " + Quoted(version) +
                           " is not supported, only 1.x.y is");
  }
  return OkStatus();
}

Status CheckHookList(const char* name, const std::vector<Hook>& hooks) {
  for (const Hook& hook : hooks) {
    const std::string where = std::string("hooks.") + name;
    if (!IsAbsolute(hook.path)) {
      return InvalidArgument(where + ": path " + Quoted(hook.path) +
                             " is not absolute");
    }
    if (hook.timeout.has_value() && *hook.timeout <= 0) {
      return InvalidArgument(where + ": timeout is not above zero");
    }
  }
  return OkStatus();
}

Status CheckHooks(const Hooks& hooks) {
  RETURN_IF_ERROR(CheckHookList("prestart", hooks.prestart));
  RETURN_IF_ERROR(CheckHookList("createRuntime", hooks.create_runtime));
  RETURN_IF_ERROR(CheckHookList("createContainer", hooks.create_container));
  RETURN_IF_ERROR(CheckHookList("startContainer", hooks.start_container));
  RETURN_IF_ERROR(CheckHookList("poststart", hooks.poststart));
  return CheckHookList("poststop", hooks.poststop);
}

Status CheckIdMap(const std::string& where,
                  const std::vector<IdMapping>& mappings) {
  if (mappings.size() > kMaxMappings) {
    return InvalidArgument(where + ": more than " +
                           std::to_string(kMaxMappings) + " lines");
  }
  for (const IdMapping& mapping : mappings) {
    if (mapping.size == 0) return InvalidArgument(where + ": size 0");
  }
  return OkStatus();
}

Status CheckMounts(const std::vector<MountSpec>& mounts) {
  for (size_t i = 0; i < mounts.size(); ++i) {
    const MountSpec& mount = mounts[i];
    const std::string where = "mounts[" + std::to_string(i) + "]";
    if (mount.destination.empty() || HasNul(mount.destination) ||
        HasNul(mount.source)) {
      return InvalidArgument(where + ".destination or .source is no path");
    }
    if (mount.uid_mappings.empty() != mount.gid_mappings.empty()) {
      return InvalidArgument(where + " maps user ids or group ids, not both");
    }
    RETURN_IF_ERROR(CheckIdMap(where + ".uidMappings", mount.uid_mappings));
    RETURN_IF_ERROR(CheckIdMap(where + ".gidMappings", mount.gid_mappings));
  }
  return OkStatus();
}

Status CheckNamespaces(const Spec& spec) {
  const Linux& linux = spec.linux;
  std::set<NamespaceType> seen;
  for (const NamespaceSpec& entry : linux.namespaces) {
    const std::string name = NamespaceTypeName(entry.type);
    if (!seen.insert(entry.type).second) {
      return InvalidArgument("linux.namespaces: " + name + " is there twice");
    }
    if (!entry.path.empty() && !IsAbsolute(entry.path)) {
      return InvalidArgument("linux.namespaces: path of " + name +
                             " is not absolute");
    }
  }
  const bool uts = linux.Find(NamespaceType::kUts) != nullptr;
  if (!uts && !(spec.hostname.empty() && spec.domainname.empty())) {
    return InvalidArgument("hostname or domainname without a uts namespace");
  }
  const bool masks =
      !linux.masked_paths.empty() || !linux.readonly_paths.empty();
  if (masks && linux.Find(NamespaceType::kMount) == nullptr) {
    return InvalidArgument(
        "linux.maskedPaths or readonlyPaths without a mount namespace");
  }
  return OkStatus();
}

Status CheckTime(const Linux& linux) {
  const NamespaceSpec* const time = linux.Find(NamespaceType::kTime);
  if (linux.time_offsets.empty()) return OkStatus();
  if (time == nullptr || !time->path.empty()) {
    return InvalidArgument("linux.timeOffsets without a new time namespace");
  }
  for (const auto& [clock, offset] : linux.time_offsets) {
    if (clock != "monotonic" && clock != "boottime") {
      return InvalidArgument("linux.timeOffsets: unknown clock " +
                             Quoted(clock));
    }
    if (offset.nanosecs > 999999999) {
      return InvalidArgument("linux.timeOffsets." + clock +
                             ".nanosecs is above 999999999");
    }
  }
  return OkStatus();
}

// As the kernel names links (dev_valid_name).
bool IsLinkName(const std::string& name) {
  return !name.empty() && name.size() < 16 && name != "." && name != ".." &&
         name.find_first_of(std::string_view("/: \t\n\v\f\r\0", 9)) ==
             std::string::npos;
}

Status CheckNetDevices(const Linux& linux) {
  if (linux.net_devices.empty()) return OkStatus();
  if (linux.Find(NamespaceType::kNetwork) == nullptr) {
    return InvalidArgument("linux.netDevices without a network namespace");
  }
  for (const auto& [device, name] : linux.net_devices) {
    for (const std::string& each : {device, name.empty() ? device : name}) {
      if (IsLinkName(each)) continue;
      return InvalidArgument("linux.netDevices: " + Quoted(each) +
                             " is no name of a network device");
    }
  }
  return OkStatus();
}

// A group is a directory: one name, or the root itself.
Status CheckIntelRdt(const Linux& linux) {
  if (!linux.intel_rdt) return OkStatus();
  const std::string& group = linux.intel_rdt->clos_id;
  const bool inner = group != "/" && group.find('/') != std::string::npos;
  if (group == "." || group == ".." || inner || HasNul(group)) {
    return InvalidArgument("invalid intelRdt.ClosID " + Quoted(group));
  }
  return OkStatus();
}

Status CheckMappings(const Linux& linux) {
  const NamespaceSpec* const user = linux.Find(NamespaceType::kUser);
  const bool any = !linux.uid_mappings.empty() || !linux.gid_mappings.empty();
  if (user == nullptr) {
    if (!any) return OkStatus();
    return InvalidArgument("linux.uidMappings without a user namespace");
  }
  if (user->path.empty() &&
      (linux.uid_mappings.empty() || linux.gid_mappings.empty())) {
    return InvalidArgument(
        "a new user namespace needs linux.uidMappings and gidMappings");
  }
  RETURN_IF_ERROR(CheckIdMap("linux.uidMappings", linux.uid_mappings));
  return CheckIdMap("linux.gidMappings", linux.gid_mappings);
}

// The kernel has so many bits for it (MINORBITS); mknod(2) would say EINVAL.
Status CheckDeviceNumber(const std::string& path, const char* field,
                         int64_t number, int bits) {
  if (number >= 0 && number < int64_t{1} << bits) return OkStatus();
  return InvalidArgument("linux.devices: " + std::string(field) + " of " +
                         path + " is out of range: " + std::to_string(number));
}

Status CheckDevicesAndPaths(const Linux& linux) {
  for (const DeviceNode& device : linux.devices) {
    if (!IsAbsolute(device.path)) {
      return InvalidArgument("linux.devices: path " + Quoted(device.path) +
                             " is not absolute");
    }
    if (device.type == 'p') continue;
    RETURN_IF_ERROR(CheckDeviceNumber(device.path, "major", device.major, 12));
    RETURN_IF_ERROR(CheckDeviceNumber(device.path, "minor", device.minor, 20));
  }
  for (const auto* list : {&linux.masked_paths, &linux.readonly_paths}) {
    for (const std::string& path : *list) {
      if (!IsAbsolute(path)) {
        return InvalidArgument("linux.maskedPaths or readonlyPaths: " +
                               Quoted(path) + " is not absolute");
      }
    }
  }
  return OkStatus();
}

Status CheckLinux(const Spec& spec) {
  const Linux& linux = spec.linux;
  RETURN_IF_ERROR(CheckNamespaces(spec));
  RETURN_IF_ERROR(CheckIntelRdt(linux));
  RETURN_IF_ERROR(CheckMappings(linux));
  RETURN_IF_ERROR(CheckTime(linux));
  RETURN_IF_ERROR(CheckNetDevices(linux));
  RETURN_IF_ERROR(CheckSysctls(linux));
  RETURN_IF_ERROR(CheckDevicesAndPaths(linux));
  if (!Contains(kPropagations, linux.rootfs_propagation)) {
    return InvalidArgument("linux.rootfsPropagation " +
                           Quoted(linux.rootfs_propagation) + " is unknown");
  }
  const std::string& domain = linux.personality.domain;
  if (!domain.empty() && domain != "LINUX" && domain != "LINUX32") {
    return InvalidArgument("linux.personality " + Quoted(domain) +
                           " is unknown");
  }
  if (linux.memory_policy.has_value()) {
    RETURN_IF_ERROR(CheckMemoryPolicy(*linux.memory_policy));
  }
  if (linux.seccomp.has_value()) {
    RETURN_IF_ERROR(CheckSeccomp(*linux.seccomp));
  }
  return linux.resources.has_value() ? ValidateResources(*linux.resources)
                                     : OkStatus();
}

}  // namespace

Status ValidateProcess(const ProcessSpec& process) {
  if (process.args.empty()) return InvalidArgument("process.args is empty");
  if (!IsAbsolute(process.cwd)) {
    return InvalidArgument("process.cwd " + Quoted(process.cwd) +
                           " is not absolute");
  }
  if (std::any_of(process.args.begin(), process.args.end(), HasNul) ||
      std::any_of(process.env.begin(), process.env.end(), HasNul)) {
    return InvalidArgument("process.args or env holds a NUL character");
  }
  RETURN_IF_ERROR(CheckIds(process.user));
  if (process.user.umask.value_or(0) > 0777) {
    return InvalidArgument("process.user.umask is above 0777");
  }
  const int score = process.oom_score_adj.value_or(0);
  if (score < -1000 || score > 1000) {
    return InvalidArgument("process.oomScoreAdj is not in -1000..1000");
  }
  RETURN_IF_ERROR(CheckScheduling(process));
  return CheckRlimits(process.rlimits);
}

Status Validate(const Spec& spec) {
  RETURN_IF_ERROR(CheckVersion(spec.oci_version));
  if (spec.root.path.empty() || HasNul(spec.root.path)) {
    return InvalidArgument("root.path is missing");
  }
  if (spec.process.has_value()) {
    RETURN_IF_ERROR(ValidateProcess(*spec.process));
  }
  RETURN_IF_ERROR(CheckMounts(spec.mounts));
  RETURN_IF_ERROR(CheckHooks(spec.hooks));
  return CheckLinux(spec);
}

}  // namespace berth::oci
