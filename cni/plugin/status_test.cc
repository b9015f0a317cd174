// What plugins say of themselves, and what becomes of those that have gone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/store/metadata_store.h"
#include "base/sys/namespace.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "cni/cni_network.h"
#include "cni/plugin/status_check.h"

namespace berth::cni {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kAnswer[] =
    R"({"cniVersion":"1.0.0","interfaces":[{"name":"eth0","sandbox":"/x"}],)"
    R"("ips":[{"address":"10.0.0.5/24","interface":0}]})";

TEST(StatusCheckTest, AnAnswerCountsForAWhile) {
  StatusCheck check(std::chrono::hours(1), std::chrono::seconds(1));
  int asked = 0;
  const auto ask = [&](const Context&) {
    ++asked;
    return asked == 1 ? Internal("no disk") : OkStatus();
  };
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(check.Get("a", ask),
                StatusIs(StatusCode::kUnavailable, HasSubstr("no disk")));
  }
  EXPECT_EQ(asked, 1);
  // Of another configuration it says nothing.
  EXPECT_OK(check.Get("b", ask));
  EXPECT_EQ(asked, 2);
}

TEST(StatusCheckTest, AsksAnewWhenTheAnswerIsOld) {
  StatusCheck check(Duration(0), std::chrono::seconds(1));
  int asked = 0;
  const auto ask = [&](const Context&) {
    ++asked;
    return OkStatus();
  };
  EXPECT_OK(check.Get("a", ask));
  EXPECT_OK(check.Get("a", ask));
  EXPECT_EQ(asked, 2);
}

TEST(StatusCheckTest, OneAsksForAll) {
  StatusCheck check(std::chrono::hours(1), std::chrono::seconds(30));
  std::atomic<int> asked = 0;
  const auto ask = [&](const Context&) {
    ++asked;
    std::this_thread::yield();
    return OkStatus();
  };
  std::vector<std::thread> callers;
  for (int i = 0; i < 8; ++i) {
    callers.emplace_back([&] { EXPECT_OK(check.Get("a", ask)); });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(asked, 1);
}

TEST(StatusCheckTest, GivesTheAskerADeadline) {
  StatusCheck check(std::chrono::hours(1), std::chrono::milliseconds(1));
  EXPECT_THAT(check.Get("a",
                        [](const Context& ctx) {
                          while (ctx.Check().ok()) std::this_thread::yield();
                          return ctx.Check();
                        }),
              StatusIs(StatusCode::kUnavailable));
}

class CniStatusTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    dir_.MakeDirectory("net.d");
    dir_.MakeDirectory("bin");
    ASSERT_OK_AND_ASSIGN(store_, MetadataStore::Open(dir_.Path("meta.db")));
    CniOptions options;
    options.config_directory = dir_.Path("net.d");
    options.plugin_folders = {dir_.Path("bin")};
    options.status_good_for = Duration(0);
    network_ = std::make_unique<CniNetwork>(options, *store_);
  }
  void TearDown() override { umount2(dir_.Path("netns").c_str(), MNT_DETACH); }

  // One that writes down its calls, answers ADD, and does `script` otherwise.
  void Plugin(const std::string& name, const std::string& script) {
    dir_.Write("bin/" + name,
               "#!/bin/sh\ncat >/dev/null\necho \"$CNI_COMMAND " + name +
                   "\" >> " + dir_.Path("calls") + "\n" + script +
                   "\n[ $CNI_COMMAND != ADD ] || echo '" + kAnswer + "'\n");
    chmod(dir_.Path("bin/" + name).c_str(), 0755);
  }
  void Network(const std::string& version, const std::string& plugins) {
    dir_.Write("net.d/10.conflist", R"({"cniVersion": ")" + version +
                                        R"(", "name": "n", "plugins": [)" +
                                        plugins + "]}");
  }
  std::string Calls() { return dir_.Exists("calls") ? dir_.Read("calls") : ""; }
  // A pod on the network.
  Attachment Attach() {
    std::thread maker([&] {
      ASSERT_OK(UnshareNamespaces(CLONE_NEWNET));
      ASSERT_OK(PinNamespace("/proc/thread-self/ns/net", dir_.Path("netns")));
    });
    maker.join();
    Attachment pod;
    pod.sandbox_id = "sandbox1";
    pod.netns = dir_.Path("netns");
    EXPECT_OK(network_->Attach(Context::Background(), pod));
    return pod;
  }

  TempDir dir_;
  std::unique_ptr<MetadataStore> store_;
  std::unique_ptr<CniNetwork> network_;
};

TEST_F(CniStatusTest, IsNotReadyWhenAPluginSaysSo) {
  Plugin("one", "");
  Plugin("two",
         "[ $CNI_COMMAND != STATUS ] || { echo '{\"code\": 50, \"msg\": "
         "\"the service is down\"}'; exit 1; }");
  Network("1.1.0", R"({"type": "one"}, {"type": "two"})");
  EXPECT_THAT(network_->Ready(), StatusIs(StatusCode::kUnavailable,
                                          HasSubstr("the service is down")));
  EXPECT_EQ(Calls(), "STATUS one\nSTATUS two\n");
  Plugin("two", "");
  EXPECT_OK(network_->Ready());
}

TEST_F(CniStatusTest, AsksNoPluginOfAnOlderVersion) {
  Plugin("one", "exit 1");
  Network("1.0.0", R"({"type": "one"})");
  EXPECT_OK(network_->Ready());
  EXPECT_EQ(Calls(), "");
}

TEST_F(CniStatusTest, DetachesByTodaysListWhenThePluginHasGone) {
  Plugin("old", "");
  Network("1.0.0", R"({"type": "old"})");
  const Attachment pod = Attach();
  ASSERT_EQ(remove(dir_.Path("bin/old").c_str()), 0);
  Plugin("new", "");
  Network("1.0.0", R"({"type": "new"})");
  EXPECT_OK(network_->Detach(Context::Background(), pod));
  EXPECT_EQ(Calls(), "ADD old\nDEL new\n");
  EXPECT_THAT(network_->Attached(), IsOkAndHolds(IsEmpty()));
}

TEST_F(CniStatusTest, WaitsForAPluginThatTodaysListLacksToo) {
  Plugin("old", "");
  Network("1.0.0", R"({"type": "old"})");
  const Attachment pod = Attach();
  ASSERT_EQ(remove(dir_.Path("bin/old").c_str()), 0);
  EXPECT_THAT(network_->Detach(Context::Background(), pod),
              StatusIs(StatusCode::kUnavailable, HasSubstr("\"old\"")));
}

}  // namespace
}  // namespace berth::cni
