// ContainerManager::Start: from a record to a running program.
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <utility>

#include "base/failpoint.h"
#include "base/strings.h"
#include "oci/spec/serialize.h"
#include "sandbox/container_end.h"
#include "sandbox/container_manager.h"
#include "sandbox/container_mounts.h"
#include "sandbox/container_plan.h"
#include "sandbox/core.h"
#include "sandbox/plugin_hooks.h"
#include "sandbox/record/files.h"
#include "sandbox/record/phase.h"
#include "sandbox/spec/spec_builder.h"
#include "sandbox/step.h"

namespace berth::sandbox {
namespace {

using namespace ::berth::state::v1;

// How long a start may take, besides its client's deadline. One that hangs (a
// volume's server has died) is killed then.
constexpr std::chrono::minutes kStartLimit{2};

// config.json, and the directory that the shim mounts the root on.
StatusOr<shim::CreateTask> WriteBundle(const Context& ctx, Core& core,
                                       const SandboxRecord& sandbox,
                                       ContainerRecord& container,
                                       const std::vector<std::string>& env) {
  ASSIGN_OR_RETURN_AS(image::Rootfs rootfs, AcquireRootfs(ctx, core, container),
                      "root file system");
  const std::string bundle = core.paths.ContainerState(container.id());
  RETURN_IF_ERROR(MakeDirectories(bundle + "/rootfs", 0700));
  unlink((bundle + "/" + shim::kOomMark).c_str());  // an earlier start's
  ASSIGN_OR_RETURN(const std::vector<std::string> image_roots,
                   MountImages(ctx, core, sandbox, container));
  StatusOr<oci::Spec> plan = SavedPlan(container);
  if (IsNotFound(plan.status())) {
    plan = PlanContainer(core, sandbox, container, rootfs.config);
  }
  RETURN_IF_ERROR(plan.status());
  ASSIGN_OR_RETURN(oci::Spec spec, BindPlan(ctx, core, sandbox, container,
                                            *std::move(plan), image_roots));
  RETURN_IF_ERROR(KeepProfile(ctx, core, *spec.process));
  if (!env.empty()) spec.process->env = MergeEnv(env, spec.process->env);
  RETURN_IF_ERROR(RelabelSources(ctx, container));
  RETURN_IF_ERROR(
      WriteSmallFile(bundle + "/config.json", oci::SerializeSpec(spec), 0600));
  // Apart, as every exec begins with it, and without the seccomp profile.
  RETURN_IF_ERROR(WriteSmallFile(bundle + "/process.json",
                                 oci::SerializeProcess(*spec.process), 0600));
  shim::CreateTask task;
  task.id = container.id();
  task.bundle = bundle;
  task.rootfs = std::move(rootfs.mounts);
  MapIds(sandbox, task.rootfs);
  LabelMounts(container.mount_label(), task.rootfs);
  ASSIGN_OR_RETURN(task.stdio, PlanStdio(ctx, core, container));
  container.set_bundle(bundle);
  return task;
}

// Those who attached before there was a process. One that has left again, or
// that cannot be joined, must not keep the container from starting.
void JoinWaiting(const Context& ctx, Core& core, const ContainerId& id) {
  const std::shared_ptr<LiveTask> live = core.tasks.Find(id);
  for (const auto& attachment : core.waiting.Take(id)) {
    const Status joined = attachment->Join(ctx, live);
    if (joined.ok()) continue;
    attachment->Abandon();
    LogFailure("attach to container " + id.str(), joined);
  }
}

// Its process is there, halted before the program.
Status TellOfStart(const Context& ctx, Core& core, ContainerRecord& container) {
  ASSIGN_OR_RETURN(
      const shim::TaskState created,
      core.tasks.Find(ContainerId(container.id()))->task().State(ctx));
  container.set_pid(created.pid);
  return TellPlugins(ctx, core, nri::api::START_CONTAINER, container);
}

// The steps that can be undone by RecordExit.
Status Launch(const Context& ctx, Core& core, const SandboxRecord& sandbox,
              ContainerRecord& container, const std::vector<std::string>& env) {
  const ContainerId id(container.id());
  ASSIGN_OR_RETURN(const shim::CreateTask create,
                   WriteBundle(ctx, core, sandbox, container, env));
  RETURN_IF_ERROR(Failpoint("container.start.bundle"));
  const std::shared_ptr<shim::Shim> shim = core.shims.Find(sandbox.id());
  if (!shim) return Unavailable("sandbox " + sandbox.id() + ": no shim");
  const bool told = PluginsWant(core, sandbox, nri::api::START_CONTAINER);
  if (told || core.waiting.Any(id)) {
    ASSIGN_OR_RETURN(std::unique_ptr<shim::Task> task,
                     shim->Create(ctx, create));
    core.tasks.Put(id, std::make_shared<LiveTask>(shim, std::move(task)));
    RETURN_IF_ERROR(Failpoint("container.start.task"));
    JoinWaiting(ctx, core, id);
    if (told) RETURN_IF_ERROR(TellOfStart(ctx, core, container));
    ASSIGN_OR_RETURN(const pid_t pid, core.tasks.Find(id)->task().Start(ctx));
    container.set_pid(pid);
  } else {
    ASSIGN_OR_RETURN(shim::RunningTask run, shim->Run(ctx, create));
    core.tasks.Put(id, std::make_shared<LiveTask>(shim, std::move(run.task)));
    container.set_pid(run.pid);
  }
  return Failpoint("container.start.executed");
}

// The program never ran: EXITED, so that the reason can be asked for.
void RecordFailure(Core& core, ContainerRecord& container,
                   const Status& failure) {
  const ContainerId id(container.id());
  KillContainer(core, RunOf(container));
  // The shim may still be at it.
  if (!core.tasks.Find(id)) KillTask(core, container);
  LogFailure(
      "clean up failed start of container " + container.id(),
      RecordExit(core, container, shim::ExitStatus{kStartErrorCode, Now()},
                 EndReason{"StartError", Message(failure)}));
}

// Its sandbox, if it may start there.
StatusOr<SandboxStatus> ReadySandbox(const Core& core,
                                     const ContainerRecord& container) {
  SandboxStatus sandbox =
      core.inventory.FindSandbox(SandboxId(container.sandbox_id()));
  if (sandbox && sandbox->phase() == SANDBOX_PHASE_READY) return sandbox;
  return FailedPrecondition("start container " + container.id() +
                            ": its sandbox is not ready");
}

// A new life, without what is known of the last one.
void ForgetLastRun(ContainerRecord& container) {
  if (container.started_at() > 0) {
    container.set_restart_count(container.restart_count() + 1);
    container.set_last_finished_at(container.finished_at());
    container.set_last_exit_code(container.exit_code());
  }
  container.set_run(container.run() + 1);
  container.set_task(true);
  container.set_finished_at(0);
  container.set_exit_code(0);
  container.set_oom_killed(false);
  container.clear_reason();
  container.clear_message();
}

}  // namespace

Status ContainerManager::Start(const Context& ctx, const ContainerId& id,
                               const std::vector<std::string>& env) {
  Core& core = world_.core();
  ASSIGN_OR_RETURN(HeldContainer held, core.records.Hold(ctx, id, "start"));
  ContainerRecord& container = held.record();
  ASSIGN_OR_RETURN(const SandboxStatus sandbox, ReadySandbox(core, container));
  const bool task_left = container.task();
  const RunningStarts::Start start(core.starts, id,
                                   ctx.WithTimeout(kStartLimit));
  ForgetLastRun(container);
  {
    // A kill of the last run has hit that, or finds this one and does nothing.
    ASSIGN_OR_RETURN(const KeyedMutex::Lock run,
                     core.runs.Acquire(ctx, id.str()));
    RETURN_IF_ERROR(held.Advance(CONTAINER_PHASE_STARTING));
  }
  if (task_left) DeleteLeftTask(core, container);
  Status launched = Failpoint("container.start.recorded");
  if (launched.ok()) {
    launched = Launch(start.ctx(), core, *sandbox, container, env);
  }
  if (!launched.ok()) {
    if (start.ctx().cancelled() && !ctx.cancelled()) {
      launched = Unavailable("it was ended before it had started");
    }
    core.waiting.Abandon(id);
    RecordFailure(core, container, launched);
    return StepError(launched, "start container " + id.str(), StepOf::kAsked);
  }
  // It runs: nothing from here on can make that undone.
  container.set_phase(CONTAINER_PHASE_RUNNING);
  container.set_started_at(Now());
  core.records.Keep(container);
  Passed("container.start.saved");
  core.Publish(Event::Type::kContainerStarted, container);
  core.exits.Watch(RunOf(container), core.tasks.Find(id)->task());
  LogFailure("tell plugins of container " + id.str(),
             TellPlugins(ctx, core, nri::api::POST_START_CONTAINER, container));
  return OkStatus();
}

Status ContainerManager::FailStart(const Context& ctx, const ContainerId& id,
                                   const Status& failure) {
  Core& core = world_.core();
  ASSIGN_OR_RETURN(HeldContainer held, core.records.Hold(ctx, id, "fail"));
  ContainerRecord& container = held.record();
  if (IsAlive(container.phase())) {
    return FailedPrecondition("fail container " + id.str() + ": it runs");
  }
  container.set_exit_code(kStartErrorCode);
  container.set_reason("StartError");
  container.set_message(Message(failure));
  container.set_finished_at(Now());
  container.set_phase(CONTAINER_PHASE_EXITED);
  core.records.Keep(container);
  return OkStatus();
}

}  // namespace berth::sandbox
