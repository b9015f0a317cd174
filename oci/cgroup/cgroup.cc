#include "oci/cgroup/cgroup.h"

#include <utility>

#include "oci/cgroup/cgroup_v1.h"
#include "oci/cgroup/cgroup_v2.h"
#include "oci/cgroup/systemd_cgroup.h"

namespace berth::oci {

StatusOr<std::unique_ptr<Cgroup>> OpenCgroup(const CgroupHost& host,
                                             const std::string& path) {
  if (path.size() < 2 || path[0] != '/') {
    return InvalidArgument("\"" + path + "\" is no path of a cgroup");
  }
  if (host.version == CgroupVersion::kV1) {
    return std::make_unique<CgroupV1>(host, path);
  }
  for (const CgroupHierarchy& hierarchy : host.hierarchies) {
    if (hierarchy.v2) return std::make_unique<CgroupV2>(hierarchy, path);
  }
  return FailedPrecondition("no cgroup2 file system is mounted");
}

StatusOr<std::unique_ptr<Cgroup>> OpenScope(const CgroupHost& host,
                                            const std::string& path,
                                            ScopeOptions options) {
  ASSIGN_OR_RETURN(std::unique_ptr<Cgroup> files, OpenCgroup(host, path));
  return std::make_unique<SystemdCgroup>(host.version, path, std::move(files),
                                         std::move(options));
}

}  // namespace berth::oci
