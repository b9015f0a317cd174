#ifndef IMAGE_REGISTRY_TOML_TEXT_H_
#define IMAGE_REGISTRY_TOML_TEXT_H_

#include <string>
#include <string_view>

#include "base/status.h"

namespace berth::image {

// toml++ 3.3 (Debian 12) has undefined behaviour for characters beyond ASCII
// outside of strings and comments, and only its own parser knows where those
// are. So it is given a document in ASCII. Pure functions.

// The document with every byte beyond ASCII, and every '~', written as "~xx";
// a byte order mark at its start is left out. Outside of strings and comments
// TOML has no '~': the parser refuses it. INVALID_ARGUMENT, with the line, for
// control characters other than tabs and line ends, which TOML does not allow.
StatusOr<std::string> AsciiToml(std::string_view text);

// A key or a value of the parsed document as it was written. (A '~' that was
// written as an escape of TOML, before two hexadecimal digits, is not told
// apart.)
std::string FromAsciiToml(std::string_view text);

}  // namespace berth::image

#endif  // IMAGE_REGISTRY_TOML_TEXT_H_
