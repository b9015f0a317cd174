// A network with plugins that do as a test tells them.
#ifndef CNI_TEST_NETWORK_H_
#define CNI_TEST_NETWORK_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/context.h"
#include "base/json.h"
#include "base/status.h"
#include "base/store/metadata_store.h"
#include "base/sys/namespace.h"
#include "base/testing/json.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "base/thread.h"
#include "cni/cni_network.h"
#include "cni/network.h"

namespace berth::cni {

constexpr char kAnswer[] =
    R"({"cniVersion":"1.0.0","interfaces":[{"name":"eth0","mac":"aa","sandbox":"/x"}],)"
    R"("ips":[{"address":"10.0.0.5/24","interface":0}]})";

inline CniOptions OptionsIn(const std::string& directory) {
  CniOptions options;
  options.config_directory = directory + "/net.d";
  options.plugin_folders = {directory + "/none", directory + "/bin"};
  options.old_result_directory = directory + "/results";
  options.plugin_time_limit = std::chrono::milliseconds(500);
  return options;
}

class CniNetworkTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    dir_.MakeDirectory("net.d");
    dir_.MakeDirectory("bin");
    ASSERT_OK_AND_ASSIGN(store_, MetadataStore::Open(dir_.Path("meta.db")));
    ASSERT_OK_AND_ASSIGN(Thread maker, StartThread("netns", [&] {
                           ASSERT_OK(UnshareNamespaces(CLONE_NEWNET));
                           ASSERT_OK(PinNamespace("/proc/thread-self/ns/net",
                                                  dir_.Path("netns")));
                         }));
    maker.Join();
    pod_.sandbox_id = "sandbox1";
    pod_.netns = dir_.Path("netns");
    pod_.pod_name = "web";
  }
  void TearDown() override { umount2(dir_.Path("netns").c_str(), MNT_DETACH); }

  // A plugin that writes down its call, then does as told.
  void Plugin(const std::string& name, const std::string& script) {
    dir_.Write("bin/" + name,
               "#!/bin/sh\nin=$(cat)\necho \"$CNI_COMMAND " + name + "\" >> " +
                   dir_.Path("calls") + "\necho \"$in\" > " +
                   dir_.Path("input." + name + ".") + "$CNI_COMMAND\nenv > " +
                   dir_.Path("env." + name + ".") + "$CNI_COMMAND\n" + script);
    chmod(dir_.Path("bin/" + name).c_str(), 0755);
  }
  void GoodPlugin(const std::string& name) {
    Plugin(name,
           std::string("[ $CNI_COMMAND != ADD ] || echo '") + kAnswer + "'\n");
  }
  // A second network, and a plugin that only it has.
  void SecondNetwork() {
    GoodPlugin("two");
    dir_.Write("net.d/20.conflist", R"({"cniVersion": "1.0.0",
        "name": "second", "type": "two"})");
  }
  Attachment ToSecond() {
    Attachment to = pod_;
    to.network = "second";
    to.interface = "eth1";
    return to;
  }
  void Network(const std::vector<std::string>& types,
               const std::string& version = "1.0.0") {
    Json plugins = Json::array();
    for (const std::string& type : types) plugins.push_back({{"type", type}});
    const Json list = {
        {"cniVersion", version}, {"name", "testnet"}, {"plugins", plugins}};
    dir_.Write("net.d/10.conflist", DumpJson(list));
  }
  CniOptions Options() { return OptionsIn(dir_.path()); }
  std::string Record() {
    std::string text;
    EXPECT_OK(store_->View([&](const Transaction& tx) -> Status {
      ASSIGN_OR_RETURN(text, tx.Get("attachments", "sandbox1/eth0"));
      return OkStatus();
    }));
    return text;
  }
  void SetRecord(const std::string& text) {
    ASSERT_OK(store_->Update([&](Transaction& tx) {
      return tx.Put("attachments", "sandbox1/eth0", text);
    }));
  }
  std::string Calls() { return dir_.Exists("calls") ? dir_.Read("calls") : ""; }
  Json Input(const std::string& name) {
    return Parsed(dir_.Read("input." + name));
  }

  TempDir dir_;
  std::unique_ptr<MetadataStore> store_;
  const Context ctx_ = Context::Background();
  Attachment pod_;
};

}  // namespace berth::cni

#endif  // CNI_TEST_NETWORK_H_
