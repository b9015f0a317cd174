// The options of a network's driver (docker network create -o). Pure.
#ifndef DOCKER_CONVERT_NETWORK_OPTIONS_H_
#define DOCKER_CONVERT_NETWORK_OPTIONS_H_

#include <string>

#include "base/status.h"
#include "cni/user/user_network.h"

namespace berth::docker {

// An option of a network: the host's address of ports that are published
// without one.
inline constexpr char kHostBinding[] =
    "com.docker.network.bridge.host_binding_ipv4";

// It can be the name of an interface, a word of a rule and a file's name.
bool IsInterfaceName(const std::string& name);

// What the options of the network say, into its other members. Those of other
// names are kept, as Docker does. INVALID_ARGUMENT for a value that cannot be,
// UNIMPLEMENTED for one that is not honoured; both name the option.
Status ReadNetworkOptions(cni::UserNetwork& network);

}  // namespace berth::docker

#endif  // DOCKER_CONVERT_NETWORK_OPTIONS_H_
