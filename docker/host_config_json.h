// What inspect says of a container's HostConfig. Pure.
#ifndef DOCKER_HOST_CONFIG_JSON_H_
#define DOCKER_HOST_CONFIG_JSON_H_

#include "base/json.h"
#include "docker/notes.h"

namespace berth::docker {

// Every member that dockerd shows: as it was asked for, with what is in force
// where the request left that open. Clients read members without a look
// whether they are there.
Json HostConfigJson(const View& view);

}  // namespace berth::docker

#endif  // DOCKER_HOST_CONFIG_JSON_H_
