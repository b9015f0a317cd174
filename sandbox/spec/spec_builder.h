#ifndef SANDBOX_SPEC_SPEC_BUILDER_H_
#define SANDBOX_SPEC_SPEC_BUILDER_H_

#include <string>
#include <vector>

#include "api/state/v1/image.pb.h"
#include "api/state/v1/state.pb.h"
#include "base/status.h"
#include "oci/cgroup/cgroup_host.h"
#include "oci/spec/spec.h"
#include "sandbox/cdi/cdi_file.h"
#include "sandbox/selinux/labels.h"
#include "sandbox/spec/devices.h"
#include "sandbox/spec/mounts.h"

namespace nri::pkg::api::v1alpha1 {
class ContainerAdjustment;
}

namespace berth::sandbox {

// What this machine and this daemon can give. Found once.
struct HostFacts {
  bool cgroup_v2 = false;
  bool delegates_cgroups = false;  // nsdelegate: a namespace is a border
  bool hugetlb = false;            // the cgroup controller
  // That a container can be given: the kernel's, within our bounding set.
  std::vector<std::string> capabilities;
  SelinuxContexts selinux;
  // That root file systems can be mapped to user namespaces, or why not.
  Status user_namespaces = Unimplemented("user namespaces");
  bool apparmor = false;
  // That our profile for containers without one is loaded, or why not.
  Status apparmor_default = Unimplemented("no default profile");
  // Without CAP_SYS_RESOURCE a process cannot get below its parent's.
  int min_oom_score_adj = -1000;

  static HostFacts Detect(const std::string& proc, const std::string& sys,
                          const oci::CgroupHost& cgroups);
};

// What of the request had to be looked up on the host before a specification
// can be computed. From `devices` on: for the steps of a start alone.
struct SpecInputs {
  const state::v1::SandboxRecord& sandbox;
  // With user, argv and cgroup in force.
  const state::v1::ContainerRecord& container;
  const state::v1::ImageConfig& image;
  const HostFacts& host;
  std::string home;  // the user's
  DeviceSet devices;
  MountPlan mounts;
  std::string target_pid_namespace;  // path, for NAMESPACE_MODE_TARGET
  std::vector<CdiEdits> cdi = {};
  // By plugins (NRI); null: none.
  const ::nri::pkg::api::v1alpha1::ContainerAdjustment* adjustment = nullptr;
};

// When a step is taken.
enum class StepTime {
  kCreate,  // once: what it does is saved
  // At each start, on what was saved: what it does depends on the host of that
  // moment. At Create too, for its errors.
  kStart,
};

// One step from a request to a specification. Each finds what the steps before
// it have done, and may change it. Equal inputs give an equal specification.
// INVALID_ARGUMENT and UNIMPLEMENTED name the field.
struct PlanStep {
  const char* name;
  StepTime time;
  Status (*apply)(const SpecInputs& in, oci::Spec& spec);
};
// In their order, those of kCreate first. A step that adds devices or mounts is
// one of kStart: it comes after those that write these lists anew.
const std::vector<PlanStep>& PlanSteps();

// All that can be said of a container before it starts: the steps of kCreate.
StatusOr<oci::Spec> PlanSpec(const SpecInputs& in);
// One of them again, for limits that have been changed since.
Status PlanLimits(const SpecInputs& in, oci::Spec& spec);
// What only a start knows: the steps of kStart.
Status BindSpec(const SpecInputs& in, oci::Spec& spec);

// The program and its arguments, from request and image; INVALID_ARGUMENT if
// neither has any.
StatusOr<std::vector<std::string>> CommandLine(
    const state::v1::ContainerConfig& config,
    const state::v1::ImageConfig& image);

// "NAME=value" entries; the last of equal names wins.
std::vector<std::string> MergeEnv(const std::vector<std::string>& first,
                                  const std::vector<std::string>& second);

}  // namespace berth::sandbox

#endif  // SANDBOX_SPEC_SPEC_BUILDER_H_
