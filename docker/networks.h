// The engine's networks: three that are always there, and those that clients
// make. Thread-safe, as the engine is.
#ifndef DOCKER_NETWORKS_H_
#define DOCKER_NETWORKS_H_

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "cni/user/user_network.h"
#include "docker/convert/create_request.h"
#include "docker/convert/network_request.h"
#include "docker/engine.h"

namespace berth::docker {

struct EngineNetwork {
  std::string id;
  std::string name;
  std::string driver;
  std::optional<cni::UserNetwork> user;  // none: a predefined one

  // By this name sandboxes know it: "" for the node's default.
  std::string in_sandbox() const { return user ? user->id : ""; }
};

// The predefined ones first.
std::vector<EngineNetwork> AllNetworks(const Engine& engine);
// By full id, name, or unique beginning of an id. NOT_FOUND in Docker's words;
// INVALID_ARGUMENT if several begin so.
StatusOr<EngineNetwork> FindNetwork(const Engine& engine,
                                    const std::string& text);

Json NetworkJson(const Engine& engine, const EngineNetwork& network);
// The containers that run on it, as inspect has them.
Json MembersJson(const Engine& engine, const EngineNetwork& network);

// The IPv4 address of a running container on the default network; "" if it has
// none.
std::string DefaultAddressOf(const View& view);

// What a sandbox is asked to attach to, for this endpoint. INVALID_ARGUMENT for
// what this network does not give.
StatusOr<state::v1::NetworkAttachment> AttachmentFor(
    const EngineNetwork& network, const EndpointRequest& endpoint);

// The networks of a create request, into its sandbox. Those that do not exist
// are noted by their names: the start says so.
Status ChooseNetworks(const Engine& engine, CreateRequest& request);

// Before a start: those that were noted by their names, and NOT_FOUND for one
// that does not exist; PERMISSION_DENIED for an address that is taken.
Status ResolveNetworks(Engine& engine, const Context& ctx, const View& view);

// "connect" and "disconnect" of every network of a container.
void PublishNetworkEvents(Engine& engine, const View& view,
                          const std::string& action);

}  // namespace berth::docker

#endif  // DOCKER_NETWORKS_H_
