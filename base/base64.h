// Base64 (RFC 4648).
#ifndef BASE_BASE64_H_
#define BASE_BASE64_H_

#include <string>
#include <string_view>

#include "base/status.h"

namespace berth {

// The standard alphabet, padded.
std::string Base64Encode(std::string_view bytes);

// Either alphabet, with or without padding; white space is passed over, as long
// texts come wrapped. INVALID_ARGUMENT for other characters.
StatusOr<std::string> Base64Decode(std::string_view text);

}  // namespace berth

#endif  // BASE_BASE64_H_
