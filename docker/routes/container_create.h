#ifndef DOCKER_ROUTES_CONTAINER_CREATE_H_
#define DOCKER_ROUTES_CONTAINER_CREATE_H_

#include <string>
#include <vector>

#include "base/context.h"
#include "base/json.h"
#include "base/status.h"
#include "docker/call.h"
#include "docker/engine.h"

namespace berth::docker {

// A container as clients ask for it.
struct NewContainer {
  Json config = Json::object();  // the body of the request
  std::string image;             // its Image
  std::string name;              // empty: one that is free
  std::string platform;          // empty: any
};

struct MadeContainer {
  std::string id;
  std::vector<std::string> warnings;  // of what was left out
};

// NOT_FOUND without the image.
StatusOr<MadeContainer> MakeContainer(Engine& engine, const Context& ctx,
                                      const NewContainer& asked);

// POST /containers/create.
Status CreateContainer(Engine& engine, Call& call);

}  // namespace berth::docker

#endif  // DOCKER_ROUTES_CONTAINER_CREATE_H_
