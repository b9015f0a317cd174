#include "oci/spec/spec.h"

#include <sched.h>

#include <algorithm>

namespace berth::oci {
namespace {

struct NamespaceInfo {
  NamespaceType type;
  const char* name;
  const char* proc_name;
  int flag;
};

constexpr NamespaceInfo kNamespaces[] = {
    {NamespaceType::kMount, "mount", "mnt", CLONE_NEWNS},
    {NamespaceType::kPid, "pid", "pid", CLONE_NEWPID},
    {NamespaceType::kNetwork, "network", "net", CLONE_NEWNET},
    {NamespaceType::kIpc, "ipc", "ipc", CLONE_NEWIPC},
    {NamespaceType::kUts, "uts", "uts", CLONE_NEWUTS},
    {NamespaceType::kUser, "user", "user", CLONE_NEWUSER},
    {NamespaceType::kCgroup, "cgroup", "cgroup", CLONE_NEWCGROUP},
    {NamespaceType::kTime, "time", "time", CLONE_NEWTIME},
};

const NamespaceInfo& InfoOf(NamespaceType type) {
  return kNamespaces[static_cast<size_t>(type)];
}

}  // namespace

const char* NamespaceTypeName(NamespaceType type) { return InfoOf(type).name; }

std::optional<NamespaceType> NamespaceTypeFromName(const std::string& name) {
  for (const NamespaceInfo& info : kNamespaces) {
    if (name == info.name) return info.type;
  }
  return std::nullopt;
}

int CloneFlag(NamespaceType type) { return InfoOf(type).flag; }

const char* ProcName(NamespaceType type) { return InfoOf(type).proc_name; }

bool Notifies(const Seccomp& seccomp) {
  return std::any_of(
      seccomp.syscalls.begin(), seccomp.syscalls.end(),
      [](const SeccompRule& rule) { return rule.action == "SCMP_ACT_NOTIFY"; });
}

const NamespaceSpec* Linux::Find(NamespaceType type) const {
  for (const NamespaceSpec& entry : namespaces) {
    if (entry.type == type) return &entry;
  }
  return nullptr;
}

}  // namespace berth::oci
