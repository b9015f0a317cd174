#ifndef DOCKER_ROUTES_CONTAINER_LIST_H_
#define DOCKER_ROUTES_CONTAINER_LIST_H_

#include "base/status.h"
#include "docker/call.h"
#include "docker/engine.h"

namespace berth::docker {

// GET /containers/json.
Status ListContainers(Engine& engine, Call& call);

}  // namespace berth::docker

#endif  // DOCKER_ROUTES_CONTAINER_LIST_H_
