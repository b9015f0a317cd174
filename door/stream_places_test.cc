#include "door/stream_places.h"

#include <gtest/gtest.h>

#include <optional>

namespace berth::door {
namespace {

Context New() { return Context::Background().WithCancel(); }

TEST(StreamPlacesTest, TheNewestTakesThePlaceOfTheOldest) {
  StreamPlaces places(2);
  const Context first = New();
  const Context second = New();
  StreamPlaces::Place one(places, first);
  StreamPlaces::Place two(places, second);
  EXPECT_FALSE(one.lost());
  StreamPlaces::Place three(places, New());
  EXPECT_TRUE(one.lost());
  EXPECT_TRUE(first.cancelled());
  EXPECT_FALSE(two.lost());
  EXPECT_FALSE(second.cancelled());
  StreamPlaces::Place four(places, New());
  EXPECT_TRUE(two.lost());
}

TEST(StreamPlacesTest, APlaceThatWasGivenBackIsFree) {
  StreamPlaces places(1);
  std::optional<StreamPlaces::Place> one;
  one.emplace(places, New());
  one.reset();
  StreamPlaces::Place two(places, New());
  EXPECT_FALSE(two.lost());
}

}  // namespace
}  // namespace berth::door
