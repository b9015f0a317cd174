#include "sandbox/recovery.h"

#include <dirent.h>
#include <signal.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "oci/cgroup/cgroup.h"
#include "sandbox/container_end.h"
#include "sandbox/record/files.h"
#include "sandbox/record/phase.h"
#include "sandbox/sandbox_end.h"

namespace berth::sandbox {
namespace {

using namespace ::berth::state::v1;

constexpr std::chrono::seconds kShimTime{10};

// ---- Sandboxes --------------------------------------------------------------

// Back to what it was, or why not.
Status RecoverResources(const Context& ctx, Core& core,
                        SandboxRecord& sandbox) {
  for (const std::string& name : sandbox.begun()) {
    SandboxResource* resource = core.FindResource(name);
    if (resource == nullptr) continue;
    RETURN_IF_ERROR_AS(resource->Recover(ctx.WithTimeout(kShimTime), sandbox),
                       name);
  }
  return OkStatus();
}

// A start that no one waits for any more.
Status UndoStart(const Context& ctx, Core& core, SandboxRecord& sandbox) {
  RETURN_IF_ERROR(ReleaseAll(ctx, core, sandbox));
  if (sandbox.config().kind() == SANDBOX_KIND_POD) {
    return EraseSandbox(ctx, core, sandbox);
  }
  sandbox.set_phase(SANDBOX_PHASE_STOPPED);
  sandbox.set_stopped_at(Now());
  return core.records.Save(sandbox);
}

Status RecoverReady(const Context& ctx, Core& core, SandboxRecord& sandbox) {
  const bool rebooted = sandbox.boot_id() != core.boot_id;
  const Status recovered = rebooted
                               ? Unavailable("the machine was booted again")
                               : RecoverResources(ctx, core, sandbox);
  if (recovered.ok()) return core.records.Save(sandbox);
  // Lost: its containers are ended next, then FinishSandbox gives back what it
  // owns.
  sandbox.set_phase(SANDBOX_PHASE_STOPPING);
  sandbox.set_reason(rebooted ? "Rebooted" : "Lost");
  sandbox.set_message(Message(recovered));
  sandbox.set_stopped_at(Now());
  core.shims.Erase(sandbox.id());
  return core.records.Save(sandbox);
}

Status RecoverSandbox(const Context& ctx, Core& core, SandboxRecord sandbox) {
  switch (sandbox.phase()) {
    case SANDBOX_PHASE_CREATED:
      if (sandbox.config().kind() != SANDBOX_KIND_POD) return OkStatus();
      return EraseSandbox(ctx, core, sandbox);
    case SANDBOX_PHASE_STARTING:
      return UndoStart(ctx, core, sandbox);
    case SANDBOX_PHASE_READY:
      return RecoverReady(ctx, core, sandbox);
    default:
      return OkStatus();  // in the second round, after its containers
  }
}

// What was being ended is ended, now that all containers are accounted for.
Status FinishSandbox(const Context& ctx, Core& core, SandboxRecord sandbox) {
  if (sandbox.phase() == SANDBOX_PHASE_REMOVING) {
    return EraseSandbox(ctx, core, sandbox);
  }
  if (sandbox.phase() != SANDBOX_PHASE_STOPPING) return OkStatus();
  return EndSandbox(ctx, core, sandbox);
}

// ---- Containers -------------------------------------------------------------

Status EndLost(Core& core, ContainerRecord& container,
               const std::string& message) {
  KillContainer(core, ContainerId(container.id()));
  const bool starting = container.phase() == CONTAINER_PHASE_STARTING;
  const EndReason why{starting ? "StartError" : "Unknown", message};
  const uint32_t code = starting ? kStartErrorCode : kLostExitCode;
  return RecordExit(core, container, shim::ExitStatus{code, Now()}, why);
}

// A running task has its watcher again.
Status Adopt(Core& core, ContainerRecord& container, LiveTask& live,
             const shim::TaskState& state) {
  const ContainerId id(container.id());
  container.set_pid(state.pid);
  container.set_paused(state.phase == shim::TaskPhase::kPaused);
  if (container.phase() == CONTAINER_PHASE_STARTING) {
    container.set_phase(CONTAINER_PHASE_RUNNING);
    container.set_started_at(Now());
  }
  RETURN_IF_ERROR(core.records.Save(container));
  if (container.phase() == CONTAINER_PHASE_STOPPING) {
    // It may not have had its signal yet.
    const UnixNanos left = std::max<UnixNanos>(container.kill_at() - Now(), 0);
    if (left > 0) {
      LogFailure("stop container " + id.str(), SendStopSignal(core, container));
    }
    core.kills.Arm(id, std::chrono::steady_clock::now() + Duration(left));
  }
  core.exits.Watch(id, live.task());
  return OkStatus();
}

Status RecoverAlive(const Context& ctx, Core& core,
                    ContainerRecord& container) {
  const ContainerId id(container.id());
  const auto shim = core.shims.Find(container.sandbox_id());
  if (container.finished_at() != 0) {
    // Its exit is known; what followed was cut short.
    if (shim) {
      auto task = shim->Find(ctx.WithTimeout(kShimTime), id.str(), "");
      if (task.ok()) {
        core.tasks.Put(id, std::make_shared<LiveTask>(shim, *std::move(task)));
      }
    }
    return RecordExit(core, container, {});
  }
  if (!shim) {
    return EndLost(core, container, "its shim was lost");
  }
  auto task = shim->Find(ctx.WithTimeout(kShimTime), id.str(), "");
  if (!task.ok()) {
    return EndLost(core, container, Message(task.status()));
  }
  const auto live = std::make_shared<LiveTask>(shim, *std::move(task));
  core.tasks.Put(id, live);
  const auto state = live->task().State(ctx.WithTimeout(kShimTime));
  if (!state.ok()) return EndLost(core, container, Message(state.status()));
  switch (state->phase) {
    case shim::TaskPhase::kRunning:
    case shim::TaskPhase::kPaused:
      return Adopt(core, container, *live, *state);
    case shim::TaskPhase::kStopped:
      return RecordExit(core, container, state->exit);
    default:
      return EndLost(core, container,
                     "the daemon ended before the program was run");
  }
}

Status RecoverContainer(const Context& ctx, Core& core, const ContainerId& id) {
  KeyedMutex::Lock lock(core.container_locks, id.str());
  const ContainerStatus now = core.inventory.FindContainer(id);
  if (!now) return OkStatus();
  ContainerRecord container = *now;
  if (IsAlive(container.phase())) return RecoverAlive(ctx, core, container);
  const bool orphan =
      !core.inventory.FindSandbox(SandboxId(container.sandbox_id()));
  if (orphan || container.phase() == CONTAINER_PHASE_CREATING ||
      container.phase() == CONTAINER_PHASE_REMOVING) {
    return EraseContainer(ctx, core, id, lock);
  }
  if (container.phase() == CONTAINER_PHASE_EXITED) {
    return CleanState(core, container);
  }
  return OkStatus();
}

// ---- What no record names ---------------------------------------------------

bool IsId(const std::string& name) {
  return name.size() == 64 &&
         name.find_first_not_of("0123456789abcdef") == std::string::npos;
}

std::vector<std::string> IdsIn(const std::string& directory) {
  std::vector<std::string> ids;
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir(directory.c_str()),
                                                closedir);
  if (!dir) return ids;
  while (const dirent* entry = readdir(dir.get())) {
    if (IsId(entry->d_name)) ids.push_back(entry->d_name);
  }
  return ids;
}

// Every resource releases by id what it can.
void SweepSandbox(const Context& ctx, Core& core, const std::string& id) {
  SandboxRecord stranger;
  stranger.set_id(id);
  for (const auto& resource : core.resources) {
    stranger.add_begun(resource->name());
  }
  LogFailure("sweep sandbox " + id, ReleaseAll(ctx, core, stranger));
}

void SweepContainer(Core& core, const std::string& id) {
  ContainerRecord stranger;
  stranger.set_id(id);
  LogFailure("sweep container " + id, CleanState(core, stranger));
  LogFailure("sweep container " + id, RemoveTree(core.paths.ContainerRoot(id)));
}

void SweepCgroup(Core& core, const std::string& id) {
  const auto cgroup =
      oci::OpenCgroup(core.cgroups, core.settings.cgroup_parent + "/" + id);
  if (!cgroup.ok()) return;
  Status swept = (*cgroup)->Signal(SIGKILL);
  if (swept.ok()) swept = (*cgroup)->Remove();
  if (swept.ok()) swept = RemoveTree(core.paths.OciDirectory() + "/" + id);
  LogFailure("sweep cgroup of container " + id, swept);
}

void Sweep(const Context& ctx, Core& core) {
  const auto known_sandbox = [&](const std::string& id) {
    return core.inventory.FindSandbox(SandboxId(id)) != nullptr;
  };
  const auto known_container = [&](const std::string& id) {
    return core.inventory.FindContainer(ContainerId(id)) != nullptr;
  };
  for (const std::string& base : {core.paths.state, core.paths.root}) {
    for (const std::string& id : IdsIn(base + "/sandboxes")) {
      if (!known_sandbox(id)) SweepSandbox(ctx, core, id);
    }
    for (const std::string& id : IdsIn(base + "/containers")) {
      if (!known_container(id)) SweepContainer(core, id);
    }
  }
  // Not by what is in the parent cgroup: another daemon may share it.
  for (const std::string& id : IdsIn(core.paths.OciDirectory())) {
    if (!known_container(id)) SweepCgroup(core, id);
  }
}

}  // namespace

