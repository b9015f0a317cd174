// On a directory tree that stands in for the kernel's: no machine of ours has
// a resctrl file system.
#include "oci/rdt/resctrl.h"

#include <sys/stat.h>

#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"

namespace berth::oci {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ResctrlTest : public ::testing::Test {
 protected:
  // As the kernel makes it with a group.
  void MakeGroup(const std::string& name, const std::string& schemata) {
    dir_.MakeDirectory(name);
    dir_.MakeDirectory(name + "/mon_groups");
    dir_.Write(name + "/schemata", schemata);
  }

  StatusOr<ResctrlGroups> Make(const IntelRdt& rdt) {
    return ResctrlGroups::Make(dir_.path(), rdt, "box");
  }

  TempDir dir_;
};

TEST(ResctrlMountTest, IsFoundByItsType) {
  EXPECT_EQ(ResctrlMount("30 1 0:5 / /sys rw - sysfs sysfs rw\n"
                         "31 30 0:6 / /sys/fs/resctrl rw - resctrl r rw\n"),
            "/sys/fs/resctrl");
  EXPECT_EQ(ResctrlMount("30 1 0:5 / /sys rw - sysfs sysfs rw\n"), "");
}

TEST_F(ResctrlTest, WithoutItEachFieldSaysSo) {
  EXPECT_THAT(ResctrlGroups::Make("", {.l3_cache_schema = "L3:0=f"}, "box"),
              StatusIs(StatusCode::kFailedPrecondition,
                       HasSubstr("RDT/CAT is not enabled")));
  EXPECT_THAT(ResctrlGroups::Make("", {.mem_bw_schema = "MB:0=20"}, "box"),
              StatusIs(StatusCode::kFailedPrecondition,
                       HasSubstr("RDT/MBA is not enabled")));
  EXPECT_THAT(ResctrlGroups::Make("", {.clos_id = "x"}, "box"),
              StatusIs(StatusCode::kFailedPrecondition,
                       HasSubstr("Intel RDT is not enabled")));
}

TEST_F(ResctrlTest, NamedGroupMustBeThereIfNothingSaysHowToMakeIt) {
  EXPECT_THAT(
      Make({.clos_id = "shared"}),
      StatusIs(StatusCode::kFailedPrecondition, HasSubstr("doesn't exist")));
  MakeGroup("shared", "L3:0=ff\n");
  ASSERT_OK_AND_ASSIGN(const ResctrlGroups groups, Make({.clos_id = "shared"}));
  EXPECT_EQ(groups.own_control(), "");
}

TEST_F(ResctrlTest, GroupThatIsThereMustHoldWhatIsWanted) {
  MakeGroup("shared", "    L3:0=ff;1=ff\n    MB:0=100\n");
  EXPECT_OK(Make({.clos_id = "shared", .l3_cache_schema = "L3:0=ff;1=ff"}));
  EXPECT_THAT(Make({.clos_id = "shared", .l3_cache_schema = "L3:0=f"}),
              StatusIs(StatusCode::kFailedPrecondition, HasSubstr("L3:0=f")));
}

TEST_F(ResctrlTest, RootGroupIsTheMountItself) {
  dir_.Write("schemata", "L3:0=ff\n");
  dir_.MakeDirectory("mon_groups");
  ASSERT_OK_AND_ASSIGN(const ResctrlGroups groups,
                       Make({.clos_id = "/", .enable_monitoring = true}));
  EXPECT_EQ(groups.own_control(), "");
  EXPECT_TRUE(dir_.Exists("mon_groups/box"));
  EXPECT_OK(groups.Remove());
  EXPECT_FALSE(dir_.Exists("mon_groups/box"));
}

TEST_F(ResctrlTest, NothingIsLeftIfTheSchemataCannotBeWritten) {
  // A directory of ours has no file "schemata".
  EXPECT_FALSE(Make({.l3_cache_schema = "L3:0=f"}).ok());
  EXPECT_FALSE(dir_.Exists("box"));
}

TEST_F(ResctrlTest, ProcessesJoinBothGroups) {
  EXPECT_THAT(ResctrlTasks("/r", {.enable_monitoring = true}, "box"),
              ElementsAre("/r/box/tasks", "/r/box/mon_groups/box/tasks"));
  EXPECT_THAT(ResctrlTasks("/r", {.clos_id = "/"}, "box"),
              ElementsAre("/r/tasks"));
}

TEST_F(ResctrlTest, SchemataAreUpdated) {
  MakeGroup("box", "L3:0=ff\n");
  EXPECT_OK(UpdateSchemata(dir_.path(), {.l3_cache_schema = "L3:0=f"}, "box"));
  EXPECT_THAT(dir_.Read("box/schemata"), HasSubstr("L3:0=f\n"));
}

TEST_F(ResctrlTest, SchemataOfNoGroupAreRefusedInWords) {
  EXPECT_THAT(UpdateSchemata(dir_.path(), {.l3_cache_schema = "L3:0=f"}, "box"),
              StatusIs(StatusCode::kFailedPrecondition, HasSubstr("intelRdt")));
}

}  // namespace
}  // namespace berth::oci
