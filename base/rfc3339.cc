#include "base/rfc3339.h"

#include <limits>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace berth {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

bool Holds(absl::Time time) {
  return time > absl::FromUnixNanos(std::numeric_limits<UnixNanos>::min()) &&
         time < absl::FromUnixNanos(std::numeric_limits<UnixNanos>::max());
}

}  // namespace

std::optional<UnixNanos> ParseRfc3339(std::string_view text) {
  // absl also takes white space around a time, and "infinite-future".
  if (text.empty() || !IsDigit(text.front())) return std::nullopt;
  if (text.back() != 'Z' && !IsDigit(text.back())) return std::nullopt;
  // Debian 12's absl has a string_view of its own.
  const absl::string_view view(text.data(), text.size());
  absl::Time time;
  if (!absl::ParseTime(absl::RFC3339_full, view, &time, nullptr) ||
      !Holds(time)) {
    return std::nullopt;
  }
  return absl::ToUnixNanos(time);
}

}  // namespace berth
