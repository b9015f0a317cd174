#include "docker/convert/go_bool.h"

#include <gtest/gtest.h>

namespace berth::docker {
namespace {

TEST(ParseGoBoolTest, KnowsTheWordsOfGo) {
  EXPECT_EQ(ParseGoBool("T"), true);
  EXPECT_EQ(ParseGoBool("1"), true);
  EXPECT_EQ(ParseGoBool("False"), false);
  EXPECT_EQ(ParseGoBool("0"), false);
  for (const char* other : {"", "tRUE", "yes", "2", " true"}) {
    EXPECT_EQ(ParseGoBool(other), std::nullopt) << other;
  }
}

}  // namespace
}  // namespace berth::docker
