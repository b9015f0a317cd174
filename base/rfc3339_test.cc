#include "base/rfc3339.h"

#include <gtest/gtest.h>

namespace berth {
namespace {

constexpr UnixNanos kNewYear2026 = 1767225600'000000000;

TEST(Rfc3339Test, ReadsTimesWithAndWithoutFraction) {
  EXPECT_EQ(ParseRfc3339("2026-01-01T00:00:00Z"), kNewYear2026);
  EXPECT_EQ(ParseRfc3339("2026-01-01T00:00:00.5Z"), kNewYear2026 + 500000000);
  EXPECT_EQ(ParseRfc3339("2026-01-01T00:00:00.000000001Z"), kNewYear2026 + 1);
  EXPECT_EQ(ParseRfc3339("2026-01-01T00:00:00.00000000199Z"), kNewYear2026 + 1);
  EXPECT_EQ(ParseRfc3339("1970-01-01T00:00:00Z"), 0);
  EXPECT_EQ(ParseRfc3339("1969-12-31T23:59:59.9Z"), -100000000);
}

TEST(Rfc3339Test, ReadsOffsets) {
  EXPECT_EQ(ParseRfc3339("2026-01-01T01:00:00+01:00"), kNewYear2026);
  EXPECT_EQ(ParseRfc3339("2025-12-31T18:15:00.25-05:45"),
            kNewYear2026 + 250000000);
}

TEST(Rfc3339Test, WhatFormatWritesIsReadBack) {
  for (const UnixNanos time : {UnixNanos{0}, UnixNanos{-1}, kNewYear2026 + 7}) {
    EXPECT_EQ(ParseRfc3339(FormatRfc3339(time)), time);
  }
}

TEST(Rfc3339Test, RefusesWhatIsNoTime) {
  for (const char* text :
       {"", "2026", "2026-01-01", "2026-01-01T00:00:00", "infinite-future",
        " 2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z ",
        "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-01-01T00:00:00ZZ",
        "2026-01-01T00:00:00+1", "2026-01-01T00:00:00.5", "x"}) {
    EXPECT_FALSE(ParseRfc3339(text).has_value()) << text;
  }
}

TEST(Rfc3339Test, RefusesWhatNanosecondsCannotHold) {
  EXPECT_TRUE(ParseRfc3339("1678-01-01T00:00:00Z").has_value());
  EXPECT_TRUE(ParseRfc3339("2262-01-01T00:00:00Z").has_value());
  for (const char* text :
       {"0001-01-01T00:00:00Z", "0020-01-01T00:00:00Z", "2300-01-01T00:00:00Z",
        "99999999999999999999-01-01T00:00:00Z"}) {
    EXPECT_FALSE(ParseRfc3339(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace berth
