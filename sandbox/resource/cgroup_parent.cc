#include "sandbox/resource/cgroup_parent.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/strings.h"
#include "base/sys/file.h"
#include "oci/cgroup/cgroup_path.h"
#include "oci/systemd/systemd_manager.h"

namespace berth::sandbox {
namespace {

using ::berth::state::v1::SandboxRecord;

constexpr char kSlice[] = ".slice";

std::string LastPart(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

// "system.slice" -> "system-berth0abc.slice", which lies in it.
std::string SliceOf(const std::string& parent, const std::string& sandbox_id) {
  const std::string slice = LastPart(parent);
  return slice.substr(0, slice.size() - sizeof(kSlice) + 1) + "-berth" +
         sandbox_id + kSlice;
}

// Whether a slice holds units. A slice that is gone holds none.
bool HoldsUnits(const std::string& directory) {
  const auto opened = OpenFile(directory, O_RDONLY | O_DIRECTORY);
  if (!opened.ok()) return false;
  struct stat status;
  return fstat(opened->get(), &status) != 0 || status.st_nlink > 2;
}

}  // namespace

Status CgroupParent::Acquire(const Context&, SandboxRecord& sandbox) {
  const std::string& wanted = sandbox.config().cgroup_parent();
  const bool own =
      wanted.empty() && sandbox.config().kind() == state::v1::SANDBOX_KIND_POD;
  std::string parent = wanted.empty() ? default_parent_ : wanted;
  RETURN_IF_ERROR(CheckCgroupParent(parent, systemd_));
  auto& state = *sandbox.mutable_cgroup();
  state.set_systemd(systemd_);
  if (systemd_) {
    // systemd makes it with the first scope in it.
    state.set_path(own ? SliceOf(parent, sandbox.id()) : LastPart(parent));
    ASSIGN_OR_RETURN(const std::string path, oci::SlicePath(state.path()));
    state.set_pod_path(path);
  } else {
    if (!StartsWith(parent, "/")) parent = "/" + parent;
    if (own) parent += "/" + sandbox.id();
    state.set_path(parent);
    state.set_pod_path(parent);
  }
  state.set_made((own || !wanted.empty()) && !Exists(state.pod_path()));
  return Failpoint("sandbox.start.cgroup");
}

Status CgroupParent::Recover(const Context&, SandboxRecord&) {
  return OkStatus();
}

Status CgroupParent::Release(const Context&, const SandboxRecord& sandbox) {
  const auto& state = sandbox.cgroup();
  if (state.made() && state.systemd()) RETURN_IF_ERROR(EndSlice(state));
  if (state.made() && !state.systemd()) {
    // One directory in each hierarchy, and only if nothing is in it: no rmdir
    // can hurt what is in use.
    for (const oci::CgroupHierarchy& hierarchy : host_.hierarchies) {
      rmdir((hierarchy.mount_point + state.path()).c_str());
    }
  }
  return Failpoint("sandbox.stop.cgroup");
}

Status CgroupParent::EndSlice(const state::v1::CgroupParentState& state) const {
  for (const oci::CgroupHierarchy& hierarchy : host_.hierarchies) {
    if (HoldsUnits(hierarchy.mount_point + state.pod_path())) return OkStatus();
  }
  return IgnoreNotFound(oci::SystemdManager().Stop(state.path()));
}

bool CgroupParent::Exists(const std::string& path) const {
  for (const oci::CgroupHierarchy& hierarchy : host_.hierarchies) {
    if (access((hierarchy.mount_point + path).c_str(), F_OK) == 0) return true;
  }
  return false;
}

Status CheckCgroupParent(const std::string& parent, bool systemd) {
  if (parent.empty()) return OkStatus();
  const std::string named = "cgroup parent " + Quoted(parent) + ": ";
  // Two drivers in one part of the tree undo each other's limits.
  if (systemd && !oci::SlicePath(LastPart(parent)).ok()) {
    return InvalidArgument(named +
                           "not the name of a slice (NAME.slice), which the "
                           "systemd cgroup driver needs");
  }
  if (!systemd && EndsWith(parent, kSlice)) {
    return InvalidArgument(named +
                           "a slice of systemd's, and the cgroup driver is "
                           "cgroupfs (cgroup_driver)");
  }
  for (const std::string& part : Split(parent, '/')) {
    if (part == "..") return InvalidArgument(named + "must not contain \"..\"");
  }
  return OkStatus();
}

std::string ContainerCgroup(const state::v1::CgroupParentState& parent,
                            const std::string& container_id) {
  if (parent.systemd()) return parent.path() + ":berth:" + container_id;
  return parent.pod_path() + "/" + container_id;
}

}  // namespace berth::sandbox
