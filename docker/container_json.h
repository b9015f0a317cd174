// Containers as Docker's clients see them. Pure.
#ifndef DOCKER_CONTAINER_JSON_H_
#define DOCKER_CONTAINER_JSON_H_

#include <optional>
#include <string>

#include "base/clock.h"
#include "base/json.h"
#include "docker/convert/healthcheck.h"
#include "docker/notes.h"

namespace berth::docker {

// What the records alone do not say.
struct Surroundings {
  std::string volume_directory;
  bool restarting = false;  // waits for its restart policy
  std::optional<Health> health;
  UnixNanos now = 0;
};

// ContainerInspectResponse.
Json InspectJson(const View& view, const Surroundings& around);
// What the image was asked for by.
std::string ImageName(const View& view);
// ContainerSummary, an element of the list.
Json SummaryJson(const View& view, const Surroundings& around);

// "bridge", "host", "none" or "container:ID".
std::string NetworkModeOf(const View& view);
// Of a network of that name: 64 hexadecimal digits.
std::string NetworkId(const std::string& name);

// RFC 3339 without trailing zeros; 0 is the year one.
std::string TimeText(UnixNanos time);
// "3 minutes", "About an hour".
std::string HumanDuration(Duration duration);

}  // namespace berth::docker

#endif  // DOCKER_CONTAINER_JSON_H_
