#include "sandbox/spec/security.h"

#include <glob.h>

#include <algorithm>
#include <iterator>
#include <map>

#include "base/strings.h"
#include "sandbox/record/files.h"

namespace berth::sandbox {
namespace {

using ::berth::state::v1::ContainerSecurity;
using ::berth::state::v1::SecurityProfile;

// By number (capabilities(7), <linux/capability.h>).
constexpr const char* kCapabilities[] = {
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
};

constexpr uint64_t kMaxProfileBytes = 4 << 20;

// "net_raw", "CAP_NET_RAW" -> "CAP_NET_RAW".
StatusOr<std::string> CapabilityName(const std::string& text) {
  std::string name = text;
  for (char& c : name) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  if (name == "ALL") return name;
  if (!StartsWith(name, "CAP_")) name = "CAP_" + name;
  if (std::find(std::begin(kCapabilities), std::end(kCapabilities), name) ==
      std::end(kCapabilities)) {
    return InvalidArgument("capability " + Quoted(text) + ": no such thing");
  }
  return name;
}

template <typename Names>
StatusOr<std::set<std::string>> CapabilityNames(const Names& texts) {
  std::set<std::string> names;
  for (const std::string& text : texts) {
    ASSIGN_OR_RETURN(std::string name, CapabilityName(text));
    names.insert(std::move(name));
  }
  return names;
}

}  // namespace

const std::vector<std::string>& DefaultCapabilities() {
  static const auto& list = *new std::vector<std::string>{
      "CAP_AUDIT_WRITE", "CAP_CHOWN",     "CAP_DAC_OVERRIDE",
      "CAP_FOWNER",      "CAP_FSETID",    "CAP_KILL",
      "CAP_MKNOD",       "CAP_NET_RAW",   "CAP_NET_BIND_SERVICE",
      "CAP_SETFCAP",     "CAP_SETGID",    "CAP_SETPCAP",
      "CAP_SETUID",      "CAP_SYS_CHROOT"};
  return list;
}

std::vector<std::string> AllCapabilities(int last) {
  const int count = std::clamp<int>(last + 1, 0, std::size(kCapabilities));
  return {kCapabilities, kCapabilities + count};
}

StatusOr<oci::Capabilities> CapabilitySets(
    const ContainerSecurity& security, const std::vector<std::string>& known) {
  const std::set<std::string> possible(known.begin(), known.end());
  ASSIGN_OR_RETURN(const std::set<std::string> add,
                   CapabilityNames(security.add_capabilities()));
  ASSIGN_OR_RETURN(const std::set<std::string> drop,
                   CapabilityNames(security.drop_capabilities()));
  ASSIGN_OR_RETURN(const std::set<std::string> ambient,
                   CapabilityNames(security.ambient_capabilities()));

  std::set<std::string> granted(DefaultCapabilities().begin(),
                                DefaultCapabilities().end());
  if (security.privileged() || add.count("ALL") > 0) granted = possible;
  if (drop.count("ALL") > 0) granted.clear();
  if (security.privileged()) granted = possible;
  for (const std::string& name : add) granted.insert(name);
  for (const std::string& name : ambient) granted.insert(name);
  if (!security.privileged()) {
    for (const std::string& name : drop) granted.erase(name);
  }
  granted.erase("ALL");
  // What the kernel, or our own bounding set, does not have cannot be given.
  std::erase_if(granted, [&](const std::string& name) {
    return possible.count(name) == 0;
  });

  oci::Capabilities sets;
  sets.bounding.assign(granted.begin(), granted.end());
  sets.effective = sets.bounding;
  sets.permitted = sets.bounding;
  for (const std::string& name : ambient) {
    if (granted.count(name) == 0) continue;
    sets.ambient.push_back(name);
    sets.inheritable.push_back(name);
  }
  return sets;
}

std::vector<std::string> MaskedPathsOf(const std::string& sysfs) {
  std::vector<std::string> list = {"/proc/acpi",
                                   "/proc/asound",
                                   "/proc/interrupts",
                                   "/proc/kcore",
                                   "/proc/keys",
                                   "/proc/latency_stats",
                                   "/proc/sched_debug",
                                   "/proc/scsi",
                                   "/proc/timer_list",
                                   "/proc/timer_stats",
                                   "/sys/devices/virtual/powercap",
                                   "/sys/firmware"};
  const std::string pattern =
      sysfs + "/devices/system/cpu/cpu[0-9]*/thermal_throttle";
  glob_t found = {};
  if (glob(pattern.c_str(), 0, nullptr, &found) == 0) {
    for (size_t i = 0; i < found.gl_pathc; ++i) {
      list.push_back("/sys" + std::string(found.gl_pathv[i] + sysfs.size()));
    }
  }
  globfree(&found);
  return list;
}

const std::vector<std::string>& DefaultMaskedPaths() {
  static const auto& list =
      *new std::vector<std::string>(MaskedPathsOf("/sys"));
  return list;
}

const std::vector<std::string>& DefaultReadonlyPaths() {
  static const auto& list = *new std::vector<std::string>{
      "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};
  return list;
}

namespace {

StatusOr<oci::Seccomp> FromFile(const std::string& path,
                                const std::vector<std::string>& bounding) {
  if (!StartsWith(path, "/")) {
    return InvalidArgument("seccomp.localhost_ref " + Quoted(path) +
                           ": not an absolute path");
  }
  ASSIGN_OR_RETURN_AS(const std::string text,
                      ReadSmallFile(path, kMaxProfileBytes), "seccomp profile");
  return ParseSeccompProfile(text, bounding);
}

// What both it and its base permit.
StatusOr<oci::Seccomp> FromRegistry(const SecurityProfile& profile,
                                    const std::vector<std::string>& bounding) {
  ASSIGN_OR_RETURN_AS(oci::Seccomp seccomp,
                      ParseSeccompProfile(profile.profile(), bounding),
                      "seccomp.oci_ref " + Quoted(profile.oci_ref()));
  // Whoever wrote it does not choose whom this host asks.
  if (oci::Notifies(seccomp)) {
    return InvalidArgument("seccomp.oci_ref " + Quoted(profile.oci_ref()) +
                           ": it asks a listener");
  }
  if (profile.base_localhost_ref().empty()) {
    seccomp.also.push_back(DefaultSeccompProfile(bounding));
    return seccomp;
  }
  ASSIGN_OR_RETURN(oci::Seccomp base,
                   FromFile(profile.base_localhost_ref(), bounding));
  seccomp.also.push_back(std::move(base));
  return seccomp;
}

}  // namespace

StatusOr<std::optional<oci::Seccomp>> ResolveSeccomp(
    const ContainerSecurity& security,
    const std::vector<std::string>& bounding) {
  const SecurityProfile& profile = security.seccomp();
  if (profile.type() != SecurityProfile::LOCALHOST &&
      !profile.localhost_ref().empty()) {
    return InvalidArgument(
        "seccomp.localhost_ref: set, but the type is not "
        "LOCALHOST");
  }
  if (security.privileged()) return std::optional<oci::Seccomp>();
  if (profile.type() == SecurityProfile::OCI) {
    return FromRegistry(profile, bounding);
  }
  if (profile.type() == SecurityProfile::RUNTIME_DEFAULT) {
    return std::optional<oci::Seccomp>(DefaultSeccompProfile(bounding));
  }
  if (profile.type() != SecurityProfile::LOCALHOST) {
    return std::optional<oci::Seccomp>();
  }
  if (profile.profile().empty()) {
    return FromFile(profile.localhost_ref(), bounding);
  }
  ASSIGN_OR_RETURN(oci::Seccomp parsed,
                   ParseSeccompProfile(profile.profile(), bounding));
  return std::optional<oci::Seccomp>(std::move(parsed));
}

Status CheckSelinux(const state::v1::SelinuxOptions& options) {
  for (const std::string* part :
       {&options.user(), &options.role(), &options.type()}) {
    if (part->find_first_of(": \n") != std::string::npos) {
      return InvalidArgument("selinux " + Quoted(*part) + ": not a word");
    }
  }
  // "s0", "s0:c1,c2", "s0-s1:c0.c1023" (selinux(8), mcs levels).
  const std::string& level = options.level();
  if (level.empty()) return OkStatus();
  const bool good =
      level[0] == 's' &&
      level.find_first_not_of("sc0123456789:,.-") == std::string::npos &&
      std::count(level.begin(), level.end(), ':') <= 2 && level.size() > 1 &&
      level[1] >= '0' && level[1] <= '9' && level.back() != ',' &&
      level.back() != ':';
  if (good) return OkStatus();
  return InvalidArgument("selinux level " + Quoted(level) + ": not a level");
}

}  // namespace berth::sandbox
