#ifndef SANDBOX_WORLD_H_
#define SANDBOX_WORLD_H_

#include <memory>

#include "base/context.h"
#include "base/status.h"
#include "sandbox/event_bus.h"
#include "sandbox/inventory.h"
#include "sandbox/settings.h"

namespace berth {
class MetadataStore;
}
namespace berth::cni {
class Network;
}
namespace berth::image {
class RootfsProvider;
}
namespace berth::shim {
class ShimLauncher;
}

namespace berth::sandbox {

// The parts outside of sandbox/ that it acts through.
struct Parts {
  MetadataStore& store;
  shim::ShimLauncher& shims;
  cni::Network& network;
  image::RootfsProvider& images;
};

// The state that both managers share: settings, parts, the records with their
// query side, locks, names, the bus and the thread that waits for exits. Made
// first, destroyed last; see daemon/daemon.h:
//
//   World world(settings, parts);
//   SandboxManager sandboxes(world);
//   ContainerManager containers(world);
//   RETURN_IF_ERROR(world.Recover(ctx));   // before any door opens
//
// Thread-safe.
class World {
 public:
  World(Settings settings, Parts parts);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // Reads the records, finds out what became of each sandbox and container
  // while we were away, finishes what was begun and sweeps what no record
  // names (recovery.h).
  Status Recover(const Context& ctx);

  const Settings& settings() const;
  const Inventory& inventory() const;
  EventBus& events();

  // What the managers work with; of no use outside of sandbox/ (core.h).
  struct Core;
  Core& core() { return *core_; }

 private:
  const std::unique_ptr<Core> core_;
};

}  // namespace berth::sandbox

#endif  // SANDBOX_WORLD_H_
