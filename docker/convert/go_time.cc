#include "docker/convert/go_time.h"

#include <algorithm>
#include <cstdlib>
#include <utility>
#include <vector>

#include "base/rfc3339.h"
#include "base/strings.h"

namespace berth::docker {
namespace {

constexpr char kDigits[] = "0123456789.";
constexpr double kMost = 30.0 * 365 * 86400 * 1e9;

}  // namespace

std::optional<Duration> ParseGoDuration(const std::string& text) {
  static const auto& units = *new std::vector<std::pair<std::string, double>>{
      {"ns", 1},  {"us", 1e3}, {"ms", 1e6},
      {"s", 1e9}, {"m", 6e10}, {"h", 3.6e12}};
  double sum = 0;
  size_t at = 0;
  while (at < text.size()) {
    const size_t unit_at = text.find_first_not_of(kDigits, at);
    if (unit_at == std::string::npos) break;
    const size_t next =
        std::min(text.find_first_of(kDigits, unit_at), text.size());
    const std::string number = text.substr(at, unit_at - at);
    const std::string name = text.substr(unit_at, next - unit_at);
    const auto unit =
        std::find_if(units.begin(), units.end(),
                     [&](const auto& known) { return known.first == name; });
    char* stop = nullptr;
    const double value = strtod(number.c_str(), &stop);
    if (number.empty() || *stop != '\0' || unit == units.end()) {
      return std::nullopt;
    }
    sum += value * unit->second;
    at = next;
  }
  if (text.empty() || (at < text.size() && text != "0") || sum > kMost) {
    return std::nullopt;
  }
  return Duration(static_cast<int64_t>(sum));
}

std::optional<UnixNanos> ParseMoment(const std::string& text, UnixNanos now) {
  constexpr uint64_t kNanos = 1000000000;
  const std::optional<uint64_t> seconds = ParseUint(text);
  if (seconds && *seconds < INT64_MAX / kNanos) {
    return static_cast<UnixNanos>(*seconds * kNanos);
  }
  for (const char* rest : {"", "Z", ":00Z", "T00:00:00Z"}) {
    if (const auto time = ParseRfc3339(text + rest)) return time;
  }
  if (const auto ago = ParseGoDuration(text)) return now - ago->count();
  return std::nullopt;
}

}  // namespace berth::docker
