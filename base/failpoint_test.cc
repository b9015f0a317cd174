#include "base/failpoint.h"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>

#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"

namespace berth {
namespace {

TEST(FailpointTest, FailsFromTheAskedPassageOn) {
  EXPECT_OK(Failpoint("a.b.c"));
  EXPECT_THAT(Failpoint("a.b.c"), StatusIs(StatusCode::kInternal));
  EXPECT_THAT(Failpoint("a.b.c"), StatusIs(StatusCode::kInternal));
}

TEST(FailpointTest, FailsAsOftenAsAsked) {
  EXPECT_OK(Failpoint("g.h.i"));
  EXPECT_THAT(Failpoint("g.h.i"), StatusIs(StatusCode::kInternal));
  EXPECT_OK(Failpoint("g.h.i"));
}

TEST(FailpointTest, TellsWhoActed) {
  const TempDir dir;
  setenv(kFailpointsActedVariable, dir.Path("acted").c_str(), 1);
  EXPECT_OK(Failpoint("x"));
  EXPECT_FALSE(dir.Exists("acted"));
  EXPECT_FALSE(Failpoint("j.k.l").ok());
  EXPECT_EXIT((void)Failpoint("d.e.f"), testing::KilledBySignal(SIGKILL), "");
  EXPECT_EQ(dir.Read("acted"), "j.k.l\nd.e.f\n");
  unsetenv(kFailpointsActedVariable);
}

TEST(FailpointTest, LeavesOtherPlacesAlone) { EXPECT_OK(Failpoint("x")); }

TEST(FailpointDeathTest, Kills) {
  EXPECT_EXIT((void)Failpoint("d.e.f"), testing::KilledBySignal(SIGKILL), "");
}

}  // namespace
}  // namespace berth
