// A program and a built-in plugin of one type answer alike.
#include "cni/plugin/plugin.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/context.h"
#include "base/json.h"
#include "base/status.h"
#include "base/sys/link.h"
#include "base/sys/namespace.h"
#include "base/testing/json.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "base/unique_fd.h"
#include "cni/plugin/plugins.h"

namespace berth::cni {
namespace {

using ::testing::HasSubstr;

constexpr char kPlugins[] = "/usr/lib/cni";
constexpr std::chrono::seconds kLimit{30};

enum class Kind { kProgram, kBuiltIn };

class LoopbackTest : public ::testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    std::vector<std::string> folders;
    if (GetParam() == Kind::kProgram) {
      if (access("/usr/lib/cni/loopback", X_OK) != 0) {
        GTEST_SKIP() << "needs the package containernetworking-plugins";
      }
      folders = {kPlugins};
    }
    ASSERT_OK_AND_ASSIGN(plugin_, Plugins(folders, kLimit).Find("loopback"));
    std::thread maker([&] {
      ASSERT_OK(UnshareNamespaces(CLONE_NEWNET));
      ASSERT_OK(PinNamespace("/proc/thread-self/ns/net", dir_.Path("netns")));
    });
    maker.join();
    ASSERT_OK_AND_ASSIGN(netns_,
                         OpenNamespace(dir_.Path("netns"), CLONE_NEWNET));
    call_.plugin = "loopback";
    call_.container_id = "sandbox1";
    call_.netns = dir_.Path("netns");
    call_.interface = "eth0";
    call_.config = {
        {"cniVersion", "1.0.0"}, {"name", "n"}, {"type", "loopback"}};
  }
  void TearDown() override { umount2(dir_.Path("netns").c_str(), MNT_DETACH); }

  StatusOr<Json> Run(const std::string& command) {
    call_.command = command;
    return plugin_->Run(Context::Background(), call_);
  }
  bool Up() {
    const StatusOr<Link> link = FindLink(netns_.get(), "lo");
    EXPECT_OK(link);
    return link.ok() && link->up;
  }
  bool Speaks(const std::string& version) {
    const StatusOr<Json> answer = Run("VERSION");
    EXPECT_OK(answer);
    const Json all = answer.ok() ? At(*answer, "/supportedVersions") : Json();
    return std::find(all.elements().begin(), all.elements().end(), version) !=
           all.elements().end();
  }

  TempDir dir_;
  UniqueFd netns_;
  std::shared_ptr<const Plugin> plugin_;
  Invocation call_;
};

TEST_P(LoopbackTest, AddBringsItUpAndNamesIt) {
  ASSERT_OK_AND_ASSIGN(const Json result, Run("ADD"));
  EXPECT_TRUE(Up());
  EXPECT_EQ(At(result, "/cniVersion"), "1.0.0");
  EXPECT_EQ(At(result, "/interfaces/0/name"), "lo");
  EXPECT_EQ(At(result, "/interfaces/0/mac"), "00:00:00:00:00:00");
  EXPECT_EQ(At(result, "/interfaces/0/sandbox"), call_.netns);
  EXPECT_EQ(At(result, "/ips/0/address"), "127.0.0.1/8");
  EXPECT_EQ(At(result, "/ips/0/interface"), 0);
  EXPECT_EQ(At(result, "/ips/0/version"), Json());
  EXPECT_OK(Run("ADD"));
}

TEST_P(LoopbackTest, AddSpeaksOlderVersions) {
  call_.config["cniVersion"] = "0.4.0";
  ASSERT_OK_AND_ASSIGN(const Json result, Run("ADD"));
  EXPECT_EQ(At(result, "/cniVersion"), "0.4.0");
  // The program does not heed that this is required.
  if (GetParam() == Kind::kBuiltIn) {
    EXPECT_EQ(At(result, "/ips/0/version"), "4");
  }
  EXPECT_EQ(At(result, "/ips/0/address"), "127.0.0.1/8");
}

TEST_P(LoopbackTest, AddHandsOnTheResultSoFar) {
  call_.config["prevResult"] = Parsed(
      R"({"cniVersion": "1.0.0",
          "interfaces": [{"name": "eth0", "sandbox": "/x"}],
          "ips": [{"address": "10.0.0.5/24", "interface": 0}]})");
  ASSERT_OK_AND_ASSIGN(const Json result, Run("ADD"));
  EXPECT_TRUE(Up());
  EXPECT_EQ(At(result, "/interfaces/0/name"), "eth0");
  EXPECT_EQ(At(result, "/ips/0/address"), "10.0.0.5/24");
  EXPECT_EQ(At(result, "/ips/1"), Json());
}

