// What plugins (NRI) are shown of our records, and what of theirs is ours.
// Pure.
#ifndef SANDBOX_NRI_SHOW_H_
#define SANDBOX_NRI_SHOW_H_

#include "api/nri/api.pb.h"
#include "api/state/v1/state.pb.h"
#include "base/status.h"
#include "nri/messages.h"
#include "oci/spec/resources.h"
#include "oci/spec/spec.h"

namespace berth::sandbox {

nri::api::PodSandbox ShowPod(const state::v1::SandboxRecord& sandbox);

// `spec`: as far as it is known; what it says of the process, mounts, devices,
// limits and the rest is shown.
nri::api::Container ShowContainer(const state::v1::ContainerRecord& container,
                                  const oci::Spec& spec);

nri::api::LinuxResources ShowResources(const oci::Resources& resources);

// The limits among what a plugin wants: a value of 0 sets no limit. Kernel
// memory and hierarchies are left out, as every runtime does. UNIMPLEMENTED for
// classes of block I/O and of caches (blockio_class, rdt_class).
StatusOr<state::v1::Resources> LimitsOf(
    const nri::api::LinuxResources& resources);

}  // namespace berth::sandbox

#endif  // SANDBOX_NRI_SHOW_H_
