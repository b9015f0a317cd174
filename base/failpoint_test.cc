#include "base/failpoint.h"

#include <gtest/gtest.h>

#include <csignal>

#include "base/testing/status_matchers.h"

namespace berth {
namespace {

TEST(FailpointTest, FailsFromTheAskedPassageOn) {
  EXPECT_OK(Failpoint("a.b.c"));
  EXPECT_THAT(Failpoint("a.b.c"), StatusIs(StatusCode::kInternal));
  EXPECT_THAT(Failpoint("a.b.c"), StatusIs(StatusCode::kInternal));
}

TEST(FailpointTest, LeavesOtherPlacesAlone) { EXPECT_OK(Failpoint("x")); }

TEST(FailpointDeathTest, Kills) {
  EXPECT_EXIT((void)Failpoint("d.e.f"), testing::KilledBySignal(SIGKILL), "");
}

}  // namespace
}  // namespace berth
