#ifndef SANDBOX_WORLD_H_
#define SANDBOX_WORLD_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "base/context.h"
#include "base/status.h"
#include "sandbox/event_bus.h"
#include "sandbox/inventory.h"

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

// A runtime handler.
struct Runtime {
  // Absolute path of a shim, or "io.containerd.NAME.VER" (shim/shim.h).
  std::string shim = "/usr/libexec/berth/berth-shim";
  // Absolute path of a runc-compatible program; empty: the shim's own.
  std::string program;
  // The shim knows our log URIs and extension service.
  bool native = true;
  // Privileged containers get no devices of the host.
  bool privileged_without_host_devices = false;
};

// What the daemon's configuration decides for sandboxes.
struct Settings {
  std::string root = "/var/lib/berth";
  std::string state = "/run/berth";
  // Parent of sandboxes that name none.
  std::string cgroup_parent = "/berth";
  bool systemd_cgroup = false;
  // What a request may name as its runtime handler; "" is the default and
  // must be there.
  std::map<std::string, Runtime> runtimes;
  // Set net.ipv4.ip_unprivileged_port_start=0 and ping_group_range in pods
  // with their own network and no user namespace.
  bool enable_unprivileged_ports = true;
  bool enable_unprivileged_icmp = true;
  std::string cdi_spec_dirs = "/etc/cdi:/var/run/cdi";
};

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
