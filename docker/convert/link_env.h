// Variables of a link (docker run --link on the default network). Pure.
#ifndef DOCKER_CONVERT_LINK_ENV_H_
#define DOCKER_CONVERT_LINK_ENV_H_

#include <string>
#include <vector>

#include "base/json.h"

namespace berth::docker {

// What a container of the default network is told of another.
struct Link {
  std::string name;     // "/PARENT/ALIAS"
  std::string address;  // of the other
  Json config;          // the other's Config: ExposedPorts, Env
};
// "ALIAS_PORT_80_TCP_ADDR=10.88.0.2" and so on, in dockerd's order.
std::vector<std::string> LinkEnv(const Link& link);

}  // namespace berth::docker

#endif  // DOCKER_CONVERT_LINK_ENV_H_
