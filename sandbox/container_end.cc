#include "sandbox/container_end.h"

#include <errno.h>
#include <signal.h>

#include <memory>
#include <utility>

#include "base/failpoint.h"
#include "base/strings.h"
#include "glog/logging.h"
#include "oci/cgroup/cgroup.h"
#include "sandbox/container_mounts.h"
#include "sandbox/record/files.h"
#include "sandbox/record/phase.h"

namespace berth::sandbox {
namespace {

using namespace ::berth::state::v1;

constexpr std::chrono::seconds kShimTime{10};
// Drains output that a background process may hold open (shim-side limit 10).
constexpr std::chrono::seconds kDeleteTime{30};
// A killed process that is not gone by then hangs in the kernel.
constexpr std::chrono::seconds kKillTime{60};

StatusOr<std::unique_ptr<oci::Cgroup>> CgroupOf(
    const Core& core, const ContainerRecord& container) {
  ASSIGN_OR_RETURN(const std::string path,
                   oci::CgroupPath(container.cgroup(), container.id()));
  return oci::OpenCgroup(core.cgroups, path);
}

// Whether the kernel killed something in it for want of memory. Asked before
// the task is deleted, and its cgroup with it.
bool WasOomKilled(const Core& core, const ContainerRecord& container) {
  const auto cgroup = CgroupOf(core, container);
  if (!cgroup.ok()) return false;
  const auto stats = (*cgroup)->Stats();
  return stats.ok() && stats->memory.oom_kills > 0;
}

std::string ReasonOf(const ContainerRecord& container) {
  if (container.oom_killed()) return "OOMKilled";
  return container.exit_code() == 0 ? "Completed" : "Error";
}

// Frees the task at the shim: its cgroup, its runtime state, its root mount.
void DeleteTask(Core& core, const ContainerId& id) {
  const std::shared_ptr<LiveTask> live = core.tasks.Find(id);
  core.tasks.Erase(id);
  if (!live) return;
  const Status deleted =
      live->task()
          .Delete(Context::Background(id.str()).WithTimeout(kDeleteTime))
          .status();
  LogFailure("delete task of container " + id.str(), IgnoreNotFound(deleted));
}

bool Exited(const ContainerRecord& container) {
  return !IsAlive(container.phase());
}

}  // namespace

void LogFailure(const std::string& doing, const Status& status) {
  if (!status.ok()) LOG(WARNING) << doing << ": " << Message(status);
}

Status SendStopSignal(Core& core, ContainerRecord& container) {
  const ContainerId id(container.id());
  const std::shared_ptr<LiveTask> live = core.tasks.Find(id);
  if (!live) return Unavailable("stop container " + id.str() + ": no shim");
  const Context ctx = Context::Background(id.str()).WithTimeout(kShimTime);
  if (container.paused()) {
    // A frozen process cannot act on a signal.
    RETURN_IF_ERROR(live->task().Freeze(ctx, false));
    container.set_paused(false);
  }
  const int signal =
      container.stop_signal() > 0 ? container.stop_signal() : SIGTERM;
  return IgnoreNotFound(live->task().Kill(ctx, signal, false));
}

void KillContainer(Core& core, const ContainerId& id) {
  const ContainerStatus container = core.inventory.FindContainer(id);
  if (!container || !IsAlive(container->phase())) return;
  const Context ctx = Context::Background(id.str()).WithTimeout(kShimTime);
  Status killed = Unavailable("no shim");
  if (const std::shared_ptr<LiveTask> live = core.tasks.Find(id)) {
    killed = IgnoreNotFound(live->task().Kill(ctx, SIGKILL, true));
  }
  if (killed.ok() && !container->paused()) return;
  const auto cgroup = CgroupOf(core, *container);
  if (cgroup.ok()) killed = (*cgroup)->Signal(SIGKILL);
  LogFailure("kill container " + id.str(), killed);
}

void OnExit(Core& core, const ContainerId& id,
            const StatusOr<shim::ExitStatus>& exit) {
  KeyedMutex::Lock lock(core.container_locks, id.str());
  const ContainerStatus now = core.inventory.FindContainer(id);
  if (!now || !IsAlive(now->phase())) return;
  ContainerRecord container = *now;
  Status recorded;
  if (exit.ok()) {
    recorded = RecordExit(core, container, *exit);
  } else {
    KillContainer(core, id);
    recorded = RecordExit(
        core, container, shim::ExitStatus{kLostExitCode, Now()},
        EndReason{"Unknown", "shim lost: " + Message(exit.status())});
  }
  LogFailure("record exit of container " + id.str(), recorded);
}

Status RecordExit(Core& core, ContainerRecord& container,
                  const shim::ExitStatus& exit, const EndReason& why) {
  const ContainerId id(container.id());
  core.kills.Disarm(id);
  if (container.finished_at() == 0) {
    // First the code: once the task is deleted, only we know it.
    container.set_exit_code(static_cast<int32_t>(exit.code));
    container.set_finished_at(exit.at > 0 ? exit.at : Now());
    container.set_oom_killed(exit.code != 0 && WasOomKilled(core, container));
    container.set_reason(why.reason.empty() ? ReasonOf(container) : why.reason);
    container.set_message(why.message);
    RETURN_IF_ERROR(core.records.Save(container));
    RETURN_IF_ERROR(Failpoint("container.exit.recorded"));
  }
  DeleteTask(core, id);
  RETURN_IF_ERROR(Failpoint("container.exit.deleted"));
  container.set_phase(CONTAINER_PHASE_EXITED);
  container.set_task(false);
  container.set_pid(0);
  container.set_paused(false);
  container.set_kill_at(0);
  RETURN_IF_ERROR(core.records.Save(container));
  RETURN_IF_ERROR(Failpoint("container.exit.saved"));
  core.Publish(Event::Type::kContainerExited, container, container.reason());
  if (container.oom_killed()) {
    core.Publish(Event::Type::kContainerOom, container);
  }
  LogFailure("clean up container " + id.str(), CleanState(core, container));
  return OkStatus();
}

Status CleanState(Core& core, const ContainerRecord& container) {
  const std::string state = core.paths.ContainerState(container.id());
  // The shim unmounts it with the task; a lost one left it behind.
  RETURN_IF_ERROR(IgnoreNotFound(DetachMounts(state + "/rootfs")));
  RETURN_IF_ERROR(UnmountImages(core, container));
  return RemoveTree(state);
}

Status EndContainer(const Context& ctx, Core& core, const ContainerId& id,
                    KeyedMutex::Lock& lock, Duration grace) {
  const ContainerStatus now = core.inventory.FindContainer(id);
  if (!now || Exited(*now)) return OkStatus();
  ContainerRecord container = *now;
  const bool first = container.phase() == CONTAINER_PHASE_RUNNING;
  if (first) {
    container.set_phase(CONTAINER_PHASE_STOPPING);
    container.set_kill_at(Now() + grace.count());
    RETURN_IF_ERROR(core.records.Save(container));
    RETURN_IF_ERROR(Failpoint("container.stop.recorded"));
  }
  if (grace.count() > 0) {
    core.kills.Arm(id, std::chrono::steady_clock::now() + grace);
    // Once: a program may take a second signal for "now at once".
    if (first) {
      const bool paused = container.paused();
      LogFailure("stop container " + id.str(), SendStopSignal(core, container));
      if (paused != container.paused()) {
        RETURN_IF_ERROR(core.records.Save(container));
      }
    }
  } else {
    core.kills.Disarm(id);
    KillContainer(core, id);
  }
  RETURN_IF_ERROR(Failpoint("container.stop.signalled"));
  // Others get in meanwhile: the exit's record, and a harder Stop.
  lock.Give();
  const Status ended =
      core.records.Await(ctx.WithTimeout(grace + kKillTime), id, Exited)
          .status();
  lock.Retake();
  return IgnoreNotFound(ended);
}

Status EraseContainer(const Context& ctx, Core& core, const ContainerId& id,
                      KeyedMutex::Lock& lock) {
  RETURN_IF_ERROR(EndContainer(ctx, core, id, lock, Duration(0)));
  const ContainerStatus now = core.inventory.FindContainer(id);
  if (!now) return OkStatus();
  ContainerRecord container = *now;
  container.set_phase(CONTAINER_PHASE_REMOVING);
  RETURN_IF_ERROR(core.records.Save(container));
  RETURN_IF_ERROR(Failpoint("container.remove.recorded"));
  core.waiting.Abandon(id);
  DeleteTask(core, id);
  RETURN_IF_ERROR(CleanState(core, container));
  for (const std::string& key : container.image_mount_keys()) {
    RETURN_IF_ERROR_AS(core.parts.images.Release(key),
                       "release image mount " + key);
  }
  RETURN_IF_ERROR_AS(core.parts.images.Release(container.snapshot_key()),
                     "release root file system of container " + id.str());
  RETURN_IF_ERROR(Failpoint("container.remove.rootfs"));
  RETURN_IF_ERROR(RemoveTree(core.paths.ContainerRoot(id.str())));
  RETURN_IF_ERROR(core.records.Erase(id));
  core.names.Release(NameOf(container.sandbox_id(), container.config()),
                     id.str());
  core.Publish(Event::Type::kContainerRemoved, container);
  return OkStatus();
}

void LoseSandbox(Core& core, const SandboxId& id,
                 const std::weak_ptr<shim::Shim>& which, const Status& why) {
  KeyedMutex::Lock lock(core.sandbox_locks, id.str());
  const std::shared_ptr<shim::Shim> lost = which.lock();
  const SandboxStatus now = core.inventory.FindSandbox(id);
  if (!lost || lost != core.shims.Find(id.str()) || !now ||
      now->phase() != SANDBOX_PHASE_READY) {
    return;
  }
  SandboxRecord sandbox = *now;
  LOG(WARNING) << "sandbox " << id.str()
               << ": its shim is lost: " << Message(why);
  // What it owns is still there: Stop gives it back.
  sandbox.set_phase(SANDBOX_PHASE_STOPPING);
  sandbox.set_reason("ShimLost");
  sandbox.set_message(Message(why));
  sandbox.set_stopped_at(Now());
  core.shims.Erase(id.str());
  LogFailure("record loss of sandbox " + id.str(), core.records.Save(sandbox));
  core.Publish(Event::Type::kSandboxStopped, sandbox);
}

}  // namespace berth::sandbox
