#include "docker/convert/is_unset.h"

#include <algorithm>

namespace berth::docker {

bool IsUnset(const Json& value) {
  if (value.is_array()) {
    return std::all_of(value.elements().begin(), value.elements().end(),
                       IsUnset);
  }
  if (value.is_object()) {
    return std::all_of(
        value.members().begin(), value.members().end(),
        [](const auto& member) { return IsUnset(member.second); });
  }
  return value == nullptr || value == false || value == 0 || value == 0.0 ||
         value == "";
}

}  // namespace berth::docker
