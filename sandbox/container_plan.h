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

// Looks up all that a container's specification depends on (users in its root
// file system, sources of mounts, devices, profiles) and builds it. Writes
// what is in force into the record: user, argv, stop signal, log, cgroup.
//
// `sandbox` may not have been started yet: then paths of namespaces are
// placeholders, and the specification is good for finding errors only.
StatusOr<oci::Spec> PlanContainer(const Context& ctx, Core& core,
                                  const SandboxRecord& sandbox,
                                  ContainerRecord& container,
                                  const image::Rootfs& rootfs,
                                  const std::vector<std::string>& image_roots);

// Where the streams of its first process go. Makes the fifo of its input.
StatusOr<shim::Stdio> PlanStdio(const Context& ctx, Core& core,
                                const SandboxRecord& sandbox,
                                const ContainerRecord& container);

// /etc/passwd or /etc/group of the container; empty if it has none.
StatusOr<std::string> ReadUserFile(Core& core, const ContainerRecord& container,
                                   const std::string& path);

}  // namespace berth::sandbox

#endif  // SANDBOX_CONTAINER_PLAN_H_
