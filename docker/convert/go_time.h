// Times as programs in Go write them.
#ifndef DOCKER_CONVERT_GO_TIME_H_
#define DOCKER_CONVERT_GO_TIME_H_

#include <optional>
#include <string>

#include "base/clock.h"

namespace berth::docker {

// "1m30s", "1.5h" (time.ParseDuration of Go, without a sign). Nothing for
// anything else and for more than 30 years.
std::optional<Duration> ParseGoDuration(const std::string& text);

// What the filter "until" names: Unix seconds, a date or time of RFC 3339
// without the rest (UTC), or a duration before `now`. Nothing for anything
// else.
std::optional<UnixNanos> ParseMoment(const std::string& text, UnixNanos now);

}  // namespace berth::docker

#endif  // DOCKER_CONVERT_GO_TIME_H_
