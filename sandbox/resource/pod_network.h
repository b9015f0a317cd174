#ifndef SANDBOX_RESOURCE_POD_NETWORK_H_
#define SANDBOX_RESOURCE_POD_NETWORK_H_

#include <string>
#include <vector>

#include "base/fs/host_paths.h"
#include "cni/network.h"
#include "sandbox/resource/sandbox_resource.h"

namespace berth::sandbox {

// The sandbox's interfaces, addresses and published ports, as the plugins of
// its networks give them, and the sysctls of the network. Sandboxes in the
// host's network, in another sandbox's or in none have nothing here; the last
// get loopback only. Thread-safe.
class PodNetwork : public SandboxResource {
 public:
  PodNetwork(const HostPaths& paths, cni::Network& network)
      : paths_(paths), network_(network) {}

  std::string name() const override { return "network"; }
  Status Acquire(const Context& ctx,
                 state::v1::SandboxRecord& sandbox) override;
  Status Recover(const Context& ctx,
                 state::v1::SandboxRecord& sandbox) override;
  Status Release(const Context& ctx,
                 const state::v1::SandboxRecord& sandbox) override;

 private:
  const HostPaths paths_;
  cni::Network& network_;
};

// What each network of the sandbox is asked for, in the network's words: eth0,
// eth1 and so on; the node's default network if the sandbox names none. Ports
// are published at the way out alone, and bandwidth is limited at the first.
// INVALID_ARGUMENT for a bandwidth annotation that is no rate. Pure.
StatusOr<std::vector<cni::Attachment>> AttachmentsOf(
    const state::v1::SandboxRecord& sandbox);

// The verbs of a sandbox that runs. `at` is an index into
// SandboxConfig.networks, which has a state already, with its interface.
Status ConnectOne(const Context& ctx, const HostPaths& paths,
                  cni::Network& network, state::v1::SandboxRecord& sandbox,
                  int at);
Status DisconnectOne(const Context& ctx, cni::Network& network,
                     const state::v1::SandboxRecord& sandbox, int at);
// The way out is that of the networks that are attached now. Nothing to do for
// a sandbox that names no network.
Status SetGateways(const state::v1::SandboxRecord& sandbox);

// "10M", "1.5Gi", "800k": bits a second, 1k to 1P (Kubernetes' quantities).
StatusOr<uint64_t> ParseRate(const std::string& text);

}  // namespace berth::sandbox

#endif  // SANDBOX_RESOURCE_POD_NETWORK_H_
