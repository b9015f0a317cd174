#ifndef DOCKER_ROUTES_CONTAINER_CREATE_H_
#define DOCKER_ROUTES_CONTAINER_CREATE_H_

#include "base/status.h"
#include "docker/call.h"
#include "docker/engine.h"

namespace berth::docker {

// POST /containers/create.
Status CreateContainer(Engine& engine, Call& call);

}  // namespace berth::docker

#endif  // DOCKER_ROUTES_CONTAINER_CREATE_H_
