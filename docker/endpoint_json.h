// What inspect says of a container's networks. Pure.
#ifndef DOCKER_ENDPOINT_JSON_H_
#define DOCKER_ENDPOINT_JSON_H_

#include <string>

#include "base/json.h"
#include "docker/notes.h"

namespace berth::docker {

// NetworkSettings.Networks.
Json EndpointsJson(const View& view);
// An endpoint that is not attached to anything.
Json BareEndpointJson();

// Of the container on the network with this id.
std::string EndpointId(const View& view, const std::string& network_id);

// Of the attachment at this place of SandboxConfig.networks.
const state::v1::NetworkState& AttachmentState(
    const state::v1::SandboxRecord& sandbox, int at);

}  // namespace berth::docker

#endif  // DOCKER_ENDPOINT_JSON_H_
