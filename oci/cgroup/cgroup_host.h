// Which cgroup hierarchies this machine has, and where we are in each.
#ifndef OCI_CGROUP_CGROUP_HOST_H_
#define OCI_CGROUP_CGROUP_HOST_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace berth::oci {

enum class CgroupVersion { kV1, kV2 };

// One mounted hierarchy.
struct CgroupHierarchy {
  std::string mount_point;  // "/sys/fs/cgroup/memory"
  // {"cpu", "cpuacct"}; {"name=systemd"} for one without controllers; for v2
  // what its root offers in cgroup.controllers, nothing on a hybrid machine.
  std::vector<std::string> controllers;
  bool v2 = false;
  // The calling process's cgroup, as a path below mount_point: "/" or "/a/b".
  std::string own_path;
};

// A snapshot of /proc/self/mountinfo and /proc/self/cgroup. A value;
// thread-compatible.
struct CgroupHost {
  // A hybrid machine (v1 controllers beside a v2 tree) counts as v1; its v2
  // tree is among the hierarchies.
  CgroupVersion version = CgroupVersion::kV1;
  std::vector<CgroupHierarchy> hierarchies;

  // `proc` is "/proc/self", or a folder with `mountinfo` and `cgroup` in it.
  // FAILED_PRECONDITION if no hierarchy is mounted.
  static StatusOr<CgroupHost> Detect(const std::string& proc = "/proc/self");

  // Of this program, as the first call that succeeded found it: hierarchies do
  // not come and go on a running node. Never freed; a child made by fork has
  // it too. Thread-safe.
  static StatusOr<const CgroupHost*> Own();

  // v2, for who is not the machine's root: the path of the cgroup below which
  // the calling process may make others and enter them: the parent of its own
  // (which then can hand controllers down), or its own. Nothing if neither is
  // its to write. Source: cgroup-v2.rst, "Delegation Containment".
  std::optional<std::string> Delegated() const;

  // The hierarchy that holds a controller; null if none does.
  const CgroupHierarchy* Find(std::string_view controller) const;
};

}  // namespace berth::oci

#endif  // OCI_CGROUP_CGROUP_HOST_H_
