// Verbs on a container that runs: Stop, Kill, Freeze, Update, Wait.
#include <memory>
#include <utility>

#include "base/strings.h"
#include "oci/cgroup/cgroup.h"
#include "oci/spec/serialize.h"
#include "oci/spec/validate.h"
#include "sandbox/container_end.h"
#include "sandbox/container_manager.h"
#include "sandbox/core.h"
#include "sandbox/record/phase.h"
#include "sandbox/spec/limits.h"

namespace berth::sandbox {
namespace {

using namespace ::berth::state::v1;

// A container and its task, for a verb that needs it running.
struct Running {
  ContainerRecord record;
  std::shared_ptr<LiveTask> live;
};

StatusOr<Running> FindRunning(const Core& core, const ContainerId& id,
                              const std::string& verb) {
  const std::string what = verb + " container " + id.str();
  const ContainerStatus now = core.inventory.FindContainer(id);
  if (!now || now->phase() == CONTAINER_PHASE_CREATING) {
    return NotFound(what + ": no such container");
  }
  if (now->phase() != CONTAINER_PHASE_RUNNING &&
      now->phase() != CONTAINER_PHASE_STOPPING) {
    return FailedPrecondition(what + ": not running");
  }
  std::shared_ptr<LiveTask> live = core.tasks.Find(id);
  if (!live) return Unavailable(what + ": no shim");
  return Running{*now, std::move(live)};
}

}  // namespace

Status ContainerManager::Stop(const Context& ctx, const ContainerId& id,
                              Duration grace) {
  Core& core = world_.core();
  KeyedMutex::Lock lock(core.container_locks, id.str());
  return EndContainer(ctx, core, id, lock, grace);
}

Status ContainerManager::Kill(const Context& ctx, const ContainerId& id,
                              int signal) {
  Core& core = world_.core();
  // Without the lock: a signal must get through to what is being stopped.
  ASSIGN_OR_RETURN(const Running running, FindRunning(core, id, "kill"));
  return running.live->task().Kill(ctx, signal, false);
}

Status ContainerManager::Freeze(const Context& ctx, const ContainerId& id,
                                bool frozen) {
  Core& core = world_.core();
  KeyedMutex::Lock lock(core.container_locks, id.str());
  ASSIGN_OR_RETURN(Running running,
                   FindRunning(core, id, frozen ? "pause" : "resume"));
  if (running.record.paused() == frozen) {
    return FailedPrecondition("container " + id.str() +
                              (frozen ? ": paused already" : ": not paused"));
  }
  RETURN_IF_ERROR(running.live->task().Freeze(ctx, frozen));
  running.record.set_paused(frozen);
  RETURN_IF_ERROR(core.records.Save(running.record));
  core.Publish(
      frozen ? Event::Type::kContainerPaused : Event::Type::kContainerResumed,
      running.record);
  return OkStatus();
}

Status ContainerManager::Update(const Context& ctx, const ContainerId& id,
                                const Resources& limits) {
  Core& core = world_.core();
  const std::string what = "update container " + id.str();
  KeyedMutex::Lock lock(core.container_locks, id.str());
  const ContainerStatus now = core.inventory.FindContainer(id);
  if (!now || now->phase() == CONTAINER_PHASE_CREATING) {
    return NotFound(what + ": no such container");
  }
  if (now->phase() == CONTAINER_PHASE_REMOVING) {
    return FailedPrecondition(what + ": being removed");
  }
  ContainerRecord container = *now;
  *container.mutable_config()->mutable_resources() =
      Merge(container.config().resources(), limits);
  ASSIGN_OR_RETURN_AS(const oci::Resources change,
                      ToOci(limits, core.host.hugetlb), what);
  RETURN_IF_ERROR_AS(oci::ValidateResources(change), what);
  if (IsAlive(container.phase())) {
    const std::shared_ptr<LiveTask> live = core.tasks.Find(id);
    if (!live) return Unavailable(what + ": no shim");
    RETURN_IF_ERROR(live->task().Update(ctx, oci::SerializeResources(change)));
  }
  RETURN_IF_ERROR(core.records.Save(container));
  core.Publish(Event::Type::kContainerUpdated, container);
  return OkStatus();
}

StatusOr<ContainerStatus> ContainerManager::Wait(const Context& ctx,
                                                 const ContainerId& id) {
  return world_.core().records.Await(
      ctx, id, [](const ContainerRecord& container) {
        return container.phase() == CONTAINER_PHASE_EXITED;
      });
}

StatusOr<std::vector<int>> ContainerManager::Pids(const ContainerId& id) const {
  Core& core = world_.core();
  ASSIGN_OR_RETURN(const Running running, FindRunning(core, id, "list"));
  ASSIGN_OR_RETURN(const std::string path,
                   oci::CgroupPath(running.record.cgroup(), id.str()));
  ASSIGN_OR_RETURN(const std::unique_ptr<oci::Cgroup> cgroup,
                   oci::OpenCgroup(core.cgroups, path));
  ASSIGN_OR_RETURN(const std::vector<pid_t> pids, cgroup->Pids());
  return std::vector<int>(pids.begin(), pids.end());
}

}  // namespace berth::sandbox
