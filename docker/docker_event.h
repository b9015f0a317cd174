#ifndef DOCKER_DOCKER_EVENT_H_
#define DOCKER_DOCKER_EVENT_H_

#include <cstdint>
#include <map>
#include <string>

#include "base/clock.h"
#include "base/json.h"

namespace berth::docker {

// One of Docker's events. A value.
struct DockerEvent {
  uint64_t number = 0;  // in order, without gaps
  UnixNanos time = 0;
  std::string type;    // "container", "image", "volume"
  std::string action;  // "start", "exec_create: ls -l"
  std::string id;
  std::map<std::string, std::string> attributes;

  // `legacy`: with the members that it had before API 1.52.
  Json ToJson(bool legacy) const;
};

}  // namespace berth::docker

#endif  // DOCKER_DOCKER_EVENT_H_
