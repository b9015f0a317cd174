#include "sandbox/running.h"

#include <utility>

namespace berth::sandbox {

StatusOr<Running> FindRunning(const Core& core, const ContainerId& id,
                              const std::string& verb) {
  // First: who takes it away has recorded when the container ended.
  std::shared_ptr<LiveTask> live = core.tasks.Find(id);
  ASSIGN_OR_RETURN(ContainerStatus now, core.records.Find(id, verb));
  const std::string what = verb + " container " + id.str();
  if (now->phase() != state::v1::CONTAINER_PHASE_RUNNING &&
      now->phase() != state::v1::CONTAINER_PHASE_STOPPING) {
    return FailedPrecondition(what + ": not running");
  }
  if (!live && now->finished_at() > 0) {
    return FailedPrecondition(what + ": it is ending");
  }
  if (!live) return Unavailable(what + ": no shim");
  return Running{std::move(now), std::move(live)};
}

}  // namespace berth::sandbox
