#ifndef SANDBOX_RESOURCE_CGROUP_PARENT_H_
#define SANDBOX_RESOURCE_CGROUP_PARENT_H_

#include <string>

#include "oci/cgroup/cgroup_host.h"
#include "sandbox/resource/sandbox_resource.h"

namespace berth::sandbox {

// The cgroup that the containers' own are made in: the one that the request
// names (kubelet's pod cgroup, which is kubelet's to remove), or the daemon's
// default, in which every pod has one of its own: its counters are the pod's.
// Containers make it when they start; if it was not there before, it goes with
// the sandbox, unless something else lives in it by then. With the systemd
// driver it is a slice, and a pod's own is named for it.
//
// Thread-safe.
class CgroupParent : public SandboxResource {
 public:
  CgroupParent(const oci::CgroupHost& host, std::string default_parent,
               bool systemd)
      : host_(host),
        default_parent_(std::move(default_parent)),
        systemd_(systemd) {}

  std::string name() const override { return "cgroup"; }
  // INVALID_ARGUMENT for a parent that climbs, or that is the other driver's.
  Status Acquire(const Context& ctx,
                 state::v1::SandboxRecord& sandbox) override;
  Status Recover(const Context& ctx,
                 state::v1::SandboxRecord& sandbox) override;
  Status Release(const Context& ctx,
                 const state::v1::SandboxRecord& sandbox) override;

 private:
  bool Exists(const std::string& path) const;
  // OK, and nothing done, if units are in it.
  Status EndSlice(const state::v1::CgroupParentState& state) const;

  const oci::CgroupHost& host_;
  const std::string default_parent_;
  const bool systemd_;
};

// What Acquire refuses; an empty parent is the default. INVALID_ARGUMENT.
Status CheckCgroupParent(const std::string& parent, bool systemd);

// `linux.cgroupsPath` of a container.
std::string ContainerCgroup(const state::v1::CgroupParentState& parent,
                            const std::string& container_id);

}  // namespace berth::sandbox

#endif  // SANDBOX_RESOURCE_CGROUP_PARENT_H_
