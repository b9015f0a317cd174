#include "oci/cgroup/cgroup_path.h"

#include <string>

#include "base/testing/status_matchers.h"

namespace berth::oci {
namespace {

using ::testing::HasSubstr;

TEST(CgroupPathTest, CannotClimbOut) {
  EXPECT_THAT(CgroupPath("/a/b", "id"), IsOkAndHolds("/a/b"));
  EXPECT_THAT(CgroupPath("a/./b/", "id"), IsOkAndHolds("/a/b"));
  EXPECT_THAT(CgroupPath("", "id"), IsOkAndHolds("/id"));
  EXPECT_THAT(CgroupPath("../../a/../b", "id"), IsOkAndHolds("/b"));
  EXPECT_THAT(CgroupPath("/..", "id"), StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(CgroupPath("/", "id"), StatusIs(StatusCode::kInvalidArgument));
}

TEST(CgroupPathTest, AScopeLiesWhereSystemdPutsIt) {
  EXPECT_THAT(CgroupPath("kubepods-burstable-pod1_2.slice:cri:abc", "id"),
              IsOkAndHolds("/kubepods.slice/kubepods-burstable.slice/"
                           "kubepods-burstable-pod1_2.slice/cri-abc.scope"));
  EXPECT_THAT(CgroupPath(":p:n", "id"),
              IsOkAndHolds("/system.slice/p-n.scope"));
  EXPECT_THAT(CgroupPath("a.slice::n", "id"), IsOkAndHolds("/a.slice/n.scope"));
  EXPECT_THAT(CgroupPath("-.slice:p:n", "id"), IsOkAndHolds("/p-n.scope"));
  // What the kernel reserves is escaped.
  EXPECT_THAT(CgroupPath("a.slice::_n", "id"),
              IsOkAndHolds("/a.slice/__n.scope"));
}

TEST(CgroupPathTest, RefusesWhatCanBeNoUnit) {
  for (const char* const path :
       {"a.slice:p:", "a.slice:p:b.slice", "noslice:p:n", "a--b.slice:p:n",
        "-a.slice:p:n", "a-.slice:p:n", ".slice:p:n", "a.slice:p:n m",
        "a b.slice:p:n", "a.slice:p:\xc3\xa4"}) {
    EXPECT_THAT(CgroupPath(path, "id"), StatusIs(StatusCode::kInvalidArgument))
        << path;
  }
  EXPECT_THAT(CgroupPath("a.slice:p:" + std::string(300, 'n'), "id"),
              StatusIs(StatusCode::kInvalidArgument));
}

TEST(CgroupsPathForTest, EachDriverTakesItsOwnForm) {
  EXPECT_THAT(CgroupsPathFor(false, "/a/b", "id"), IsOkAndHolds("/a/b"));
  EXPECT_THAT(CgroupsPathFor(false, "", "id"), IsOkAndHolds(""));
  EXPECT_THAT(CgroupsPathFor(true, "a.slice:p:n", "id"),
              IsOkAndHolds("a.slice:p:n"));
  EXPECT_THAT(CgroupsPathFor(true, "", "id"),
              IsOkAndHolds("system.slice:berth:id"));
  EXPECT_THAT(CgroupsPathFor(true, "/a/b", "id"),
              StatusIs(StatusCode::kInvalidArgument,
                       HasSubstr("format \"slice:prefix:name\"")));
  EXPECT_THAT(CgroupsPathFor(false, "a.slice:p:n", "id"),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("cgroupfs")));
}

}  // namespace
}  // namespace berth::oci
