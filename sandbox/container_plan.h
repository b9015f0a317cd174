#ifndef SANDBOX_CONTAINER_PLAN_H_
#define SANDBOX_CONTAINER_PLAN_H_

#include <string>
#include <vector>

#include "base/status.h"
#include "image/rootfs_provider.h"
#include "oci/spec/spec.h"
#include "sandbox/core.h"
#include "sandbox/inventory.h"
#include "shim/shim.h"

namespace berth::sandbox {

// Create's half. Looks up what a container's specification depends on (users in
// its root file system, profiles), goes through the steps of kCreate in
// spec_builder.h, and writes into the record (unsaved) what they come to: the
// plan, and what is in force of user, argv, stop signal and log.
StatusOr<oci::Spec> PlanContainer(Core& core, const SandboxRecord& sandbox,
                                  ContainerRecord& container,
                                  const state::v1::ImageConfig& image);
// What PlanContainer wrote. NOT_FOUND in a record that an older daemon made.
StatusOr<oci::Spec> SavedPlan(const ContainerRecord& container);

// Start's half, the steps of kStart: what only a start knows, which is
// namespaces, sources of mounts and numbers of devices on the host, and the
// cgroup (into the record too).
//
// `sandbox` may not have been started yet: then paths of namespaces are
// placeholders, and the specification is good for finding errors only.
StatusOr<oci::Spec> BindPlan(const Context& ctx, Core& core,
                             const SandboxRecord& sandbox,
                             ContainerRecord& container, oci::Spec plan,
                             const std::vector<std::string>& image_roots);

// Has the kernel know the profile of AppArmor that a process is to have, if it
// is ours.
Status KeepProfile(const Context& ctx, const Core& core,
                   const oci::ProcessSpec& process);

// What it runs with by its bundle, or would by its plan; empty if neither can
// be read. To be shown.
oci::Spec KnownSpec(const Core& core, const ContainerRecord& container);

// The limits of the record's configuration, into its plan if it has one.
Status PlanNewLimits(const Core& core, ContainerRecord& container);

// Where the streams of its first process go. Makes the fifo of its input.
StatusOr<shim::Stdio> PlanStdio(const Context& ctx, Core& core,
                                const ContainerRecord& container);

// /etc/passwd or /etc/group of the container; empty if it has none.
StatusOr<std::string> ReadUserFile(Core& core, const ContainerRecord& container,
                                   const std::string& path);

}  // namespace berth::sandbox

#endif  // SANDBOX_CONTAINER_PLAN_H_
