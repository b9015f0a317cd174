#include "base/sys/user.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth {
namespace {

using ::testing::ElementsAre;

constexpr char kPasswd[] =
    "# comment\n"
    "root:x:0:0:root:/root:/bin/sh\n"
    "broken line\n"
    "huge:x:99999999999:0::/huge:/bin/sh\n"
    "user:x:1000:1001::/home/user:/bin/sh\n"
    "last:x:5:6::/last:/bin/sh";
constexpr char kGroup[] =
    "root:x:0:\n"
    "wheel:x:10:user,root\n"
    "huge:x:4294967296:user\n"
    "disk:x:6:user\n";

TEST(FindUserTest, ByNameAndId) {
  EXPECT_EQ(FindUser(kPasswd, "user"),
            (PasswdEntry{"user", 1000, 1001, "/home/user"}));
  EXPECT_EQ(FindUser(kPasswd, 5)->home, "/last");
  EXPECT_EQ(FindUser(kPasswd, "nobody"), std::nullopt);
}

TEST(FindUserTest, AnIdOutOfRangeIsNoEntry) {
  EXPECT_EQ(FindUser(kPasswd, "huge"), std::nullopt);
}

TEST(GroupsTest, MembersAndNames) {
  EXPECT_EQ(FindGroup(kGroup, "wheel")->gid, 10u);
  EXPECT_EQ(FindGroup(kGroup, "huge"), std::nullopt);
  EXPECT_THAT(GroupsOfMember(kGroup, "user"), ElementsAre(10, 6));
}

// CVE-2026-30892: what is no number must not become uid 0.
TEST(ParseIdTest, IsStrict) {
  EXPECT_EQ(ParseId("0"), 0u);
  EXPECT_EQ(ParseId("4294967294"), 4294967294u);
  for (const char* bad : {"", " 1", "1 ", "-1", "+1", "0x1", "4294967295",
                          "4294967296", "99999999999", "1:"}) {
    EXPECT_EQ(ParseId(bad), std::nullopt) << bad;
  }
}

}  // namespace
}  // namespace berth
