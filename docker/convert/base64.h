#ifndef DOCKER_CONVERT_BASE64_H_
#define DOCKER_CONVERT_BASE64_H_

#include <string>
#include <string_view>

#include "base/status.h"

namespace berth::docker {

// RFC 4648, either alphabet, with or without padding. INVALID_ARGUMENT for
// other characters.
StatusOr<std::string> DecodeBase64(std::string_view text);

}  // namespace berth::docker

#endif  // DOCKER_CONVERT_BASE64_H_
