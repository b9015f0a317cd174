#include "sandbox/sandbox_end.h"

#include <chrono>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/failpoint.h"
#include "base/thread.h"
#include "cni/network.h"
#include "sandbox/container_end.h"
#include "sandbox/plugin_hooks.h"
#include "sandbox/record/phase.h"
#include "sandbox/step.h"

namespace berth::sandbox {
namespace {

using namespace ::berth::state::v1;

constexpr std::chrono::seconds kDetachTime{60};

// All at once, then each until it is gone.
Status KillContainers(const Context& ctx, Core& core, const SandboxId& id) {
  const std::vector<ContainerStatus> containers =
      core.inventory.ContainersOf(id);
  // Without their locks: a Start that hangs holds one.
  for (const ContainerStatus& container : containers) {
    KillContainer(core, RunOf(*container));
  }
  for (const ContainerStatus& container : containers) {
    const ContainerId container_id(container->id());
    ASSIGN_OR_RETURN(KeyedMutex::Lock lock,
                     core.container_locks.Acquire(ctx, container_id.str()));
    RETURN_IF_ERROR(EndContainer(ctx, core, container_id, lock, Duration(0)));
    // A shim does not end while it holds a task.
    const ContainerStatus ended = core.inventory.FindContainer(container_id);
    if (ended && ended->task()) DeleteLeftTask(core, *ended);
  }
  return OkStatus();
}

Status ReleaseOne(const Context& ctx, SandboxResource& resource,
                  const SandboxRecord& sandbox) {
  return Annotate(resource.Release(ctx, sandbox), "release " + resource.name());
}

// The last two at once, as they were acquired: plugins take longer than all
// else together. What could not be released stays in `begun`.
Status ReleaseTogether(const Context& ctx, SandboxResource& network,
                       SandboxResource& shim, SandboxRecord& sandbox) {
  Status detached;
  const auto detach = [&] { detached = ReleaseOne(ctx, network, sandbox); };
  StatusOr<Thread> plugins = StartThread("release-network", detach);
  const Status ended = ReleaseOne(ctx, shim, sandbox);
  if (plugins.ok()) {
    plugins->Join();
  } else {
    detach();  // one after the other, then
  }
  sandbox.mutable_begun()->RemoveLast();
  sandbox.mutable_begun()->RemoveLast();
  if (!detached.ok()) sandbox.add_begun(network.name());
  if (!ended.ok()) sandbox.add_begun(shim.name());
  return detached.ok() ? ended : detached;
}

// Network and shim, if these are the last two.
bool EndsWithBoth(const SandboxRecord& sandbox) {
  const int count = sandbox.begun_size();
  return count >= 2 && sandbox.begun(count - 2) == "network" &&
         sandbox.begun(count - 1) == "shim" &&
         sandbox.config().namespaces().network() == NAMESPACE_MODE_POD;
}

}  // namespace

Status ReleaseAll(const Context& ctx, Core& core, SandboxRecord& sandbox) {
  if (EndsWithBoth(sandbox)) {
    RETURN_IF_ERROR(ReleaseTogether(ctx, *core.FindResource("network"),
                                    *core.FindResource("shim"), sandbox));
  }
  while (sandbox.begun_size() > 0) {
    const std::string name = sandbox.begun(sandbox.begun_size() - 1);
    SandboxResource* resource = core.FindResource(name);
    if (resource != nullptr) {
      RETURN_IF_ERROR(ReleaseOne(ctx, *resource, sandbox));
    }
    sandbox.mutable_begun()->RemoveLast();
  }
  return OkStatus();
}

void DetachLater(Core& core, const SandboxId& id) {
  const auto left = [&core, id]() -> StatusOr<bool> {
    ASSIGN_OR_RETURN(const std::set<std::string> attached,
                     core.parts.network.Attached());
    return attached.count(id.str()) > 0;
  };
  const StatusOr<bool> now = left();
  LogFailure("look for the network of sandbox " + id.str(), now.status());
  if (now.ok() && !*now) return;
  core.releases.Add(
      "detach sandbox " + id.str(),
      [&core, id, left](const Context& ctx) -> Status {
        cni::Attachment from;
        from.sandbox_id = id.str();
        RETURN_IF_ERROR(
            core.parts.network.Detach(ctx.WithTimeout(kDetachTime), from));
        ASSIGN_OR_RETURN(const bool still, left());
        return still ? Unavailable("its network has not taken it back")
                     : OkStatus();
      });
}

Status EndSandbox(const Context& ctx, Core& core, SandboxRecord& sandbox) {
  const SandboxId id(sandbox.id());
  if (sandbox.phase() == SANDBOX_PHASE_STOPPED ||
      sandbox.phase() == SANDBOX_PHASE_REMOVING) {
    return OkStatus();
  }
  // A try before this one told nobody, as it did not come to its end; the loss
  // of a sandbox is told at once.
  const bool untold =
      sandbox.phase() == SANDBOX_PHASE_READY ||
      (sandbox.phase() == SANDBOX_PHASE_STOPPING && sandbox.stopped_at() == 0);
  if (sandbox.phase() != SANDBOX_PHASE_CREATED) {
    sandbox.set_phase(SANDBOX_PHASE_STOPPING);
    core.records.Keep(sandbox);
    RETURN_IF_ERROR(Failpoint("sandbox.stop.recorded"));
  }
  RETURN_IF_ERROR(
      StepError(KillContainers(ctx, core, id), "stop sandbox " + id.str()));
  RETURN_IF_ERROR(Failpoint("sandbox.stop.containers"));
  LogFailure("tell plugins of sandbox " + id.str(),
             TellPlugins(ctx, core, nri::api::STOP_POD_SANDBOX, sandbox));
  const Status released = ReleaseAll(ctx, core, sandbox);
  if (!released.ok()) {
    core.records.Keep(sandbox);
    return StepError(released, "stop sandbox " + id.str());
  }
  RETURN_IF_ERROR(Failpoint("sandbox.stop.released"));
  sandbox.set_phase(SANDBOX_PHASE_STOPPED);
  if (sandbox.stopped_at() == 0) sandbox.set_stopped_at(Now());
  sandbox.set_pod_pid(0);
  sandbox.clear_namespaces();
  sandbox.clear_shim();
  sandbox.clear_network();
  sandbox.clear_more_networks();
  core.records.Keep(sandbox);
  core.network_names.Update(sandbox.config());
  if (untold) core.Publish(Event::Type::kSandboxStopped, sandbox);
  return OkStatus();
}

void ReleaseLevel(Core& core, const SandboxRecord& sandbox) {
  const std::string& level = sandbox.selinux_level();
  core.levels.Release(level, sandbox.id());
  for (const SandboxStatus& other : core.inventory.AllSandboxes()) {
    if (other->selinux_level() != level || other->id() == sandbox.id()) {
      continue;
    }
    core.levels.Put(level, other->id());
    return;
  }
}

Status EraseSandbox(const Context& ctx, Core& core, SandboxRecord& sandbox) {
  const SandboxId id(sandbox.id());
  RETURN_IF_ERROR(EndSandbox(ctx, core, sandbox));
  sandbox.set_phase(SANDBOX_PHASE_REMOVING);
  core.records.Keep(sandbox);
  RETURN_IF_ERROR(Failpoint("sandbox.remove.recorded"));
  for (const ContainerStatus& container : core.inventory.ContainersOf(id)) {
    const ContainerId container_id(container->id());
    ASSIGN_OR_RETURN(KeyedMutex::Lock lock,
                     core.container_locks.Acquire(ctx, container_id.str()));
    RETURN_IF_ERROR(StepError(EraseContainer(ctx, core, container_id, lock),
                              "remove container " + container_id.str()));
  }
  RETURN_IF_ERROR(Failpoint("sandbox.remove.containers"));
  ASSIGN_OR_RETURN(const Gate::Pass removing, KeepPluginsOut(ctx, core));
  LogFailure("tell plugins of sandbox " + id.str(),
             TellPlugins(ctx, core, nri::api::REMOVE_POD_SANDBOX, sandbox));
  core.records.Forget(id);
  core.names.Release(NameOf(sandbox.config()), sandbox.id());
  ReleaseLevel(core, sandbox);
  if (sandbox.config().namespaces().network() == NAMESPACE_MODE_POD) {
    DetachLater(core, id);
  }
  core.Publish(Event::Type::kSandboxRemoved, sandbox);
  return OkStatus();
}

}  // namespace berth::sandbox
