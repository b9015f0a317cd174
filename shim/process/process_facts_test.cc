#include "shim/process/process_facts.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

#include "base/testing/status_matchers.h"

namespace berth::shim {
namespace {

TEST(ParseCgroupFileTest, PrefersTheMemoryHierarchyOfV1) {
  EXPECT_THAT(ParseCgroupFile("12:cpu,cpuacct:/other\n"
                              "4:memory:/pod/c1\n"
                              "1:name=systemd:/x\n"
                              "0::/unified\n"),
              IsOkAndHolds("/pod/c1"));
}

TEST(ParseCgroupFileTest, TakesTheOnlyOneOfV2) {
  EXPECT_THAT(ParseCgroupFile("0::/pod:with:colons/c1\n"),
              IsOkAndHolds("/pod:with:colons/c1"));
}

TEST(ParseCgroupFileTest, SaysWhenThereIsNone) {
  EXPECT_THAT(ParseCgroupFile(""), StatusIs(StatusCode::kNotFound));
  EXPECT_THAT(ParseCgroupFile("nonsense\n1:\n"),
              StatusIs(StatusCode::kNotFound));
}

TEST(ValidateIdTest, TakesOnlyWhatMakesAFileName) {
  for (const char* id : {"a", "0abc", "A_b.c-d+e"}) {
    EXPECT_OK(ValidateId(id)) << id;
  }
  for (const char* id : {"", ".", "..", "a/b", "../a", "-a", "a b", "a\n"}) {
    EXPECT_THAT(ValidateId(id), StatusIs(StatusCode::kInvalidArgument)) << id;
  }
  EXPECT_FALSE(ValidateId(std::string(257, 'a')).ok());
}

}  // namespace
}  // namespace berth::shim
