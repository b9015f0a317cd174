#include "sandbox/plugin_hooks.h"

#include <glog/logging.h>

#include <chrono>
#include <utility>

#include "base/strings.h"
#include "nri/plugins.h"
#include "sandbox/container_end.h"
#include "sandbox/container_plan.h"
#include "sandbox/container_update.h"
#include "sandbox/nri/show.h"
#include "sandbox/spec/limits.h"

namespace berth::sandbox {
namespace {

namespace api = nri::api;
using namespace ::berth::state::v1;

// Of one that is evicted; what follows is SIGKILL.
constexpr Duration kEvictionGrace = std::chrono::seconds(10);
// Of events that no request waits for.
constexpr Duration kEventTime = std::chrono::seconds(60);

bool Wants(const Core& core, const SandboxStatus& sandbox, api::Event event) {
  return sandbox && PluginsWant(core, *sandbox, event);
}

SandboxStatus SandboxOf(const Core& core, const ContainerRecord& container) {
  return core.inventory.FindSandbox(SandboxId(container.sandbox_id()));
}

StatusOr<api::LinuxResources> ShowLimits(const Core& core,
                                         const Resources& limits) {
  ASSIGN_OR_RETURN(const oci::Resources resources,
                   ToOci(limits, core.host.hugetlb));
  return ShowResources(resources);
}

// A container that may not swap has one limit for both: a plugin that changes
// the memory's alone leaves it so.
Resources KeepUnswapped(const Resources& before, Resources wanted) {
  const bool swap_is_new =
      wanted.memory_swap_limit() != 0 &&
      wanted.memory_swap_limit() != before.memory_swap_limit();
  if (wanted.memory_limit() > 0 && before.memory_limit() != 0 &&
      before.memory_swap_limit() == before.memory_limit() && !swap_is_new) {
    wanted.set_memory_swap_limit(wanted.memory_limit());
  }
  return wanted;
}

Status ChangeOne(const Context& ctx, Core& core,
                 const api::ContainerUpdate& update) {
  const ContainerId id(update.container_id());
  // Not one that is being created, whose lock its creator holds.
  RETURN_IF_ERROR(
      core.inventory.Container(id.str(), SANDBOX_KIND_POD).status());
  ASSIGN_OR_RETURN(const Resources limits,
                   LimitsOf(update.linux().resources()));
  ASSIGN_OR_RETURN(HeldContainer held, core.records.Hold(ctx, id, "update"));
  return ChangeLimits(
      ctx, core, held,
      KeepUnswapped(held.record().config().resources(), limits));
}

void Evict(Core& core, const api::ContainerEviction& eviction) {
  LOG(WARNING) << "container " << Quoted(eviction.container_id())
               << " is evicted by an NRI plugin: " << Quoted(eviction.reason());
  core.exits.Run([&core, id = ContainerId(eviction.container_id())] {
    const Context ctx = Context::Background(id.str()).WithTimeout(kEventTime);
    if (!core.inventory.Container(id.str(), SANDBOX_KIND_POD).ok()) return;
    StatusOr<KeyedMutex::Lock> lock =
        core.container_locks.Acquire(ctx, id.str());
    const Status ended =
        lock.ok() ? EndContainer(ctx, core, id, *lock, kEvictionGrace)
                  : lock.status();
    if (!ended.ok()) LogFailure("evict container " + id.str(), ended);
  });
}

}  // namespace

StatusOr<Gate::Pass> KeepPluginsOut(const Context& ctx, Core& core) {
  if (core.parts.plugins == nullptr) return Gate::Pass();
  return core.parts.plugins->KeepJoinersOut(ctx);
}

bool PluginsWant(const Core& core, const SandboxRecord& sandbox,
                 api::Event event) {
  return core.parts.plugins != nullptr && core.parts.plugins->Wants(event) &&
         sandbox.config().kind() == SANDBOX_KIND_POD;
}

Status TellPlugins(const Context& ctx, Core& core, api::Event event,
                   const SandboxRecord& sandbox) {
  if (!PluginsWant(core, sandbox, event)) return OkStatus();
  api::StateChangeEvent told;
  told.set_event(event);
  *told.mutable_pod() = ShowPod(sandbox);
  return core.parts.plugins->Tell(ctx, told);
}

Status TellPlugins(const Context& ctx, Core& core, api::Event event,
                   const ContainerRecord& container) {
  const SandboxStatus sandbox = SandboxOf(core, container);
  if (!Wants(core, sandbox, event)) return OkStatus();
  api::StateChangeEvent told;
  told.set_event(event);
  *told.mutable_pod() = ShowPod(*sandbox);
  *told.mutable_container() =
      ShowContainer(container, KnownSpec(core, container));
  return core.parts.plugins->Tell(ctx, told);
}

Status AskForNewPodLimits(const Context& ctx, Core& core,
                          const SandboxRecord& sandbox,
                          const Resources& overhead,
                          const Resources& resources) {
  if (!PluginsWant(core, sandbox, api::UPDATE_POD_SANDBOX)) return OkStatus();
  api::UpdatePodSandboxRequest request;
  *request.mutable_pod() = ShowPod(sandbox);
  ASSIGN_OR_RETURN(*request.mutable_overhead_linux_resources(),
                   ShowLimits(core, overhead));
  ASSIGN_OR_RETURN(*request.mutable_linux_resources(),
                   ShowLimits(core, resources));
  return core.parts.plugins->UpdatePod(ctx, request);
}

Status AdjustByPlugins(const Context& ctx, Core& core,
                       const SandboxRecord& sandbox, ContainerRecord& container,
                       const oci::Spec& spec) {
  if (!PluginsWant(core, sandbox, api::CREATE_CONTAINER) &&
      !PluginsWant(core, sandbox, api::VALIDATE_CONTAINER_ADJUSTMENT)) {
    return OkStatus();
  }
  api::CreateContainerRequest request;
  *request.mutable_pod() = ShowPod(sandbox);
  *request.mutable_container() = ShowContainer(container, spec);
  ASSIGN_OR_RETURN(const nri::Merge merge,
                   core.parts.plugins->Create(ctx, request));
  api::ContainerAdjustment adjustment = merge.adjustment();
  ASSIGN_OR_RETURN_AS(Resources limits,
                      LimitsOf(adjustment.linux().resources()),
                      "NRI adjustment");
  if (adjustment.linux().has_oom_score_adj()) {
    limits.set_oom_score_adj(adjustment.linux().oom_score_adj().value());
  }
  Resources& all = *container.mutable_config()->mutable_resources();
  all = Merge(all, KeepUnswapped(all, limits));
  RETURN_IF_ERROR_AS(PlanNewLimits(core, container), "NRI adjustment");
  // What stays is for each start; limits may be changed until then.
  api::LinuxResources rules;
  *rules.mutable_devices() = adjustment.linux().resources().devices();
  if (adjustment.has_linux()) {
    *adjustment.mutable_linux()->mutable_resources() = rules;
    adjustment.mutable_linux()->clear_oom_score_adj();
  }
  container.mutable_plan()->set_adjustment(adjustment.SerializeAsString());
  return ChangeOthers(ctx, core, merge.others());
}

StatusOr<Resources> LimitsByPlugins(const Context& ctx, Core& core,
                                    const ContainerRecord& container,
                                    const Resources& limits,
                                    nri::Changes& others) {
  const SandboxStatus sandbox = SandboxOf(core, container);
  if (!Wants(core, sandbox, api::UPDATE_CONTAINER)) return limits;
  api::UpdateContainerRequest request;
  *request.mutable_pod() = ShowPod(*sandbox);
  *request.mutable_container() =
      ShowContainer(container, KnownSpec(core, container));
  ASSIGN_OR_RETURN(*request.mutable_linux_resources(),
                   ShowLimits(core, limits));
  ASSIGN_OR_RETURN(const nri::ChangeMerge merge,
                   core.parts.plugins->Update(ctx, request));
  others = merge.others();
  ASSIGN_OR_RETURN(const Resources wanted, LimitsOf(merge.asked()));
  return Merge(limits, KeepUnswapped(limits, wanted));
}

void TellPluginsOfEnd(Core& core, const ContainerRecord& container) {
  const SandboxStatus sandbox = SandboxOf(core, container);
  if (!Wants(core, sandbox, api::STOP_CONTAINER)) return;
  api::StopContainerRequest request;
  *request.mutable_pod() = ShowPod(*sandbox);
  *request.mutable_container() =
      ShowContainer(container, KnownSpec(core, container));
  const Context ctx =
      Context::Background(container.id()).WithTimeout(kEventTime);
  StatusOr<nri::ChangeMerge> merge = core.parts.plugins->Ended(ctx, request);
  if (!merge.ok()) {
    LogFailure("tell plugins of the end of container " + container.id(),
               merge.status());
  } else if (!merge->others().updates.empty()) {
    core.exits.Run([&core, changes = merge->others(), id = container.id()] {
      ChangeForPlugins(Context::Background(id).WithTimeout(kEventTime), core,
                       changes);
    });
  }
}

std::vector<api::ContainerUpdate> ChangeForPlugins(
    const Context& ctx, Core& core, const nri::Changes& changes) {
  std::vector<api::ContainerUpdate> failed;
  for (const api::ContainerUpdate& update : changes.updates) {
    const Status changed = ChangeOne(ctx, core, update);
    if (changed.ok()) continue;
    LogFailure("update container " + update.container_id() + " for a plugin",
               changed);
    if (!update.ignore_failure()) failed.push_back(update);
  }
  for (const api::ContainerEviction& eviction : changes.evictions) {
    Evict(core, eviction);
  }
  return failed;
}

Status ChangeOthers(const Context& ctx, Core& core,
                    const nri::Changes& changes) {
  const std::vector<api::ContainerUpdate> failed =
      ChangeForPlugins(ctx, core, changes);
  if (failed.empty()) return OkStatus();
  return FailedPrecondition("an NRI plugin wants container " +
                            Quoted(failed[0].container_id()) +
                            " updated, which cannot be");
}

}  // namespace berth::sandbox
