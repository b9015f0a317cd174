#include "image/registry/toml_text.h"

#include <algorithm>
#include <cstddef>
#include <string>

namespace berth::image {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
constexpr std::string_view kDigits = "0123456789abcdef";
constexpr char kMark = '~';

bool IsControl(std::string_view text, size_t at) {
  const char c = text[at];
  const bool line_end = c == '\n' || text.substr(at, 2) == "\r\n";
  return (c >= 0 && c < ' ' && c != '\t' && !line_end) || c == 0x7f;
}

}  // namespace

StatusOr<std::string> AsciiToml(std::string_view text) {
  if (text.substr(0, kByteOrderMark.size()) == kByteOrderMark) {
    text.remove_prefix(kByteOrderMark.size());
  }
  std::string ascii;
  ascii.reserve(text.size());
  for (size_t at = 0; at < text.size(); ++at) {
    if (IsControl(text, at)) {
      const auto line = std::count(text.begin(), text.begin() + at, '\n') + 1;
      return InvalidArgument("line " + std::to_string(line) +
                             ": a control character");
    }
    const auto byte = static_cast<unsigned char>(text[at]);
    if (byte < 0x80 && text[at] != kMark) {
      ascii += text[at];
    } else {
      ascii += {kMark, kDigits[byte >> 4], kDigits[byte & 15]};
    }
  }
  return ascii;
}

std::string FromAsciiToml(std::string_view text) {
  std::string plain;
  plain.reserve(text.size());
  for (size_t at = 0; at < text.size(); ++at) {
    const bool marked = text[at] == kMark && at + 2 < text.size();
    const size_t high = marked ? kDigits.find(text[at + 1]) : kDigits.npos;
    const size_t low = marked ? kDigits.find(text[at + 2]) : kDigits.npos;
    if (high == kDigits.npos || low == kDigits.npos) {
      plain += text[at];
    } else {
      plain += static_cast<char>(high << 4 | low);
      at += 2;
    }
  }
  return plain;
}

}  // namespace berth::image
