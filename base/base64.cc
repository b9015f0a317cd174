#include "base/base64.h"

#include <algorithm>

#include "absl/strings/escaping.h"

namespace berth {

std::string Base64Encode(std::string_view bytes) {
  return absl::Base64Escape({bytes.data(), bytes.size()});
}

StatusOr<std::string> Base64Decode(std::string_view text) {
  std::string standard(text);
  std::replace(standard.begin(), standard.end(), '-', '+');
  std::replace(standard.begin(), standard.end(), '_', '/');
  std::string bytes;
  if (absl::Base64Unescape(standard, &bytes)) return bytes;
  return InvalidArgument("not base64");
}

}  // namespace berth
