// Verbs on a container that runs: Stop, Kill, Freeze, Wait.
#include <memory>
#include <optional>
#include <utility>

#include "oci/cgroup/cgroup.h"
#include "sandbox/container_end.h"
#include "sandbox/container_manager.h"
#include "sandbox/core.h"
#include "sandbox/record/phase.h"
#include "sandbox/running.h"
#include "sandbox/step.h"

namespace berth::sandbox {

using namespace ::berth::state::v1;

Status ContainerManager::Stop(const Context& ctx, const ContainerId& id,
                              Duration grace, const HowToStop& how) {
  Core& core = world_.core();
  const ContainerStatus seen = core.inventory.FindContainer(id);
  if (!seen) return OkStatus();
  std::optional<uint64_t> run = how.run;
  if (!run && IsAlive(seen->phase())) run = seen->run();
  // Before the lock: a Start that hangs holds it.
  if (grace.count() <= 0 && run) KillContainer(core, {id, *run});
  ASSIGN_OR_RETURN(KeyedMutex::Lock lock,
                   core.container_locks.Acquire(ctx, id.str()));
  const ContainerStatus now = core.inventory.FindContainer(id);
  if (now && run && now->run() != *run) return OkStatus();
  return StepError(EndContainer(ctx, core, id, lock, grace, how.signal),
                   "stop container " + id.str());
}

Status ContainerManager::Kill(const Context& ctx, const ContainerId& id,
                              int signal) {
  Core& core = world_.core();
  ASSIGN_OR_RETURN(const Running running, FindRunning(core, id, "kill"));
  return StepError(running.live->task().Kill(ctx, signal, false),
                   "kill container " + id.str());
}

Status ContainerManager::Freeze(const Context& ctx, const ContainerId& id,
                                bool frozen) {
  Core& core = world_.core();
  const std::string verb = frozen ? "pause" : "resume";
  ASSIGN_OR_RETURN(HeldContainer held, core.records.Hold(ctx, id, verb));
  ASSIGN_OR_RETURN(const Running running, FindRunning(core, id, verb));
  const std::string what = verb + " container " + id.str();
  if (held.record().paused() == frozen) {
    return FailedPrecondition(what +
                              (frozen ? ": paused already" : ": not paused"));
  }
  RETURN_IF_ERROR(StepError(running.live->task().Freeze(ctx, frozen), what));
  held.record().set_paused(frozen);
  core.records.Keep(held.record());
  core.Publish(
      frozen ? Event::Type::kContainerPaused : Event::Type::kContainerResumed,
      held.record());
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
                   oci::CgroupPath(running.record->cgroup(), id.str()));
  ASSIGN_OR_RETURN(const std::unique_ptr<oci::Cgroup> cgroup,
                   oci::OpenCgroup(core.cgroups, path));
  ASSIGN_OR_RETURN(const std::vector<pid_t> pids, cgroup->Pids());
  return std::vector<int>(pids.begin(), pids.end());
}

}  // namespace berth::sandbox
