#include "oci/init/own_ids.h"

#include "base/testing/status_matchers.h"
#include "oci/init/id_mapping_option.h"

namespace berth::oci {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(SubordinateIdsTest, AreTheUsersByNameOrNumber) {
  const char text[] =
      "other:1:2\nme:100000:65536\n7:5:5\nme:0x1:3\nme:3\nme:9:0\n"
      "me:4294967290:100\n";
  EXPECT_THAT(SubordinateIds(text, "me", 7),
              ElementsAre(IdSpan{100000, 65536}, IdSpan{5, 5}));
  EXPECT_THAT(SubordinateIds(text, "", 8), IsEmpty());
}

TEST(MapAroundTest, RootAloneIsTheCaller) {
  EXPECT_THAT(MapAround(0, 1000, {}), ElementsAre(IdMapping{0, 1000, 1}));
  EXPECT_THAT(MapAround(0, 1000, {{100000, 65536}}),
              ElementsAre(IdMapping{0, 1000, 1}, IdMapping{1, 100000, 65536}));
}

TEST(MapAroundTest, OthersAreBelowAndAbove) {
  EXPECT_THAT(MapAround(100, 1000, {{100000, 65536}}),
              ElementsAre(IdMapping{0, 100000, 100}, IdMapping{100, 1000, 1},
                          IdMapping{101, 100100, 65436}));
  EXPECT_THAT(MapAround(100, 1000, {{10, 60}, {500, 60}}),
              ElementsAre(IdMapping{0, 10, 60}, IdMapping{60, 500, 40},
                          IdMapping{100, 1000, 1}, IdMapping{101, 540, 20}));
}

TEST(MapAroundTest, TooFewLeaveAHole) {
  EXPECT_THAT(MapAround(100, 1000, {{10, 60}}),
              ElementsAre(IdMapping{0, 10, 60}, IdMapping{100, 1000, 1}));
}

TEST(MapAroundTest, IdsDoNotRunOver) {
  EXPECT_THAT(MapAround(0, 7, {{0, 4294967295}}),
              ElementsAre(IdMapping{0, 7, 1}));
}

TEST(MapToThemselvesTest, TakesTheFirstColumn) {
  EXPECT_THAT(MapToThemselves("         0       1001          1\n"
                              "         1     100000      65536\n"),
              ElementsAre(IdMapping{0, 0, 1}, IdMapping{1, 1, 65536}));
  EXPECT_THAT(MapToThemselves("0 0 4294967295\n"),
              ElementsAre(IdMapping{0, 0, 4294967295}));
}

TEST(ParseIdMappingTest, Forms) {
  Linux linux;
  linux.uid_mappings = {{0, 100, 1}, {1, 1000, 50}};
  linux.gid_mappings = {{0, 200, 10}};
  ASSERT_OK_AND_ASSIGN(
      const IdMaps maps,
      ParseIdMapping("uids=0-1-10#10-11-10;gids=@0-3-5", linux));
  EXPECT_THAT(maps.uids, ElementsAre(IdRange{0, 1, 10}, IdRange{10, 11, 10}));
  EXPECT_THAT(maps.gids, ElementsAre(IdRange{0, 203, 5}));
}

TEST(ParseIdMappingTest, BadOnes) {
  for (const char* const text :
       {"", "uids=0-1-1", "uids=0-1-1;gids=", "uids=0-1;gids=0-1-1",
        "uids=0-1-0;gids=0-1-1", "uids=0-1-4294967296;gids=0-1-1",
        "uids=@0-5-1;gids=0-1-1", "ids=0-1-1", "uids=-1-1-1;gids=0-1-1"}) {
    Linux linux;
    linux.uid_mappings = {{0, 100, 1}};
    EXPECT_THAT(ParseIdMapping(text, linux),
                StatusIs(StatusCode::kInvalidArgument))
        << text;
  }
}

}  // namespace
}  // namespace berth::oci
