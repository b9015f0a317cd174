#include "sandbox/resource/cgroup_parent.h"

#include <errno.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/strings.h"

namespace berth::sandbox {
namespace {

using ::berth::state::v1::SandboxRecord;

Status CheckParent(const std::string& parent, bool systemd) {
  if (systemd && !EndsWith(parent, ".slice")) {
    return InvalidArgument("cgroup_parent " + Quoted(parent) +
                           ": not the name of a slice");
  }
  for (const std::string& part : Split(parent, '/')) {
    if (part == "..") {
      return InvalidArgument("cgroup_parent " + Quoted(parent) +
                             ": must not contain \"..\"");
    }
  }
  return OkStatus();
}

}  // namespace

Status CgroupParent::Acquire(const Context&, SandboxRecord& sandbox) {
  const std::string& wanted = sandbox.config().cgroup_parent();
  const bool own = wanted.empty() && !systemd_ &&
                   sandbox.config().kind() == state::v1::SANDBOX_KIND_POD;
  std::string parent = wanted.empty() ? default_parent_ : wanted;
  RETURN_IF_ERROR(CheckParent(parent, systemd_));
  auto& state = *sandbox.mutable_cgroup();
  state.set_systemd(systemd_);
  if (systemd_) {
    // A slice: systemd makes it with the first scope in it.
    state.set_path(parent.substr(parent.rfind('/') + 1));
    state.set_pod_path(state.path());
    return OkStatus();
  }
  if (!StartsWith(parent, "/")) parent = "/" + parent;
  if (own) parent += "/" + sandbox.id();
  state.set_path(parent);
  state.set_pod_path(parent);
  state.set_made((own || !wanted.empty()) && !Exists(parent));
  return Failpoint("sandbox.start.cgroup");
}

Status CgroupParent::Recover(const Context&, SandboxRecord&) {
  return OkStatus();
}

Status CgroupParent::Release(const Context&, const SandboxRecord& sandbox) {
  const auto& state = sandbox.cgroup();
  if (!state.made() || state.systemd()) {
    return Failpoint("sandbox.stop.cgroup");
  }
  // One directory in each hierarchy, and only if nothing is in it: no rmdir
  // can hurt what is in use.
  for (const oci::CgroupHierarchy& hierarchy : host_.hierarchies) {
    rmdir((hierarchy.mount_point + state.path()).c_str());
  }
  return Failpoint("sandbox.stop.cgroup");
}

bool CgroupParent::Exists(const std::string& path) const {
  for (const oci::CgroupHierarchy& hierarchy : host_.hierarchies) {
    if (access((hierarchy.mount_point + path).c_str(), F_OK) == 0) return true;
  }
  return false;
}

std::string ContainerCgroup(const state::v1::CgroupParentState& parent,
                            const std::string& container_id) {
  if (parent.systemd()) return parent.pod_path() + ":berth:" + container_id;
  return parent.pod_path() + "/" + container_id;
}

}  // namespace berth::sandbox
