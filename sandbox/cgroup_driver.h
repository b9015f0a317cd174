#ifndef SANDBOX_CGROUP_DRIVER_H_
#define SANDBOX_CGROUP_DRIVER_H_

namespace berth::sandbox {

// Whether the cgroups of this machine are systemd's: it is the manager, and
// they are of version 2, in whose one tree it writes again what others have
// written. Then pods belong in scopes of its own.
bool SystemdHasCgroups();

// Whether it is the manager, whatever the cgroups are.
bool SystemdIsManager();

// Version 2, in one tree.
bool CgroupsAreUnified();

}  // namespace berth::sandbox

#endif  // SANDBOX_CGROUP_DRIVER_H_
