#ifndef IMAGE_REGISTRY_TOML_TEXT_H_
#define IMAGE_REGISTRY_TOML_TEXT_H_

#include <string_view>

#include "base/status.h"

namespace berth::image {

// Refuses what TOML 1.0 does not allow and toml++ 3.3 (Debian 12) has no
// defined behaviour for: characters beyond ASCII outside of strings and
// comments, and control characters other than tabs and line ends. Refuses as
// well the line ends that only Unicode knows, and strings without an end, so
// that both agree where strings and comments are. The rest of the grammar is
// the parser's. INVALID_ARGUMENT names the line. Pure.
Status CheckTomlText(std::string_view text);

}  // namespace berth::image

#endif  // IMAGE_REGISTRY_TOML_TEXT_H_
