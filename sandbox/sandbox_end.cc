#include "sandbox/sandbox_end.h"

#include <string>
#include <utility>
#include <vector>

#include "base/failpoint.h"
#include "sandbox/container_end.h"
#include "sandbox/record/phase.h"

namespace berth::sandbox {
namespace {

using namespace ::berth::state::v1;

// All at once, then each until it is gone.
Status KillContainers(const Context& ctx, Core& core, const SandboxId& id) {
  const std::vector<ContainerStatus> containers =
      core.inventory.ContainersOf(id);
  if (containers.size() > 1) {
    for (const ContainerStatus& container : containers) {
      KillContainer(core, ContainerId(container->id()));
    }
  }
  for (const ContainerStatus& container : containers) {
    const ContainerId container_id(container->id());
    KeyedMutex::Lock lock(core.container_locks, container_id.str());
    RETURN_IF_ERROR(EndContainer(ctx, core, container_id, lock, Duration(0)));
  }
  return OkStatus();
}

}  // namespace

Status ReleaseAll(const Context& ctx, Core& core, SandboxRecord& sandbox) {
  while (sandbox.begun_size() > 0) {
    const std::string name = sandbox.begun(sandbox.begun_size() - 1);
    SandboxResource* resource = core.FindResource(name);
    if (resource != nullptr) {
      RETURN_IF_ERROR_AS(resource->Release(ctx, sandbox), "release " + name);
    }
    sandbox.mutable_begun()->RemoveLast();
  }
  return OkStatus();
}

Status EndSandbox(const Context& ctx, Core& core, SandboxRecord& sandbox) {
  const SandboxId id(sandbox.id());
  if (sandbox.phase() == SANDBOX_PHASE_STOPPED ||
      sandbox.phase() == SANDBOX_PHASE_REMOVING) {
    return OkStatus();
  }
  const bool was_ready = sandbox.phase() == SANDBOX_PHASE_READY;
  if (sandbox.phase() != SANDBOX_PHASE_CREATED) {
    sandbox.set_phase(SANDBOX_PHASE_STOPPING);
    RETURN_IF_ERROR(core.records.Save(sandbox));
    RETURN_IF_ERROR(Failpoint("sandbox.stop.recorded"));
  }
  RETURN_IF_ERROR_AS(KillContainers(ctx, core, id), "stop sandbox " + id.str());
  RETURN_IF_ERROR(Failpoint("sandbox.stop.containers"));
  const Status released = ReleaseAll(ctx, core, sandbox);
  if (!released.ok()) {
    LogFailure("stop sandbox " + id.str(), core.records.Save(sandbox));
    return Annotate(released, "stop sandbox " + id.str());
  }
  RETURN_IF_ERROR(Failpoint("sandbox.stop.released"));
  sandbox.set_phase(SANDBOX_PHASE_STOPPED);
  if (sandbox.stopped_at() == 0) sandbox.set_stopped_at(Now());
  sandbox.set_pod_pid(0);
  sandbox.clear_namespaces();
  sandbox.clear_shim();
  sandbox.clear_network();
  RETURN_IF_ERROR(core.records.Save(sandbox));
  if (was_ready) core.Publish(Event::Type::kSandboxStopped, sandbox);
  return OkStatus();
}

Status EraseSandbox(const Context& ctx, Core& core, SandboxRecord& sandbox) {
  const SandboxId id(sandbox.id());
  RETURN_IF_ERROR(EndSandbox(ctx, core, sandbox));
  sandbox.set_phase(SANDBOX_PHASE_REMOVING);
  RETURN_IF_ERROR(core.records.Save(sandbox));
  RETURN_IF_ERROR(Failpoint("sandbox.remove.recorded"));
  for (const ContainerStatus& container : core.inventory.ContainersOf(id)) {
    const ContainerId container_id(container->id());
    KeyedMutex::Lock lock(core.container_locks, container_id.str());
    RETURN_IF_ERROR(EraseContainer(ctx, core, container_id, lock));
  }
  RETURN_IF_ERROR(Failpoint("sandbox.remove.containers"));
  RETURN_IF_ERROR(core.records.Erase(id));
  core.names.Release(NameOf(sandbox.config()), sandbox.id());
  core.Publish(Event::Type::kSandboxRemoved, sandbox);
  return OkStatus();
}

}  // namespace berth::sandbox
