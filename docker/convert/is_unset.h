#ifndef DOCKER_CONVERT_IS_UNSET_H_
#define DOCKER_CONVERT_IS_UNSET_H_

#include "base/json.h"

namespace berth::docker {

// Null, false, 0, "", [] or {}, or an object or array of such alone. Pure.
bool IsUnset(const Json& value);

}  // namespace berth::docker

#endif  // DOCKER_CONVERT_IS_UNSET_H_
