#include "shim/process/process_facts.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

#include "base/testing/status_matchers.h"

namespace berth::shim {
namespace {

TEST(ProcessFactsTest, AreReadBack) {
  for (const bool init : {false, true}) {
    for (const char* cgroup : {"", "/", "/pods/with space/c1"}) {
      ASSERT_OK_AND_ASSIGN(const ProcessFacts facts,
                           ParseFacts(SerializeFacts({init, cgroup})));
      EXPECT_EQ(facts.namespace_init, init);
      EXPECT_EQ(facts.cgroup, cgroup);
    }
  }
  for (const char* text : {"", "1", "2 /x", "/x", " 1 /x"}) {
    EXPECT_THAT(ParseFacts(text), StatusIs(StatusCode::kInvalidArgument));
  }
}

TEST(ProcessFactsTest, TheRootsAndOurOwnCgroupAreNoContainers) {
  const ProcessFacts own = ReadProcessFacts(getpid());
  for (const std::string& path :
       {std::string(), std::string("/"), own.cgroup}) {
    EXPECT_THAT(OpenContainerCgroup(path), StatusIs(StatusCode::kNotFound));
  }
}

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
