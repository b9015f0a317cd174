#ifndef DOCKER_CONVERT_GO_BOOL_H_
#define DOCKER_CONVERT_GO_BOOL_H_

#include <optional>
#include <string>

namespace berth::docker {

// As strconv.ParseBool of Go: "1", "t", "true" in three spellings, and their
// opposites. Nothing for anything else.
std::optional<bool> ParseGoBool(const std::string& text);

}  // namespace berth::docker

#endif  // DOCKER_CONVERT_GO_BOOL_H_
