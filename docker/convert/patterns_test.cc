#include "docker/convert/patterns.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/testing/status_matchers.h"

namespace berth::docker {
namespace {

TEST(PatternsTest, ExpressionsMatchAnywhere) {
  EXPECT_TRUE(Patterns::Expressions({}).Match("any"));
  EXPECT_TRUE(Patterns::Expressions({"^a.c$", "z"}).Match("abc"));
  EXPECT_FALSE(Patterns::Expressions({"^b"}).Match("abc"));
  // What is no expression is at most itself.
  EXPECT_TRUE(Patterns::Expressions({"a("}).Match("a("));
  EXPECT_FALSE(Patterns::Expressions({"a("}).Match("aa("));
}

// Each of them has stopped a daemon with another matcher.
TEST(PatternsTest, HostileExpressionsAnswerAtOnce) {
  const std::string name(255, 'x');
  for (const std::string& hostile :
       {std::string(20'000, '(') + std::string(20'000, ')'),
        std::string("(x+x+)+y"), std::string("((((x{100}){100}){100}){100})"),
        std::string("x{1000}y"), std::string(100'000, '['),
        "(" + std::string(50'000, '|') + ")", std::string(5'000, '*')}) {
    (void)Patterns::Expressions({hostile}).Match(name);
    (void)Patterns::Globs({hostile}).ok();
  }
  EXPECT_FALSE(Patterns::Expressions({"(x+x+)+y"}).Match(name));
  std::string stars;
  for (int i = 0; i < 100; ++i) stars += "*x";
  ASSERT_OK_AND_ASSIGN(const Patterns globs, Patterns::Globs({stars + "y"}));
  EXPECT_FALSE(globs.Match(name));
}

TEST(PatternsTest, GlobsAreOfTheWholeName) {
  struct {
    const char* glob;
    const char* name;
    bool matches;
  } cases[] = {
      {"busybox", "busybox", true},
      {"busy*", "busybox", true},
      {"busy", "busybox", false},
      {"*", "a/b", false},
      {"*/b", "a/b", true},
      {"b?sybox:*", "busybox:latest", true},
      {"[a-c]usybox", "busybox", true},
      {"[^a-c]usybox", "busybox", false},
      {"a.c", "abc", false},
      {"a+", "aa", false},
      {"a\\*", "a*", true},
      {"a\\*", "ab", false},
      {"[[]x", "[x", true},
      {"x[\\]]", "x]", true},
  };
  for (const auto& one : cases) {
    ASSERT_OK_AND_ASSIGN(const Patterns globs, Patterns::Globs({one.glob}));
    EXPECT_EQ(globs.Match(one.name), one.matches)
        << one.glob << " " << one.name;
  }
  for (const char* bad : {"[", "a[b", "a\\", "[]"}) {
    EXPECT_THAT(Patterns::Globs({bad}), StatusIs(StatusCode::kInvalidArgument))
        << bad;
  }
}

}  // namespace
}  // namespace berth::docker
