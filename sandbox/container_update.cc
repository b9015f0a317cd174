// New limits: the client's, and those that plugins want.
#include "sandbox/container_update.h"

#include <memory>
#include <string>

#include "oci/spec/serialize.h"
#include "oci/spec/validate.h"
#include "sandbox/container_end.h"
#include "sandbox/container_manager.h"
#include "sandbox/container_plan.h"
#include "sandbox/plugin_hooks.h"
#include "sandbox/record/phase.h"
#include "sandbox/spec/limits.h"
#include "sandbox/step.h"

namespace berth::sandbox {

using namespace ::berth::state::v1;

Status ChangeLimits(const Context& ctx, Core& core, HeldContainer& held,
                    Resources limits) {
  ContainerRecord& container = held.record();
  const std::string what = "update container " + container.id();
  if (container.phase() == CONTAINER_PHASE_REMOVING) {
    return FailedPrecondition(what + ": being removed");
  }
  // A process keeps the score that it was started with, and a status says what
  // is in force.
  if (IsAlive(container.phase())) limits.clear_oom_score_adj();
  *container.mutable_config()->mutable_resources() =
      Merge(container.config().resources(), limits);
  ASSIGN_OR_RETURN_AS(const oci::Resources change,
                      ToOci(limits, core.host.hugetlb), what);
  RETURN_IF_ERROR_AS(oci::ValidateResources(change), what);
  RETURN_IF_ERROR_AS(PlanNewLimits(core, container), what);
  if (IsAlive(container.phase())) {
    const std::shared_ptr<LiveTask> live =
        core.tasks.Find(ContainerId(container.id()));
    if (!live) return Unavailable(what + ": no shim");
    RETURN_IF_ERROR(
        StepError(live->task().Update(ctx, oci::SerializeResources(change)),
                  what, StepOf::kAsked));
    core.records.Keep(container);  // the kernel has them
  } else {
    RETURN_IF_ERROR(core.records.Save(container));
  }
  core.Publish(Event::Type::kContainerUpdated, container);
  return OkStatus();
}

Status ContainerManager::Update(const Context& ctx, const ContainerId& id,
                                const Resources& limits) {
  Core& core = world_.core();
  nri::Changes others;
  {
    ASSIGN_OR_RETURN(HeldContainer held, core.records.Hold(ctx, id, "update"));
    ASSIGN_OR_RETURN_AS(
        const Resources wanted,
        LimitsByPlugins(ctx, core, held.record(), limits, others),
        "update container " + id.str());
    RETURN_IF_ERROR(ChangeLimits(ctx, core, held, wanted));
    LogFailure(
        "tell plugins of container " + id.str(),
        TellPlugins(ctx, core, nri::api::POST_UPDATE_CONTAINER, held.record()));
  }
  // Two containers whose plugins change each other must not wait for each
  // other's lock.
  return ChangeOthers(ctx, core, others);
}

}  // namespace berth::sandbox
