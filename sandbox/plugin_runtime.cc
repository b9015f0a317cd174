#include "sandbox/plugin_runtime.h"

#include "sandbox/container_plan.h"
#include "sandbox/core.h"
#include "sandbox/nri/show.h"
#include "sandbox/plugin_hooks.h"
#include "sandbox/world.h"

namespace berth::sandbox {
namespace {

using namespace ::berth::state::v1;

nri::api::SynchronizeRequest Everything(const Core& core) {
  nri::api::SynchronizeRequest all;
  SandboxFilter ready;
  ready.kind = SANDBOX_KIND_POD;
  ready.ready = true;
  for (const SandboxStatus& sandbox : core.inventory.Sandboxes(ready)) {
    *all.add_pods() = ShowPod(*sandbox);
  }
  ContainerFilter alive;
  alive.kind = SANDBOX_KIND_POD;
  alive.phases = {CONTAINER_PHASE_CREATED, CONTAINER_PHASE_STARTING,
                  CONTAINER_PHASE_RUNNING, CONTAINER_PHASE_STOPPING};
  for (const ContainerStatus& container : core.inventory.Containers(alive)) {
    *all.add_containers() =
        ShowContainer(*container, KnownSpec(core, *container));
  }
  return all;
}

}  // namespace

nri::Runtime PluginRuntime(World& world) {
  Core& core = world.core();
  return {[&core] { return Everything(core); },
          [&core](const Context& ctx, const nri::Changes& changes) {
            return ChangeForPlugins(ctx, core, changes);
          }};
}

}  // namespace berth::sandbox
