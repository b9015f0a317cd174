// How many addresses of a network are taken. Pure.
#ifndef DOCKER_CONVERT_IPAM_STATUS_H_
#define DOCKER_CONVERT_IPAM_STATUS_H_

#include "base/json.h"

namespace berth::docker {

// NetworkStatus.IPAM.Subnets, of what inspect says beside it: the settings of
// the addresses (IPAM), and the containers. Numbers that are too large are the
// largest one.
Json SubnetsJson(const Json& ipam, const Json& containers);

}  // namespace berth::docker

#endif  // DOCKER_CONVERT_IPAM_STATUS_H_
