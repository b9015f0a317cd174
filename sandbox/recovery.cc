#include "sandbox/recovery.h"

#include <chrono>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "sandbox/container_end.h"
#include "sandbox/record/phase.h"
#include "sandbox/recovery_adoption.h"
#include "sandbox/recovery_sweep.h"
#include "sandbox/sandbox_end.h"

namespace berth::sandbox {
namespace {

using namespace ::berth::state::v1;

// How long the doors wait, and how long a shim may be silent after that.
constexpr std::chrono::milliseconds kDoorTime{700};
constexpr std::chrono::seconds kPatience{10};
// How long one try waits for a client's verb.
constexpr std::chrono::seconds kLockTime{2};
constexpr std::chrono::seconds kForgetTime{2};

bool IsPod(const SandboxRecord& sandbox) {
  return sandbox.config().kind() == SANDBOX_KIND_POD;
}

// A pod whose start was cut short: its client has no id of it, and asks anew.
bool Unfinished(const SandboxRecord& sandbox) {
  return IsPod(sandbox) && (sandbox.phase() == SANDBOX_PHASE_CREATED ||
                            sandbox.phase() == SANDBOX_PHASE_STARTING);
}

std::vector<ContainerStatus> AliveOf(const Core& core, const SandboxId& id) {
  std::vector<ContainerStatus> containers = core.inventory.ContainersOf(id);
  std::erase_if(containers, [](const ContainerStatus& container) {
    return !IsAlive(container->phase());
  });
  return containers;
}

// What needs no answer of anybody to be known.
void MarkInterrupted(Core& core, const SandboxRecord& sandbox) {
  if (sandbox.phase() == SANDBOX_PHASE_STARTING) {
    MarkLost(core, sandbox, "StartError",
             "the daemon ended while the sandbox was being started");
  } else if (sandbox.phase() == SANDBOX_PHASE_READY &&
             sandbox.boot_id() != core.boot_id) {
    MarkLost(core, sandbox, "Rebooted", "the machine was booted again");
  }
}

// What the last daemon had begun in it nobody will ask for. One try: what it
// leaves goes with the container, or at the next start.
void ForgetExecs(const Context& ctx, Core& core,
                 const ContainerRecord& container) {
  const auto shim = core.shims.Find(container.sandbox_id());
  if (!shim) return;
  const Status forgotten = shim->ForgetExecs(ctx.WithTimeout(kForgetTime),
                                             container.id(), core.run_id);
  if (forgotten.code() == StatusCode::kUnimplemented) return;
  LogFailure("forget the execs of container " + container.id(),
             IgnoreNotFound(forgotten));
}

Status FinishContainer(const Context& ctx, Core& core, const ContainerId& id) {
  ASSIGN_OR_RETURN(
      KeyedMutex::Lock lock,
      core.container_locks.Acquire(ctx.WithTimeout(kLockTime), id.str()));
  const ContainerStatus now = core.inventory.FindContainer(id);
  if (!now) return OkStatus();
  if (IsAlive(now->phase())) {
    lock.Give();  // what it does needs no order
    ForgetExecs(ctx, core, *now);
    return OkStatus();
  }
  const bool orphan = !core.inventory.FindSandbox(SandboxId(now->sandbox_id()));
  if (orphan || now->phase() == CONTAINER_PHASE_CREATING ||
      now->phase() == CONTAINER_PHASE_REMOVING) {
    return EraseContainer(ctx, core, id, lock);
  }
  if (now->phase() != CONTAINER_PHASE_EXITED) return OkStatus();
  DeleteLeftTask(core, *now);
  return CleanState(core, *now);
}

Status FinishSandbox(const Context& ctx, Core& core, const SandboxId& id,
                     bool forget) {
  ASSIGN_OR_RETURN(
      const KeyedMutex::Lock lock,
      core.sandbox_locks.Acquire(ctx.WithTimeout(kLockTime), id.str()));
  const SandboxStatus now = core.inventory.FindSandbox(id);
  if (!now) return OkStatus();
  SandboxRecord sandbox = *now;
  switch (sandbox.phase()) {
    case SANDBOX_PHASE_REMOVING:
      return EraseSandbox(ctx, core, sandbox);
    case SANDBOX_PHASE_STOPPING:
      return forget ? EraseSandbox(ctx, core, sandbox)
                    : EndSandbox(ctx, core, sandbox);
    case SANDBOX_PHASE_CREATED:
      return forget ? EraseSandbox(ctx, core, sandbox) : OkStatus();
    default:
      return OkStatus();
  }
}

}  // namespace

Recovery::Recovery(Core& core)
    : core_(core),
      adoptions_("adopt",
                 {.threads = 64, .longest_pause = std::chrono::seconds(1)}),
      rest_("recover", {.threads = 16}) {}

Recovery::~Recovery() { Stop(); }

void Recovery::Stop() {
  adoptions_.Stop();
  rest_.Stop();
}

Status Recovery::Begin(const Context& ctx) {
  RETURN_IF_ERROR(core_.records.Load());
  RETURN_IF_ERROR(CheckOwner(core_));
  const SteadyTime patience = std::chrono::steady_clock::now() + kPatience;
  for (const SandboxStatus& sandbox : core_.inventory.AllSandboxes()) {
    core_.names.Put(NameOf(sandbox->config()), sandbox->id());
    core_.levels.Put(sandbox->selinux_level(), sandbox->id());
    if (Unfinished(*sandbox)) unfinished_.insert(sandbox->id());
    MarkInterrupted(core_, *sandbox);
  }
  std::set<std::string> to_adopt;
  for (const ContainerStatus& container : core_.inventory.AllContainers()) {
    core_.names.Put(NameOf(container->sandbox_id(), container->config()),
                    container->id());
    if (IsStandalone(*container)) {
      core_.names.Put(StandaloneName(container->config().name()),
                      container->id());
    }
    if (IsAlive(container->phase())) to_adopt.insert(container->sandbox_id());
    containers_.emplace_back(container->id());
  }
  for (const SandboxStatus& sandbox : core_.inventory.AllSandboxes()) {
    if (sandbox->phase() == SANDBOX_PHASE_READY) to_adopt.insert(sandbox->id());
    sandboxes_.emplace_back(sandbox->id());
  }
  for (const std::string& id : to_adopt) Adopt(id, patience);
  // Each holds its pod's locks until somebody has looked.
  RETURN_IF_ERROR(adoptions_.CheckThreads());
  // What is not known by then is found out behind the doors.
  adoptions_.AwaitDone(ctx.WithTimeout(kDoorTime)).IgnoreError();
  return ctx.Check();
}

void Recovery::Adopt(const std::string& sandbox_id, SteadyTime patience) {
  const SandboxId id(sandbox_id);
  const auto adoption = std::make_shared<Adoption>(
      core_, sandbox_id, AliveOf(core_, id), patience);
  adoptions_.Add("recover sandbox " + sandbox_id,
                 [adoption](const Context& ctx) { return adoption->Try(ctx); });
}

void Recovery::Finish() {
  rest_.Add("recover", [this](const Context& ctx) { return FinishAll(ctx); });
}

Status Recovery::FinishAll(const Context& ctx) {
  rest_.Add("names", [this](const Context&) {
    core_.network_names.UpdateAll();
    return OkStatus();
  });
  rest_.Add("sweep", [this](const Context&) { return Sweep(core_, rest_); });
  for (const SandboxId& id : sandboxes_) {
    rest_.Add("finish sandbox " + id.str(), [this, id](const Context& until) {
      return FinishSandbox(until, core_, id, unfinished_.count(id.str()) > 0);
    });
  }
  for (const ContainerId& id : containers_) {
    rest_.Add("finish container " + id.str(), [this, id](const Context& until) {
      return FinishContainer(until, core_, id);
    });
  }
  return ctx.Check();
}

Status Recovery::AwaitDone(const Context& ctx) {
  RETURN_IF_ERROR(adoptions_.AwaitDone(ctx));
  return rest_.AwaitDone(ctx);
}

}  // namespace berth::sandbox
