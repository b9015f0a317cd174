#include "base/clock.h"

#include <cstdio>
#include <ctime>

namespace berth {
namespace {
constexpr int64_t kNanosPerSecond = 1'000'000'000;
}  // namespace

UnixNanos Now() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return int64_t{now.tv_sec} * kNanosPerSecond + now.tv_nsec;
}

std::string FormatRfc3339(UnixNanos time) {
  time_t seconds = time / kNanosPerSecond;
  int64_t nanos = time % kNanosPerSecond;
  if (nanos < 0) {
    nanos += kNanosPerSecond;
    --seconds;
  }
  tm utc{};
  gmtime_r(&seconds, &utc);
  char text[64];
  const int n =
      snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%09dZ",
               utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour,
               utc.tm_min, utc.tm_sec, static_cast<int>(nanos));
  return std::string(text, static_cast<size_t>(n));
}

}  // namespace berth
