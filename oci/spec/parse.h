// config.json and its parts from text.
//
// Types, ranges and enumerations are checked here; rules between fields are
// validate.h's. Unknown properties are ignored, as the specification asks;
// known ones that we do not carry out are UNIMPLEMENTED, naming the field.
// Wrong values are INVALID_ARGUMENT with the path ("process.user.uid").
// 64-bit integers are exact. Thread-safe, pure.
#ifndef OCI_SPEC_PARSE_H_
#define OCI_SPEC_PARSE_H_

#include <string_view>

#include "base/status.h"
#include "oci/spec/spec.h"

namespace berth::oci {

// A longer text is refused before it is parsed.
inline constexpr size_t kMaxSpecBytes = 16 << 20;

StatusOr<Spec> ParseSpec(std::string_view text);
// The file of `exec --process`.
StatusOr<ProcessSpec> ParseProcess(std::string_view text);
// The file of `update --resources`, and the task API's Update.
StatusOr<Resources> ParseResources(std::string_view text);

}  // namespace berth::oci

#endif  // OCI_SPEC_PARSE_H_
