#include "sandbox/apparmor/default_profile.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

#include "base/io/subprocess.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"

namespace berth::sandbox {
namespace {

// A host of files, with AppArmor and some profiles.
class DefaultProfileTest : public ::testing::Test {
 protected:
  DefaultProfileTest() {
    for (const char* folder :
         {"sys/module/apparmor/parameters", "sys/kernel/security/apparmor",
          "proc/self/attr", "state"}) {
      dir_.MakeDirectory(folder);
    }
    dir_.Write("sys/module/apparmor/parameters/enabled", "Y\n");
    dir_.Write("sys/kernel/security/apparmor/profiles",
               "other (enforce)\nberth-default (enforce)\nlast (complain)\n");
    dir_.Write("proc/self/attr/current", "unconfined\n");
    paths_.sys = dir_.Path("sys");
    paths_.proc = dir_.Path("proc");
    paths_.state = dir_.Path("state");
  }

  TempDir dir_;
  HostPaths paths_;
};

TEST_F(DefaultProfileTest, SeesWhetherTheKernelHasIt) {
  EXPECT_TRUE(HasAppArmor(paths_));
  dir_.Write("sys/module/apparmor/parameters/enabled", "N\n");
  EXPECT_FALSE(HasAppArmor(paths_));
  EXPECT_EQ(LoadDefaultProfile(Context::Background("test"), paths_).code(),
            StatusCode::kUnimplemented);
}

TEST_F(DefaultProfileTest, FindsWholeNamesOnly) {
  for (const char* name : {"other", "berth-default", "last"}) {
    StatusOr<bool> loaded = IsProfileLoaded(paths_, name);
    ASSERT_OK(loaded);
    EXPECT_TRUE(*loaded) << name;
  }
  for (const char* name : {"berth", "default", "othe", "ther", "nothing"}) {
    StatusOr<bool> loaded = IsProfileLoaded(paths_, name);
    ASSERT_OK(loaded);
    EXPECT_FALSE(*loaded) << name;
  }
}

TEST_F(DefaultProfileTest, ListensToTheDaemonThatIsConfined) {
  EXPECT_EQ(DefaultProfileText("unconfined", false).find("peer=berthd"),
            std::string::npos);
  EXPECT_NE(DefaultProfileText("berthd", false)
                .find("signal (receive) peer=berthd,\n}\n"),
            std::string::npos);
  EXPECT_EQ(DefaultProfileText("unconfined", true).find("abi <abi/3.0>,\n"),
            0u);
}

TEST_F(DefaultProfileTest, IsLoadedAgainOnlyWhenItIsGone) {
  const Context ctx = Context::Background("test");
  // Whatever text it has: a new one is loaded when the daemon starts.
  EXPECT_OK(KeepDefaultProfile(ctx, paths_));
  EXPECT_TRUE(dir_.Names("state").empty());
  dir_.Write("sys/kernel/security/apparmor/profiles", "other (enforce)\n");
  dir_.Write("sys/module/apparmor/parameters/enabled", "N\n");
  const Status gone = KeepDefaultProfile(ctx, paths_);
  EXPECT_EQ(gone.code(), StatusCode::kUnimplemented);
  EXPECT_NE(Message(gone).find("\"berth-default\""), std::string::npos);
}

TEST_F(DefaultProfileTest, ListensToRuntimesThatHaveAProfile) {
  const std::string text = DefaultProfileText("unconfined", false);
  for (const char* peer : {"unconfined", "runc", "crun"}) {
    const std::string rule = std::string("  signal (receive) peer=") + peer;
    EXPECT_NE(text.find(rule + ",\n"), std::string::npos) << peer;
  }
}

// The host's parser, which needs no AppArmor in the kernel to compile.
TEST_F(DefaultProfileTest, IsUnderstoodByTheParser) {
  if (access("/usr/sbin/apparmor_parser", X_OK) != 0) {
    GTEST_SKIP() << "no apparmor_parser";
  }
  Command parser;
  parser.program = "/usr/sbin/apparmor_parser";
  parser.args = {"--skip-kernel-load", "--skip-cache"};
  parser.input = DefaultProfileText(
      "berthd", access("/etc/apparmor.d/abi/3.0", R_OK) == 0);
  const StatusOr<CommandResult> result =
      RunCommand(Context::Background("test"), parser);
  ASSERT_OK(result);
  EXPECT_TRUE(result->ok()) << result->errors;
}

}  // namespace
}  // namespace berth::sandbox
