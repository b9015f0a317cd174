// What a sandbox's record says of its networks. Pure.
#ifndef SANDBOX_RESOURCE_NETWORK_STATE_H_
#define SANDBOX_RESOURCE_NETWORK_STATE_H_

#include <optional>

#include "api/state/v1/state.pb.h"

namespace berth::sandbox {

// The state of an attachment: SandboxRecord.network, then more_networks.
const state::v1::NetworkState& StateOf(const state::v1::SandboxRecord& sandbox,
                                       int at);
state::v1::NetworkState& MutableState(state::v1::SandboxRecord& sandbox,
                                      int at);

// The attachment (index into SandboxConfig.networks) that is the way out; none
// if no network has one.
std::optional<int> GatewayOf(const state::v1::SandboxConfig& config);

// Whether `a` is the way out rather than `b`, if both have one.
bool ComesFirst(const state::v1::NetworkAttachment& a,
                const state::v1::NetworkAttachment& b);

}  // namespace berth::sandbox

#endif  // SANDBOX_RESOURCE_NETWORK_STATE_H_
