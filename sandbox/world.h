#ifndef SANDBOX_WORLD_H_
#define SANDBOX_WORLD_H_

#include <cstddef>
#include <memory>
#include <string>

#include "base/context.h"
#include "base/status.h"
#include "sandbox/event_bus.h"
#include "sandbox/inventory.h"
#include "sandbox/record/name_index.h"
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
namespace berth::nri {
class Plugins;
}
namespace berth::shim {
class ShimLauncher;
}

namespace berth::sandbox {

class Recovery;

// The parts outside of sandbox/ that it acts through.
struct Parts {
  MetadataStore& store;
  shim::ShimLauncher& shims;
  cni::Network& network;
  image::RootfsProvider& images;
  // Null: there is no NRI. Stopped before the World ends.
  nri::Plugins* plugins = nullptr;
};

// The state that both managers share: settings, parts, the records with their
// query side, locks, names, the bus and the thread that waits for exits. Made
// first, destroyed last; see daemon/daemon.h:
//
//   World world(settings, parts);
//   SandboxManager sandboxes(world);
//   ContainerManager containers(world);
//   RETURN_IF_ERROR(world.Recover(ctx));   // before any door opens
//   world.FinishRecovery();                // when all are open
//
// Thread-safe.
class World {
 public:
  World(Settings settings, Parts parts);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // Reads the records and finds out what became of each sandbox and container
  // while we were away, in about a second at most (recovery.h).
  // FAILED_PRECONDITION if the state directory is another root's.
  Status Recover(const Context& ctx);
  // Finishes what was begun and sweeps what no record names, behind the caller.
  void FinishRecovery();
  // Until both are done, or the context ends.
  Status AwaitRecovery(const Context& ctx);

  const Settings& settings() const;
  const Inventory& inventory() const;
  EventBus& events();
  // The right to be the one standalone container of that name, which
  // ContainerManager::Create takes. Must not outlive this.
  NameIndex::Claim ClaimName(const std::string& name);

  // Records that are shown and could not be saved yet: see Ledger.
  size_t unsaved() const;

  // What the managers work with; of no use outside of sandbox/ (core.h).
  struct Core;
  Core& core() { return *core_; }

 private:
  const std::unique_ptr<Core> core_;
  const std::unique_ptr<Recovery> recovery_;
};

}  // namespace berth::sandbox

#endif  // SANDBOX_WORLD_H_
