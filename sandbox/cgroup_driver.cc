#include "sandbox/cgroup_driver.h"

#include "oci/cgroup/cgroup_host.h"
#include "oci/systemd/systemd_manager.h"

namespace berth::sandbox {

bool SystemdHasCgroups() { return SystemdIsManager() && CgroupsAreUnified(); }

bool SystemdIsManager() { return oci::SystemdIsManager(); }

bool CgroupsAreUnified() {
  const auto host = oci::CgroupHost::Own();
  return host.ok() && (*host)->version == oci::CgroupVersion::kV2;
}

}  // namespace berth::sandbox
