#include "docker/convert/filters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/testing/fuzz.h"
#include "base/testing/status_matchers.h"

namespace berth::docker {
namespace {

using ::testing::HasSubstr;

TEST(FiltersTest, ReadsBothForms) {
  for (const char* text : {R"({"label":{"a=b":true}, "name":{"x":true}})",
                           R"({"label": ["a=b"], "name": ["x"]})"}) {
    ASSERT_OK_AND_ASSIGN(const Filters filters,
                         Filters::Parse(text, {"label", "name"}));
    EXPECT_TRUE(filters.MatchLabels({{"a", "b"}, {"c", "d"}}));
    EXPECT_FALSE(filters.MatchLabels({{"a", "c"}}));
    EXPECT_TRUE(filters.Any("name", [](const auto& v) { return v == "x"; }));
    EXPECT_TRUE(filters.Any("id", [](const auto&) { return false; }));
  }
  for (const char* text :
       {"[]", "{", R"({"a": 1})", R"({"no": ["x"]})", R"({"no": []})"}) {
    EXPECT_THAT(Filters::Parse(text, {"a"}),
                StatusIs(StatusCode::kInvalidArgument));
  }
}

TEST(FiltersTest, TakesAnyKeyWhereNoneIsNamed) {
  ASSERT_OK_AND_ASSIGN(const Filters filters,
                       Filters::Parse(R"({"odd": ["x"], "label": ["a"]})"));
  EXPECT_TRUE(filters.Has("odd"));
  EXPECT_FALSE(filters.MatchLabels({}));
  EXPECT_THAT(Filters::Parse("[]"), StatusIs(StatusCode::kInvalidArgument));
}

TEST(FiltersTest, SurvivesAnyBytes) {
  Fuzz({R"({"label":{"a=b":true,"c":true},"name":["x"]})",
        R"({"label!":["a"],"name":{"y":false}})"},
       {"null", "[]", "{}", "\"label\":", "=", "\"\":"},
       [](const std::string& text) {
         const auto filters = Filters::Parse(text, {"label", "label!", "name"});
         if (!filters.ok()) return false;
         (void)filters->MatchLabels({{"a", "b"}});
         return true;
       });
}

TEST(FiltersTest, ChecksFlags) {
  for (const char* good : {"true", "False", "1", "0"}) {
    ASSERT_OK_AND_ASSIGN(
        const Filters filters,
        Filters::Parse(R"({"dangling":[")" + std::string(good) + R"("]})"));
    EXPECT_OK(filters.CheckFlag("dangling")) << good;
    EXPECT_OK(filters.CheckFlag("other"));
  }
  ASSERT_OK_AND_ASSIGN(const Filters filters,
                       Filters::Parse(R"({"dangling":["odd","true"]})"));
  EXPECT_THAT(filters.CheckFlag("dangling"),
              StatusIs(StatusCode::kInvalidArgument,
                       HasSubstr("invalid filter 'dangling=[odd]'")));
}

}  // namespace
}  // namespace berth::docker
