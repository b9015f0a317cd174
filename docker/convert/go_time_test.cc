#include "docker/convert/go_time.h"

#include <gtest/gtest.h>

namespace berth::docker {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(GoTime, Durations) {
  EXPECT_EQ(ParseGoDuration("1m30s"), seconds(90));
  EXPECT_EQ(ParseGoDuration("1.5s"), milliseconds(1500));
  EXPECT_EQ(ParseGoDuration("240h"), hours(240));
  EXPECT_EQ(ParseGoDuration("0"), seconds(0));
  for (const char* text :
       {"", "1", "s", "1x", "1s2", "-1s", "1..2s", "1 s", "99999999999h"}) {
    EXPECT_FALSE(ParseGoDuration(text).has_value()) << text;
  }
}

TEST(GoTime, Moments) {
  constexpr int64_t kNanos = 1000000000;
  const UnixNanos now = 2000000000 * kNanos;
  EXPECT_EQ(ParseMoment("1000", now), 1000 * kNanos);
  EXPECT_EQ(ParseMoment("10m", now), now - 600 * kNanos);
  EXPECT_EQ(ParseMoment("1970-01-02", now), 86400 * kNanos);
  EXPECT_EQ(ParseMoment("1970-01-01T00:01:00", now), 60 * kNanos);
  EXPECT_EQ(ParseMoment("1970-01-01T00:01:00Z", now), 60 * kNanos);
  EXPECT_FALSE(ParseMoment("yesterday", now).has_value());
  EXPECT_FALSE(ParseMoment("", now).has_value());
}

}  // namespace
}  // namespace berth::docker
