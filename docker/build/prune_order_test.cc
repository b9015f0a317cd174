#include "docker/build/prune_order.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing/status_matchers.h"

namespace berth::docker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr UnixNanos kNow = 1700000000000000000;
constexpr int64_t kHour = int64_t{3600} * 1000000000;

TEST(PruneOrderTest, WithoutFiltersIsForAll) {
  ASSERT_OK_AND_ASSIGN(const auto request, ReadPruneOrder("", kNow));
  EXPECT_THAT(request.filter(), IsEmpty());
  EXPECT_EQ(request.keepduration(), 0);
}

TEST(PruneOrderTest, EveryFilterMustHold) {
  ASSERT_OK_AND_ASSIGN(
      const auto request,
      ReadPruneOrder(R"({"type":["regular"],"id":["ab"],"shared":["true"]})",
                     kNow));
  EXPECT_THAT(request.filter(),
              ElementsAre("id~=\"ab\",type==\"regular\",shared"));
}

TEST(PruneOrderTest, FlagsHaveValues) {
  const auto filter = [](const std::string& text) {
    const auto request = ReadPruneOrder(text, kNow);
    return request.ok() && request->filter_size() == 1 ? request->filter(0)
                                                       : "?";
  };
  EXPECT_EQ(filter(R"({"inuse":["1"]})"), "inuse");
  EXPECT_EQ(filter(R"({"inuse":["false"]})"), "inuse==\"false\"");
  EXPECT_EQ(filter(R"({"shared":["false"]})"), "private");
  EXPECT_EQ(filter(R"({"private":["0"]})"), "shared");
}

TEST(PruneOrderTest, UnusedForIsUntil) {
  for (const char* text :
       {R"({"until":["1h"]})", R"({"unused-for":{"1h":true}})"}) {
    ASSERT_OK_AND_ASSIGN(const auto request, ReadPruneOrder(text, kNow));
    EXPECT_EQ(request.keepduration(), kHour) << text;
  }
}

TEST(PruneOrderTest, RefusesWhatIsNotClear) {
  for (const char* text :
       {R"({"until":["1h"],"unused-for":["1h"]})", R"({"until":["1h","2h"]})",
        R"({"unused-for":["soon"]})", R"({"id":["a","b"]})",
        R"({"color":["red"]})"}) {
    EXPECT_THAT(ReadPruneOrder(text, kNow),
                StatusIs(StatusCode::kInvalidArgument))
        << text;
  }
  EXPECT_THAT(ReadPruneOrder(R"({"until":["1h"],"unused-for":["1h"]})", kNow),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("conflicting")));
}

TEST(PruneOrderTest, KnowsWhatLeavesNothing) {
  ASSERT_OK_AND_ASSIGN(auto request, ReadPruneOrder("", kNow));
  EXPECT_FALSE(PrunesAll(request));
  request.set_all(true);
  EXPECT_TRUE(PrunesAll(request));
  request.set_reservedspace(1);
  EXPECT_FALSE(PrunesAll(request));
  ASSERT_OK_AND_ASSIGN(request, ReadPruneOrder(R"({"until":["24h"]})", kNow));
  request.set_all(true);
  EXPECT_FALSE(PrunesAll(request));
}

}  // namespace
}  // namespace berth::docker
