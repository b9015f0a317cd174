#ifndef DOCKER_CONVERT_CONSOLE_SIZE_H_
#define DOCKER_CONVERT_CONSOLE_SIZE_H_

#include <cstdint>
#include <optional>

#include "base/json.h"
#include "base/status.h"

namespace berth::docker {

struct ConsoleSize {
  uint16_t height = 0;
  uint16_t width = 0;
};

// The member "ConsoleSize", [height, width]; nothing if it is missing or no
// terminal can have that size. INVALID_ARGUMENT for anything but numbers.
StatusOr<std::optional<ConsoleSize>> ParseConsoleSize(JsonReader& reader);

}  // namespace berth::docker

#endif  // DOCKER_CONVERT_CONSOLE_SIZE_H_
