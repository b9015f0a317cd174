#ifndef BASE_CLOCK_H_
#define BASE_CLOCK_H_

#include <chrono>
#include <cstdint>
#include <string>

namespace berth {

using Duration = std::chrono::nanoseconds;
using SteadyTime = std::chrono::steady_clock::time_point;

// Nanoseconds since the Unix epoch: the form of every time that we store, log
// or hand out.
using UnixNanos = int64_t;

UnixNanos Now();

// "2026-01-02T03:04:05.000000006Z": RFC 3339, UTC, nine digits.
std::string FormatRfc3339(UnixNanos time);

}  // namespace berth

#endif  // BASE_CLOCK_H_
