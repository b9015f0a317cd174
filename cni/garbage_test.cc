// What networks hold for nobody is given back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <thread>

#include "base/json.h"
#include "base/status.h"
#include "base/store/metadata_store.h"
#include "base/testing/status_matchers.h"
#include "cni/cni_network.h"
#include "cni/test_network.h"

namespace berth::cni {
namespace {

using ::testing::HasSubstr;

using GarbageTest = CniNetworkTest;

// The records of the other network, and of one that cannot be read, which may
// be of any.
TEST_F(GarbageTest, CollectsAllButWhatIsAttached) {
  GoodPlugin("one");
  GoodPlugin("two");
  Network({"one", "two"}, "1.1.0");
  SecondNetwork();
  CniNetwork network(Options(), *store_);
  ASSERT_OK(network.Attach(ctx_, pod_).status());
  ASSERT_OK(network.Attach(ctx_, ToSecond()).status());
  ASSERT_OK(store_->Update([&](Transaction& tx) {
    return tx.Put("attachments", "broken/eth0", "{");
  }));
  dir_.Write("calls", "");

  ASSERT_OK(network.CollectGarbage(ctx_));
  EXPECT_EQ(Calls(), "GC one\nGC two\n");
  const Json input = Input("one.GC");
  EXPECT_EQ(input.Text("name"), "testnet");
  EXPECT_EQ(input.Text("cniVersion"), "1.1.0");
  EXPECT_EQ(DumpJson(*input.Find("cni.dev/valid-attachments")),
            R"([{"containerID":"broken","ifname":"eth0"},)"
            R"({"containerID":"sandbox1","ifname":"eth0"}])");

  ASSERT_OK(network.Detach(ctx_, pod_));
  ASSERT_OK(network.CollectGarbage(ctx_));
  EXPECT_EQ(DumpJson(*Input("two.GC").Find("cni.dev/valid-attachments")),
            R"([{"containerID":"broken","ifname":"eth0"}])");
}

// The network gives back what it keeps for it.
TEST_F(GarbageTest, WhatCouldNotBeAttachedIsGarbage) {
  Plugin("one", "[ $CNI_COMMAND = GC ]\n");
  Network({"one"}, "1.1.0");
  CniNetwork network(Options(), *store_);
  ASSERT_FALSE(network.Attach(ctx_, pod_).ok());
  ASSERT_OK(network.Detach(ctx_, pod_));
  ASSERT_OK(network.CollectGarbage(ctx_));
  EXPECT_EQ(DumpJson(*Input("one.GC").Find("cni.dev/valid-attachments")), "[]");
}

// Another runtime may: all that it has would be garbage.
TEST_F(GarbageTest, CollectsNothingOfANetworkThatNothingIsAttachedTo) {
  GoodPlugin("one");
  GoodPlugin("two");
  Network({"one"}, "1.1.0");
  dir_.Write("net.d/20.conflist", R"({"cniVersion": "1.1.0",
      "name": "second", "plugins": [{"type": "two"}]})");
  ASSERT_OK(store_->Update([&](Transaction& tx) {
    return tx.Put("attachments", "broken/eth0", "{");
  }));
  CniNetwork network(Options(), *store_);
  ASSERT_OK(network.CollectGarbage(ctx_));
  EXPECT_EQ(Calls(), "GC one\n");
  ASSERT_OK(network.Attach(ctx_, ToSecond()).status());
  dir_.Write("calls", "");
  ASSERT_OK(network.CollectGarbage(ctx_));
  EXPECT_EQ(Calls(), "GC one\nGC two\n");
}

TEST_F(GarbageTest, CollectsNothingWhereTheListForbidsIt) {
  GoodPlugin("one");
  dir_.Write("net.d/10.conflist", R"({"cniVersion": "1.1.0", "name": "n",
      "disableGC": true, "plugins": [{"type": "one"}]})");
  CniNetwork network(Options(), *store_);
  ASSERT_OK(network.CollectGarbage(ctx_));
  EXPECT_EQ(Calls(), "");
}

TEST_F(GarbageTest, APluginThatFailsToCollectStopsNoOther) {
  Plugin("one", "exit 1\n");
  GoodPlugin("two");
  Network({"one", "two"}, "1.1.0");
  CniNetwork network(Options(), *store_);
  EXPECT_THAT(Message(network.CollectGarbage(ctx_)),
              HasSubstr("collect garbage of network \"testnet\""));
  EXPECT_EQ(Calls(), "GC one\nGC two\n");
}

// The plugin looks at what there is after it was told what is valid.
TEST_F(GarbageTest, NothingIsAttachedWhilePluginsCollect) {
  Plugin("one", "if [ $CNI_COMMAND = GC ]; then touch " + dir_.Path("begun") +
                    "; while [ ! -e " + dir_.Path("end") +
                    " ]; do sleep 0.01; done; fi\n[ $CNI_COMMAND != ADD ] || "
                    "echo '" +
                    kAnswer + "'\n");
  Network({"one"}, "1.1.0");
  CniOptions options = Options();
  options.plugin_time_limit = std::chrono::seconds(30);
  options.collect_limit = std::chrono::seconds(30);
  CniNetwork network(options, *store_);
  std::thread collects([&] { EXPECT_OK(network.CollectGarbage(ctx_)); });
  while (access(dir_.Path("begun").c_str(), F_OK) != 0) sched_yield();
  EXPECT_THAT(
      network.Attach(ctx_.WithTimeout(std::chrono::milliseconds(20)), pod_)
          .status(),
      StatusIs(StatusCode::kDeadlineExceeded, HasSubstr("collect garbage")));
  dir_.Write("end", "");
  collects.join();
  EXPECT_OK(network.Attach(ctx_, pod_).status());
}

}  // namespace
}  // namespace berth::cni
