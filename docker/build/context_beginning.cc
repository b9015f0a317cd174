#include "docker/build/context_beginning.h"

#include <cstdint>
#include <cstdio>

#include "base/strings.h"

namespace berth::docker {

std::string ContextBeginning(std::string_view bytes) {
  using std::literals::operator""sv;
  for (const std::string_view magic : {"\x1f\x8b"sv, "BZh"sv,
                                       "\xfd"
                                       "7zXZ\0"sv,
                                       "\x28\xb5\x2f\xfd"sv}) {
    if (StartsWith(bytes, magic)) return "";
  }
  // POSIX.1-1988, "ustar Interchange Format".
  std::string header(512, '\0');
  const auto put = [&header](size_t at, std::string_view text) {
    header.replace(at, text.size(), text);
  };
  put(0, "./");
  put(100, "0000755\0"sv);
  put(108, "0000000\0"sv);      // user
  put(116, "0000000\0"sv);      // group
  put(124, "00000000000\0"sv);  // size
  put(136, "00000000000\0"sv);  // time
  put(148, "        ");         // of the checksum, while it is computed
  put(156, "5");                // a directory
  put(257, "ustar\00000"sv);
  unsigned sum = 0;
  for (const char byte : header) sum += static_cast<uint8_t>(byte);
  char digits[8];
  snprintf(digits, sizeof(digits), "%06o", sum);
  put(148, std::string_view(digits, 7));
  return header;
}

}  // namespace berth::docker
