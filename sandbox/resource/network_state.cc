#include "sandbox/resource/network_state.h"

namespace berth::sandbox {

using ::berth::state::v1::NetworkState;
using ::berth::state::v1::SandboxRecord;

const NetworkState& StateOf(const SandboxRecord& sandbox, int at) {
  if (at == 0) return sandbox.network();
  return at <= sandbox.more_networks_size() ? sandbox.more_networks(at - 1)
                                            : NetworkState::default_instance();
}

NetworkState& MutableState(SandboxRecord& sandbox, int at) {
  if (at == 0) return *sandbox.mutable_network();
  while (sandbox.more_networks_size() < at) sandbox.add_more_networks();
  return *sandbox.mutable_more_networks(at - 1);
}

std::optional<int> GatewayOf(const state::v1::SandboxConfig& config) {
  std::optional<int> best;
  for (int at = 0; at < config.networks_size(); ++at) {
    if (config.networks(at).internal()) continue;
    if (!best || ComesFirst(config.networks(at), config.networks(*best))) {
      best = at;
    }
  }
  return best;
}

bool ComesFirst(const state::v1::NetworkAttachment& a,
                const state::v1::NetworkAttachment& b) {
  if (a.gateway_priority() != b.gateway_priority()) {
    return a.gateway_priority() > b.gateway_priority();
  }
  return a.name() < b.name();
}

}  // namespace berth::sandbox
