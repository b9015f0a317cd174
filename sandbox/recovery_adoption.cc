#include "sandbox/recovery_adoption.h"

#include <signal.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

#include "sandbox/container_end.h"
#include "sandbox/record/phase.h"

namespace berth::sandbox {
namespace {

using namespace ::berth::state::v1;

// For all answers of one shim, in one try.
constexpr std::chrono::seconds kTryTime{1};
// For a kill, of what is deleted next.
constexpr std::chrono::seconds kAskTime{1};

// `live` may be null: no task of it is known.
Status EndLost(Core& core, ContainerRecord& container, LiveTask* live,
               const std::string& message) {
  if (live != nullptr) {
    // A start that the last daemon asked for may be under way. This ends it;
    // once the task is deleted, nobody else would.
    const Context ctx =
        Context::Background(container.id()).WithTimeout(kAskTime);
    LogFailure("kill container " + container.id(),
               IgnoreNotFound(live->task().Kill(ctx, SIGKILL, true)));
  }
  KillContainer(core, RunOf(container));
  const bool starting = container.phase() == CONTAINER_PHASE_STARTING;
  const EndReason why{starting ? "StartError" : "Unknown", message};
  const uint32_t code = starting ? kStartErrorCode : kLostExitCode;
  return RecordExit(core, container, shim::ExitStatus{code, Now()}, why);
}

// A running task has its watcher again.
void Watch(Core& core, ContainerRecord& container, LiveTask& live,
           const shim::TaskState& state) {
  const ContainerId id(container.id());
  container.set_pid(state.pid);
  container.set_paused(state.phase == shim::TaskPhase::kPaused);
  if (container.phase() == CONTAINER_PHASE_STARTING) {
    container.set_phase(CONTAINER_PHASE_RUNNING);
    container.set_started_at(Now());
  }
  core.records.Keep(container);
  if (container.phase() == CONTAINER_PHASE_STOPPING) {
    // It may not have had its signal yet.
    const UnixNanos left = std::max<UnixNanos>(container.kill_at() - Now(), 0);
    if (left > 0) {
      LogFailure("stop container " + id.str(), SendStopSignal(core, container));
    }
    core.kills.Arm(RunOf(container),
                   std::chrono::steady_clock::now() + Duration(left));
  }
  core.exits.Watch(RunOf(container), live.task());
}

Status ByState(Core& core, ContainerRecord& container, LiveTask& live,
               const shim::TaskState& state) {
  switch (state.phase) {
    case shim::TaskPhase::kRunning:
    case shim::TaskPhase::kPaused:
      Watch(core, container, live, state);
      return OkStatus();
    case shim::TaskPhase::kStopped:
      return RecordExit(core, container, state.exit);
    default:
      return EndLost(core, container, &live,
                     "the daemon ended before the program was run");
  }
}

}  // namespace

void MarkLost(Core& core, SandboxRecord sandbox, const std::string& reason,
              const std::string& message) {
  sandbox.set_phase(SANDBOX_PHASE_STOPPING);
  sandbox.set_reason(reason);
  sandbox.set_message(message);
  if (sandbox.stopped_at() == 0) sandbox.set_stopped_at(Now());
  core.shims.Erase(sandbox.id());
  core.records.Keep(sandbox);
}

Adoption::Adoption(Core& core, const std::string& sandbox_id,
                   const std::vector<ContainerStatus>& alive,
                   SteadyTime patience)
    : core_(core), id_(sandbox_id), patience_(patience) {
  Hold(core.sandbox_locks, sandbox_id);
  for (const ContainerStatus& container : alive) {
    containers_.emplace_back(container->id());
    Hold(core.container_locks, container->id());
  }
}

void Adoption::Hold(KeyedMutex& locks, const std::string& id) {
  // Before the doors open: nobody else has it.
  auto lock = locks.Acquire(Context::Background("recover"), id);
  if (lock.ok()) locks_.push_back(*std::move(lock));
}

bool Adoption::Undecided(const Context& ctx, const Status& status) const {
  if (status.ok()) return false;
  if (ctx.cancelled()) return true;
  // A shortage of ours, of threads or descriptors, says nothing of the pod.
  if (status.code() == StatusCode::kResourceExhausted) return true;
  return status.code() == StatusCode::kDeadlineExceeded &&
         std::chrono::steady_clock::now() < patience_;
}

Status Adoption::Try(const Context& until) {
  const Context ctx = until.WithTimeout(kTryTime);
  if (!sandbox_known_) RETURN_IF_ERROR(TrySandbox(ctx));
  sandbox_known_ = true;
  while (!containers_.empty()) {
    RETURN_IF_ERROR(TryContainer(ctx, containers_.back()));
    containers_.pop_back();
  }
  return OkStatus();
}

Status Adoption::TrySandbox(const Context& ctx) {
  const SandboxStatus now = core_.inventory.FindSandbox(id_);
  if (now && now->phase() == SANDBOX_PHASE_STOPPING) {
    // Of before this start of the host nothing runs.
    return now->boot_id() == core_.boot_id ? TryShim(ctx, *now) : OkStatus();
  }
  if (!now || now->phase() != SANDBOX_PHASE_READY) return OkStatus();
  SandboxRecord sandbox = *now;
  Status recovered;
  for (const std::string& name : sandbox.begun()) {
    SandboxResource* resource = core_.FindResource(name);
    if (resource == nullptr) continue;
    recovered = Annotate(resource->Recover(ctx, sandbox), name);
    if (!recovered.ok()) break;
  }
  if (Undecided(ctx, recovered)) return recovered;
  if (recovered.ok()) {
    core_.records.Keep(sandbox);
  } else {
    LogFailure("recover sandbox " + id_.str(), recovered);
    MarkLost(core_, std::move(sandbox), "Lost", Message(recovered));
  }
  return OkStatus();
}

// Of a sandbox that is being stopped only the shim is asked for: it knows how
// its containers ended, and which have not yet.
Status Adoption::TryShim(const Context& ctx, SandboxRecord sandbox) {
  constexpr char kShim[] = "shim";
  SandboxResource* const shim = core_.FindResource(kShim);
  const auto& begun = sandbox.begun();
  if (shim == nullptr ||
      std::find(begun.begin(), begun.end(), kShim) == begun.end()) {
    return OkStatus();
  }
  const Status recovered = shim->Recover(ctx, sandbox);
  if (Undecided(ctx, recovered)) return recovered;
  LogFailure("recover the shim of sandbox " + id_.str(), recovered);
  return OkStatus();
}

Status Adoption::TryContainer(const Context& ctx, const ContainerId& id) {
  const ContainerStatus now = core_.inventory.FindContainer(id);
  if (!now || !IsAlive(now->phase())) return OkStatus();
  ContainerRecord container = *now;
  const auto shim = core_.shims.Find(container.sandbox_id());
  StatusOr<std::unique_ptr<shim::Task>> task = Unavailable("its shim was lost");
  if (shim) task = shim->Find(ctx, id.str(), "");
  if (Undecided(ctx, task.status())) return task.status();
  std::shared_ptr<LiveTask> live;
  if (task.ok()) {
    live = std::make_shared<LiveTask>(shim, std::move(*task));
    core_.tasks.Put(id, live);
  }
  Status known;
  if (container.finished_at() != 0) {
    // Its exit is known; what followed was cut short.
    known = RecordExit(core_, container, {});
  } else if (!live) {
    known = EndLost(core_, container, nullptr, Message(task.status()));
  } else {
    const auto state = live->task().State(ctx);
    if (Undecided(ctx, state.status())) return state.status();
    known = state.ok() ? ByState(core_, container, *live, *state)
                       : EndLost(core_, container, live.get(),
                                 Message(state.status()));
  }
  LogFailure("recover container " + id.str(), known);
  return OkStatus();
}

}  // namespace berth::sandbox
