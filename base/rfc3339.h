#ifndef BASE_RFC3339_H_
#define BASE_RFC3339_H_

#include <optional>
#include <string_view>

#include "base/clock.h"

namespace berth {

// "2026-01-02T03:04:05.6Z" or "...+01:00": a time of RFC 3339, with or without
// a fraction; digits below a nanosecond are dropped. Nothing for anything else
// and for a time that UnixNanos cannot hold (before 1678, after 2262). What
// writes such times is FormatRfc3339 (base/clock.h). Any thread.
std::optional<UnixNanos> ParseRfc3339(std::string_view text);

}  // namespace berth

#endif  // BASE_RFC3339_H_
