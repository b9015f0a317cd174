#ifndef DOCKER_CONVERT_NAMES_H_
#define DOCKER_CONVERT_NAMES_H_

#include <string>
#include <string_view>

#include "base/status.h"

namespace berth::docker {

// "brave_hopper": for a container whose maker gives it none.
std::string RandomName();

// [a-zA-Z0-9][a-zA-Z0-9_.-]+, at most 255 bytes; INVALID_ARGUMENT in Docker's
// words. `what` is "container" or "volume".
Status CheckName(std::string_view name, const std::string& what);

}  // namespace berth::docker

#endif  // DOCKER_CONVERT_NAMES_H_
