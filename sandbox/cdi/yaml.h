#ifndef SANDBOX_CDI_YAML_H_
#define SANDBOX_CDI_YAML_H_

#include <set>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/status.h"

namespace berth::sandbox {

// One document of YAML 1.1 as JSON. What a plain scalar means is asked of its
// place and not of its looks, so that a device called 0 or off is a text: below
// a member that `numbers` names it is a number (0x1b6, 0o666 and 0666, too) or
// true or false if it can be one; elsewhere it is a text. Without quotes the
// empty scalar, ~ and null are null.
//
// INVALID_ARGUMENT, naming `what` and the line: what is not YAML, no document
// or a second one, an alias, a key that is no scalar or comes twice, more than
// 64 levels. Pure.
StatusOr<Json> ParseYaml(std::string_view yaml, const std::string& what,
                         const std::set<std::string>& numbers);

}  // namespace berth::sandbox

#endif  // SANDBOX_CDI_YAML_H_