TEST_P(LoopbackTest, CheckTellsWhetherItIsUp) {
  EXPECT_THAT(Run("CHECK"), StatusIs(StatusCode::kInternal, HasSubstr("down")));
  ASSERT_OK(Run("ADD"));
  EXPECT_OK(Run("CHECK"));
  ASSERT_OK(SetLinkDown(netns_.get(), "lo"));
  EXPECT_THAT(Run("CHECK"),
              StatusIs(StatusCode::kInternal,
                       HasSubstr("network plugin \"loopback\": CHECK")));
}

TEST_P(LoopbackTest, DelTakesItDownAndMayBeRepeated) {
  ASSERT_OK(Run("ADD"));
  EXPECT_OK(Run("DEL"));
  EXPECT_FALSE(Up());
  EXPECT_OK(Run("DEL"));
  call_.netns = "";
  EXPECT_OK(Run("DEL"));
  call_.netns = dir_.Path("nowhere");
  EXPECT_OK(Run("DEL"));
}

TEST_P(LoopbackTest, VersionListsWhatItSpeaks) {
  EXPECT_TRUE(Speaks("0.4.0"));
  EXPECT_TRUE(Speaks("1.0.0"));
  EXPECT_FALSE(Speaks("9.9.9"));
}

// Commands of version 1.1.0.
TEST_P(LoopbackTest, StatusAndCollectingAreGoodIfTheyAreKnown) {
  call_.config["cniVersion"] = "1.0.0";
  EXPECT_FALSE(Run("STATUS").ok());
  EXPECT_FALSE(Run("GC").ok());
  if (!Speaks("1.1.0")) GTEST_SKIP() << "the program is older";
  call_.config["cniVersion"] = "1.1.0";
  EXPECT_OK(Run("STATUS"));
  EXPECT_OK(Run("GC"));
}

TEST_P(LoopbackTest, RefusesVersionsAndCommandsThatItDoesNotKnow) {
  call_.config["cniVersion"] = "9.9.9";
  EXPECT_THAT(Run("ADD"), StatusIs(StatusCode::kFailedPrecondition,
                                   HasSubstr("\"loopback\": ADD")));
  EXPECT_FALSE(Up());
  // CHECK came with 0.4.0.
  call_.config["cniVersion"] = "0.3.1";
  EXPECT_THAT(Run("CHECK"), StatusIs(StatusCode::kFailedPrecondition));
  call_.config["cniVersion"] = "1.0.0";
  EXPECT_THAT(Run("PLAY"), StatusIs(StatusCode::kInternal));
}

TEST_P(LoopbackTest, AddAndCheckNeedANamespace) {
  for (const std::string& bad : {dir_.Path("nowhere"), std::string("/etc")}) {
    call_.netns = bad;
    EXPECT_THAT(Run("ADD"), StatusIs(StatusCode::kInternal));
    EXPECT_THAT(Run("CHECK"), StatusIs(StatusCode::kInternal));
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, LoopbackTest,
                         ::testing::Values(Kind::kProgram, Kind::kBuiltIn),
                         [](const auto& info) -> std::string {
                           return info.param == Kind::kProgram ? "Program"
                                                               : "BuiltIn";
                         });

TEST(PluginsTest, AProgramGoesBeforeTheBuiltInOne) {
  TempDir dir;
  const Plugins plugins({dir.Path("none"), dir.path()}, kLimit);
  Invocation call;
  call.command = "VERSION";
  call.plugin = "loopback";
  const auto asked = [&]() -> StatusOr<Json> {
    ASSIGN_OR_RETURN(const auto plugin, plugins.Find("loopback"));
    return plugin->Run(Context::Background(), call);
  };
  dir.Write("loopback", "#!/bin/sh\necho '{\"by\": \"program\"}'\n");
  // It cannot be executed yet.
  ASSERT_OK_AND_ASSIGN(const Json before, asked());
  EXPECT_EQ(At(before, "/by"), Json());
  chmod(dir.Path("loopback").c_str(), 0755);
  ASSERT_OK_AND_ASSIGN(const Json program, asked());
  EXPECT_EQ(At(program, "/by"), "program");
  unlink(dir.Path("loopback").c_str());
  ASSERT_OK_AND_ASSIGN(const Json after, asked());
  EXPECT_EQ(At(after, "/by"), Json());
}

TEST(PluginsTest, OneThatIsNowhereIsUnavailable) {
  EXPECT_THAT(
      Plugins({"/none", "/nowhere"}, kLimit).Find("bridge").status(),
      StatusIs(StatusCode::kUnavailable, HasSubstr("\"/none:/nowhere\"")));
}

}  // namespace
}  // namespace berth::cni
