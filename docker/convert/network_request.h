// Bodies about networks: a network to be made, and a container's endpoint.
// Pure.
#ifndef DOCKER_CONVERT_NETWORK_REQUEST_H_
#define DOCKER_CONVERT_NETWORK_REQUEST_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "cni/user/user_network.h"

namespace berth::docker {

// Of POST /networks/create: id, bridge and subnets that are not asked for are
// left to the caller. INVALID_ARGUMENT, PERMISSION_DENIED for a predefined
// name, NOT_FOUND for a driver that is none, UNIMPLEMENTED for what is set and
// not honoured.
StatusOr<cni::UserNetwork> ConvertNetwork(const Json& body);

// The network with the settings of `source`, which is one of settings alone.
StatusOr<cni::UserNetwork> ConfiguredBy(const cni::UserNetwork& source,
                                        cni::UserNetwork network);

// One member of EndpointsConfig, or a connect's EndpointConfig.
struct EndpointRequest {
  std::string network;  // as the client names it
  std::string network_id;
  std::string ipv4;
  std::string ipv6;
  std::string mac;
  std::vector<std::string> aliases;
  std::map<std::string, std::string> links;  // alias -> container
  int64_t gateway_priority = 0;
  std::vector<std::string> link_local_ips;
  // As asked for; those that are acted on are read from here too.
  std::map<std::string, std::string> driver_options;
  std::string interface;  // its name in the container; "": any
  // Files beneath /proc/sys, with IFNAME in place of the interface's name.
  std::map<std::string, std::string> sysctls;

  // Anything that only networks of users have.
  bool asks() const {
    return !ipv4.empty() || !ipv6.empty() || !aliases.empty() || !links.empty();
  }
};
// Null is an endpoint that asks for nothing.
StatusOr<EndpointRequest> ConvertEndpoint(const std::string& network,
                                          const Json& json);

// "container:alias" each; without an alias it is the container's own name.
StatusOr<std::map<std::string, std::string>> ParseLinks(
    const std::vector<std::string>& links);

// "02:42:0a:09:00:05" in lower case; INVALID_ARGUMENT for what is none.
StatusOr<std::string> ParseMac(const std::string& text);

}  // namespace berth::docker

#endif  // DOCKER_CONVERT_NETWORK_REQUEST_H_