Status RecoverAll(const Context& ctx, Core& core) {
  RETURN_IF_ERROR(core.records.Load());
  for (const SandboxStatus& sandbox : core.inventory.AllSandboxes()) {
    core.names.Put(NameOf(sandbox->config()), sandbox->id());
  }
  for (const ContainerStatus& container : core.inventory.AllContainers()) {
    core.names.Put(NameOf(container->sandbox_id(), container->config()),
                   container->id());
  }
  for (const SandboxStatus& sandbox : core.inventory.AllSandboxes()) {
    KeyedMutex::Lock lock(core.sandbox_locks, sandbox->id());
    LogFailure("recover sandbox " + sandbox->id(),
               RecoverSandbox(ctx, core, *sandbox));
  }
  for (const ContainerStatus& container : core.inventory.AllContainers()) {
    LogFailure("recover container " + container->id(),
               RecoverContainer(ctx, core, ContainerId(container->id())));
  }
  for (const SandboxStatus& sandbox : core.inventory.AllSandboxes()) {
    KeyedMutex::Lock lock(core.sandbox_locks, sandbox->id());
    LogFailure("recover sandbox " + sandbox->id(),
               FinishSandbox(ctx, core, *sandbox));
  }
  Sweep(ctx, core);
  return OkStatus();
}

}  // namespace berth::sandbox
