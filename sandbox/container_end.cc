#include "sandbox/container_end.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

#include <memory>
#include <utility>

#include "base/failpoint.h"
#include "base/strings.h"
#include "base/sys/file.h"
#include "base/sys/mount.h"
#include "base/sys/mount_table.h"
#include "glog/logging.h"
#include "oci/cgroup/cgroup.h"
#include "sandbox/container_mounts.h"
#include "sandbox/plugin_hooks.h"
#include "sandbox/record/files.h"
#include "sandbox/record/phase.h"
#include "sandbox/resource/cgroup_parent.h"

namespace berth::sandbox {
namespace {

using namespace ::berth::state::v1;

constexpr std::chrono::seconds kShimTime{10};
// A kill that the start of a container waits for.
constexpr std::chrono::seconds kAskTime{2};
// Drains output that a background process may hold open (shim-side limit 10).
constexpr std::chrono::seconds kDeleteTime{30};
// A killed process that is not gone by then hangs in the kernel.
constexpr std::chrono::seconds kKillTime{60};
// Silences of a shim that answers, but does not end what was killed.
constexpr int kPatience = 6;

// What was mounted below a folder for a while by whoever died meanwhile.
Status DetachBelow(const std::string& folder) {
  constexpr size_t kMaxTable = 64 << 20;
  const std::unique_ptr<char, void (*)(void*)> real(
      realpath(folder.c_str(), nullptr), free);
  if (real == nullptr) return Errno(errno, "realpath " + Quoted(folder));
  ASSIGN_OR_RETURN(const std::string table,
                   ReadFile("/proc/self/mountinfo", kMaxTable));
  const std::vector<MountEntry> mounts = ParseMountTable(table);
  const std::string below = std::string(real.get()) + "/";
  for (auto mount = mounts.rbegin(); mount != mounts.rend(); ++mount) {
    if (!StartsWith(mount->point, below)) continue;
    RETURN_IF_ERROR(
        IgnoreNotFound(Unmount(mount->point, MNT_DETACH | UMOUNT_NOFOLLOW)));
  }
  return OkStatus();
}

StatusOr<std::unique_ptr<oci::Cgroup>> CgroupOf(
    const Core& core, const ContainerRecord& container) {
  ASSIGN_OR_RETURN(const std::string path,
                   oci::CgroupPath(container.cgroup(), container.id()));
  return oci::OpenCgroup(core.cgroups, path);
}

// Rather than a path that a plugin gave, which others may have as well.
bool IsOwnCgroup(const Core& core, const ContainerRecord& container) {
  if (container.cgroup().empty()) return true;  // named after its id
  const SandboxStatus sandbox =
      core.inventory.FindSandbox(SandboxId(container.sandbox_id()));
  return sandbox && container.cgroup() ==
                        ContainerCgroup(sandbox->cgroup(), container.id());
}

// What is in it is the container's alone.
StatusOr<std::unique_ptr<oci::Cgroup>> OwnCgroupOf(
    const Core& core, const ContainerRecord& container) {
  if (!IsOwnCgroup(core, container)) {
    return FailedPrecondition("cgroup " + container.cgroup() +
                              " may be that of others as well");
  }
  return CgroupOf(core, container);
}

// It goes with the task; but a shim that was asked for one by a daemon that
// died, or was slow, may have made it after it was told to forget the task. The
// process in it then waits for ever to be started.
Status RemoveLeftCgroup(const Core& core, const ContainerRecord& container) {
  const auto cgroup = CgroupOf(core, container);
  if (!cgroup.ok()) return OkStatus();
  if (!IsOwnCgroup(core, container)) {
    const auto others = (*cgroup)->Pids();
    if (others.ok() && !others->empty()) return OkStatus();  // it is theirs now
    LogFailure("remove cgroup of container " + container.id(),
               (*cgroup)->Remove());
    return OkStatus();
  }
  LogFailure("kill what is left of container " + container.id(),
             (*cgroup)->Signal(SIGKILL));
  return (*cgroup)->Remove();
}

// Whether the kernel killed something in it for want of memory. Asked before
// the task is deleted, and its cgroup with it; one of systemd's is gone as soon
// as it is empty.
bool WasOomKilled(const Core& core, const ContainerRecord& container) {
  const std::string mark =
      core.paths.ContainerState(container.id()) + "/" + shim::kOomMark;
  if (access(mark.c_str(), F_OK) == 0) return true;
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

// The container if it is in that run; null otherwise.
ContainerStatus AliveIn(const Core& core, const ContainerRun& run) {
  const ContainerStatus now = core.inventory.FindContainer(run.id);
  return now && IsAlive(now->phase()) && now->run() == run.number ? now
                                                                  : nullptr;
}

bool Exited(const ContainerRecord& container) {
  return !IsAlive(container.phase());
}

}  // namespace

void LogFailure(const std::string& doing, const Status& status) {
  if (!status.ok()) LOG(WARNING) << doing << ": " << Message(status);
}

void Passed(const char* failpoint) {
  LogFailure("go on", Failpoint(failpoint));
}

ContainerRun RunOf(const ContainerRecord& container) {
  return {ContainerId(container.id()), container.run()};
}

Status SendStopSignal(Core& core, ContainerRecord& container, int signal) {
  const ContainerId id(container.id());
  const std::shared_ptr<LiveTask> live = core.tasks.Find(id);
  if (!live) return Unavailable("stop container " + id.str() + ": no shim");
  const Context ctx = Context::Background(id.str()).WithTimeout(kShimTime);
  if (container.paused()) {
    // A frozen process cannot act on a signal.
    RETURN_IF_ERROR(live->task().Freeze(ctx, false));
    container.set_paused(false);
  }
  if (signal == 0) signal = container.stop_signal();
  if (signal <= 0) signal = SIGTERM;
  return IgnoreNotFound(live->task().Kill(ctx, signal, false));
}

void KillContainer(Core& core, const ContainerRun& run) {
  const ContainerId& id = run.id;
  // Its cgroup has the name of the next run's.
  const auto lock = core.runs.Acquire(Context::Background(id.str()), id.str());
  const ContainerStatus container = AliveIn(core, run);
  if (!container) return;
  core.kills.Killed(run);
  core.starts.Cancel(id);
  const auto cgroup = OwnCgroupOf(core, *container);
  if (cgroup.ok()) {
    const auto pids = (*cgroup)->Pids();
    const Status killed = (*cgroup)->Signal(SIGKILL);
    LogFailure("kill container " + id.str(), killed);
    const bool dead = killed.ok() && pids.ok() && !pids->empty();
    if (dead && container->phase() != CONTAINER_PHASE_STARTING) return;
  }
  // What runs in a machine of its own is in no cgroup of ours, and neither is
  // what makes the first process. The shim may be stuck, so nobody waits for
  // it; and the container may run again by then.
  core.exits.Run([&core, live = core.tasks.Find(id), container, run] {
    const ContainerId& id = run.id;
    if (!AliveIn(core, run)) return;
    const bool same = live ? live == core.tasks.Find(id)
                           : container == core.inventory.FindContainer(id);
    if (same) KillTask(core, *container);
  });
}

void OnGraceOver(Core& core, const ContainerRun& run) {
  const ContainerStatus container = AliveIn(core, run);
  if (!container) return;
  core.Publish(Event::Type::kContainerKilled, *container);
  KillContainer(core, run);
}

void KillTask(Core& core, const ContainerRecord& container) {
  const std::string& id = container.id();
  const Context ctx = Context::Background(id).WithTimeout(kAskTime);
  const auto kill = [&](shim::Task& task) {
    LogFailure("kill container " + id,
               IgnoreNotFound(task.Kill(ctx, SIGKILL, true)));
  };
  if (const auto live = core.tasks.Find(ContainerId(id))) {
    return kill(live->task());
  }
  const auto shim = core.shims.Find(container.sandbox_id());
  if (!shim) return;
  const auto task = shim->Find(ctx, id, "");
  if (task.ok()) kill(**task);
}

void OnSilence(Core& core, const ContainerRun& run, int rounds) {
  const ContainerId& id = run.id;
  const ContainerStatus container = AliveIn(core, run);
  if (!container) {
    core.kills.Disarm(run);
    return;
  }
  // A process that hangs in the kernel is not the shim's fault.
  const auto cgroup = OwnCgroupOf(core, *container);
  const auto pids = cgroup.ok() ? (*cgroup)->Pids() : std::vector<pid_t>();
  if (pids.ok() && !pids->empty()) return KillContainer(core, run);

  const auto shim = core.shims.Find(container->sandbox_id());
  if (!shim) {
    return OnExit(core, run, Unavailable("it does not say how this ended"));
  }
  const Context ctx =
      Context::Background(id.str()).WithTimeout(core.settings.shim_silence / 2);
  const auto task = shim->Find(ctx, id.str(), "");
  const auto state = task.ok() ? (*task)->State(ctx) : task.status();
  if (state.ok() && state->phase == shim::TaskPhase::kStopped) {
    return OnExit(core, run, state->exit);
  }
  const bool answers = state.ok() || IsNotFound(state.status());
  if (answers && rounds < kPatience) return KillContainer(core, run);
  LOG(WARNING) << "container " << id.str() << " was killed, but its shim "
               << (answers ? "does not end it" : "does not answer")
               << ": the shim is killed";
  const Status killed = shim->Kill();
  if (!killed.ok()) OnExit(core, run, killed);
}

void OnExit(Core& core, const ContainerRun& run,
            const StatusOr<shim::ExitStatus>& exit) {
  const ContainerId& id = run.id;
  const auto lock =
      core.container_locks.Acquire(Context::Background(id.str()), id.str());
  const ContainerStatus now = AliveIn(core, run);
  if (!now) return;
  ContainerRecord container = *now;
  Status recorded;
  if (exit.ok()) {
    recorded = RecordExit(core, container, *exit);
  } else {
    KillContainer(core, run);
    recorded = RecordExit(
        core, container, shim::ExitStatus{kLostExitCode, Now()},
        EndReason{"Unknown", "shim lost: " + Message(exit.status())});
  }
  LogFailure("clean up container " + id.str(), recorded);
}

Status RecordExit(Core& core, ContainerRecord& container,
                  const shim::ExitStatus& exit, const EndReason& why) {
  const ContainerId id(container.id());
  if (container.finished_at() == 0) {
    // First the code: once the task is deleted, only we know it.
    container.set_exit_code(static_cast<int32_t>(exit.code));
    container.set_finished_at(exit.at > 0 ? exit.at : Now());
    container.set_oom_killed(exit.code != 0 && WasOomKilled(core, container));
    container.set_reason(why.reason.empty() ? ReasonOf(container) : why.reason);
    container.set_message(why.message);
    core.records.Keep(container);
    Passed("container.exit.recorded");
  }
  const bool known = core.records.IsSaved(id);
  if (known) {
    DeleteTask(core, id);
    Passed("container.exit.deleted");
  }
  container.set_phase(CONTAINER_PHASE_EXITED);
  container.set_task(!known);
  container.set_pid(0);
  container.set_paused(false);
  container.set_kill_at(0);
  core.records.Keep(container);
  core.kills.Disarm(RunOf(container));
  Passed("container.exit.saved");
  core.Publish(Event::Type::kContainerExited, container, container.reason());
  if (container.oom_killed()) {
    core.Publish(Event::Type::kContainerOom, container);
  }
  TellPluginsOfEnd(core, container);
  return known ? CleanState(core, container) : OkStatus();
}

void FinishExit(Core& core, const ContainerId& id) {
  const auto lock =
      core.container_locks.Acquire(Context::Background(id.str()), id.str());
  const ContainerStatus now = core.inventory.FindContainer(id);
  if (!now || now->phase() != CONTAINER_PHASE_EXITED || !now->task() ||
      !core.records.IsSaved(id)) {
    return;
  }
  ContainerRecord container = *now;
  DeleteLeftTask(core, container);
  Passed("container.exit.deleted");
  container.set_task(false);
  core.records.Keep(container);
  LogFailure("clean up container " + id.str(), CleanState(core, container));
}

void DeleteLeftTask(Core& core, const ContainerRecord& container) {
  const ContainerId id(container.id());
  const auto shim = core.shims.Find(container.sandbox_id());
  if (container.task() && shim && !core.tasks.Find(id)) {
    const Context ctx = Context::Background(id.str()).WithTimeout(kShimTime);
    auto task = shim->Find(ctx, id.str(), "");
    if (task.ok()) {
      core.tasks.Put(id, std::make_shared<LiveTask>(shim, *std::move(task)));
    }
  }
  DeleteTask(core, id);
}

Status CleanState(Core& core, const ContainerRecord& container) {
  const std::string state = core.paths.ContainerState(container.id());
  // The shim unmounts it with the task; a lost one left it behind.
  RETURN_IF_ERROR(IgnoreNotFound(DetachMounts(state + "/rootfs")));
  RETURN_IF_ERROR(UnmountImages(core, container));
  const Status removed = RemoveTree(state);
  if (ErrnoOf(removed) != EXDEV && ErrnoOf(removed) != EBUSY) return removed;
  RETURN_IF_ERROR(DetachBelow(state));
  return RemoveTree(state);
}

Status EndContainer(const Context& ctx, Core& core, const ContainerId& id,
                    KeyedMutex::Lock& lock, Duration grace, int signal) {
  const ContainerStatus now = core.inventory.FindContainer(id);
  if (!now || Exited(*now)) return OkStatus();
  ContainerRecord container = *now;
  const ContainerRun run = RunOf(container);
  const bool first = container.phase() == CONTAINER_PHASE_RUNNING;
  if (first) {
    container.set_phase(CONTAINER_PHASE_STOPPING);
    container.set_paused(false);  // before it gets its signal
    container.set_kill_at(Now() + grace.count());
    core.records.Keep(container);
    Passed("container.stop.recorded");
  }
  if (grace.count() > 0) {
    core.kills.Arm(run, std::chrono::steady_clock::now() + grace);
  } else {
    KillContainer(core, run);
  }
  // Others get in meanwhile: the exit's record, and a harder Stop.
  lock.Give();
  // Once, unless it is asked for by name: a program may take a second signal
  // for "now at once".
  if ((first || signal != 0) && grace.count() > 0 && AliveIn(core, run)) {
    ContainerRecord before = *now;
    LogFailure("stop container " + id.str(),
               SendStopSignal(core, before, signal));
  }
  Status ended = Failpoint("container.stop.signalled");
  if (ended.ok()) {
    // Somebody may start it again at once: that is another run.
    const auto over = [&run](const ContainerRecord& it) {
      return Exited(it) || it.run() != run.number;
    };
    ended = core.records.Await(ctx.WithTimeout(grace + kKillTime), id, over)
                .status();
  }
  const Status retaken = lock.Retake(ctx);
  RETURN_IF_ERROR(IgnoreNotFound(ended));
  return retaken;
}

Status EraseContainer(const Context& ctx, Core& core, const ContainerId& id,
                      KeyedMutex::Lock& lock) {
  ContainerStatus now;
  do {  // it may have been started again meanwhile
    RETURN_IF_ERROR(EndContainer(ctx, core, id, lock, Duration(0)));
    now = core.inventory.FindContainer(id);
    if (!now) return OkStatus();
  } while (!Exited(*now));
  ContainerRecord container = *now;
  ASSIGN_OR_RETURN(const Gate::Pass removing, KeepPluginsOut(ctx, core));
  LogFailure("tell plugins of container " + id.str(),
             TellPlugins(ctx, core, nri::api::REMOVE_CONTAINER, container));
  container.set_phase(CONTAINER_PHASE_REMOVING);
  core.records.Keep(container);
  RETURN_IF_ERROR(Failpoint("container.remove.recorded"));
  core.waiting.Abandon(id);
  DeleteLeftTask(core, container);
  RETURN_IF_ERROR(CleanState(core, container));
  RETURN_IF_ERROR(RemoveLeftCgroup(core, container));
  for (const std::string& key : ImageMountKeys(container)) {
    RETURN_IF_ERROR_AS(core.parts.images.Release(ctx, key),
                       "release image mount " + key);
  }
  RETURN_IF_ERROR_AS(core.parts.images.Release(ctx, container.snapshot_key()),
                     "release root file system of container " + id.str());
  RETURN_IF_ERROR(Failpoint("container.remove.rootfs"));
  RETURN_IF_ERROR(RemoveTree(core.paths.ContainerRoot(id.str())));
  core.records.Forget(id);
  core.names.Release(NameOf(container.sandbox_id(), container.config()),
                     id.str());
  core.names.Release(StandaloneName(container.config().name()), id.str());
  core.Publish(Event::Type::kContainerRemoved, container);
  return OkStatus();
}

void LoseSandbox(Core& core, const SandboxId& id,
                 const std::weak_ptr<shim::Shim>& which, const Loss& loss) {
  const auto lock =
      core.sandbox_locks.Acquire(Context::Background(id.str()), id.str());
  const std::shared_ptr<shim::Shim> lost = which.lock();
  const SandboxStatus now = core.inventory.FindSandbox(id);
  if (!lost || lost != core.shims.Find(id.str()) || !now ||
      now->phase() != SANDBOX_PHASE_READY) {
    return;
  }
  SandboxRecord sandbox = *now;
  LOG(WARNING) << "sandbox " << id.str() << ": " << loss.reason << ": "
               << Message(loss.why);
  // What it owns is still there: Stop gives it back.
  sandbox.set_phase(SANDBOX_PHASE_STOPPING);
  sandbox.set_reason(loss.reason);
  sandbox.set_message(Message(loss.why));
  sandbox.set_stopped_at(Now());
  core.records.Keep(sandbox);
  core.Publish(Event::Type::kSandboxStopped, sandbox);
}

}  // namespace berth::sandbox
