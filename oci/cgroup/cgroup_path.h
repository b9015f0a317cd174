// Where the cgroup of a container lies, from `linux.cgroupsPath`. Pure.
//
// Two drivers make cgroups: we ourselves, as directories of any name, and
// systemd, as units. Two that write in one tree undo each other's work, so a
// path says whose it is: "slice:prefix:name" is systemd's, all else is ours.
#ifndef OCI_CGROUP_CGROUP_PATH_H_
#define OCI_CGROUP_CGROUP_PATH_H_

#include <string>

#include "base/status.h"

namespace berth::oci {

// The path below the root of every hierarchy.
//
// "slice:prefix:name": the unit PREFIX-NAME.scope in the slice, as systemd
// places it: "a-b.slice:p:n" is "/a.slice/a-b.slice/p-n.scope". Without a slice
// in system.slice. Else absolute as it is, relative below the root as runc
// does, "/<id>" if empty; cleaned, so that ".." cannot climb out.
// INVALID_ARGUMENT for the root itself, and for what can be no unit.
StatusOr<std::string> CgroupPath(const std::string& cgroups_path,
                                 const std::string& id);

// Whether it has the form "slice:prefix:name".
bool IsScopePath(const std::string& cgroups_path);

// "/a.slice/a-b.slice" for "a-b.slice"; "" for "-.slice", the root.
// INVALID_ARGUMENT.
StatusOr<std::string> SlicePath(const std::string& slice);

// `cgroups_path` as a driver takes it: systemd's default is a scope in
// system.slice. INVALID_ARGUMENT for a path that is the other's.
StatusOr<std::string> CgroupsPathFor(bool systemd,
                                     const std::string& cgroups_path,
                                     const std::string& id);

}  // namespace berth::oci

#endif  // OCI_CGROUP_CGROUP_PATH_H_
