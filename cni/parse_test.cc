// What is read and what is told: no plugin runs here.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "base/json.h"
#include "base/status.h"
#include "base/testing/fuzz.h"
#include "base/testing/json.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "cni/config_list.h"
#include "cni/network.h"
#include "cni/networks.h"
#include "cni/plugin_config.h"
#include "cni/result.h"

namespace berth::cni {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr char kList[] = R"({
  "cniVersion": "1.0.0", "name": "net1", "disableCheck": true,
  "plugins": [{"type": "bridge", "bridge": "br0"},
              {"type": "portmap", "capabilities": {"portMappings": true}}]})";

TEST(ParseConfigListTest, ReadsAList) {
  ASSERT_OK_AND_ASSIGN(const ConfigList list, ParseConfigList(kList, "f"));
  EXPECT_EQ(list.name, "net1");
  EXPECT_EQ(list.cni_version, "1.0.0");
  EXPECT_TRUE(list.disable_check);
  EXPECT_THAT(list.plugins, SizeIs(2));
  EXPECT_EQ(list.text, kList);
}

TEST(ParseConfigListTest, ReadsASinglePlugin) {
  ASSERT_OK_AND_ASSIGN(
      const ConfigList list,
      ParseConfigList(R"({"cniVersion": "0.3.1", "name": "n", "type": "ptp"})",
                      "f"));
  EXPECT_THAT(list.plugins, SizeIs(1));
  EXPECT_EQ(list.cni_version, "0.3.1");
}

TEST(ParseConfigListTest, ChoosesTheHighestVersionThatItSpeaks) {
  ASSERT_OK_AND_ASSIGN(
      const ConfigList list,
      ParseConfigList(R"({"cniVersion": "0.4.0", "name": "n", "type": "x",
                          "cniVersions": ["1.0.0", "9.0.0", "0.4.0"]})",
                      "f"));
  EXPECT_EQ(list.cni_version, "1.0.0");
}

TEST(ParseConfigListTest, RefusesWhatIsNoConfiguration) {
  const struct {
    const char* text;
    const char* named;
  } cases[] = {
      {"", "f"},
      {"[1]", "f"},
      {R"({"cniVersion": "1.0.0", "type": "x"})", "f.name"},
      {R"({"name": "n", "type": "x"})", "f.cniVersion"},
      {R"({"cniVersion": "0.2.0", "name": "n", "type": "x"})", "0.2.0"},
      {R"({"cniVersion": "1.0.0", "name": "n"})", "f.type"},
      {R"({"cniVersion": "1.0.0", "name": "n", "type": "../x"})", "../x"},
      {R"({"cniVersion": "1.0.0", "name": "n", "plugins": []})", "f.plugins"},
      {R"({"cniVersion": "1.0.0", "name": "n", "plugins": {}})", "f.plugins"},
      {R"({"cniVersion": "1.0.0", "name": "n", "type": "x",
           "berth": {"masquerade": {"subnet": 7}}})",
       "berth.masquerade.subnet"},
      {R"({"cniVersion": "1.0.0", "name": "n", "plugins": [7]})",
       "f.plugins[0]"},
      {R"({"cniVersion": 1, "name": "n", "type": "x"})", "f.cniVersion"},
  };
  for (const auto& c : cases) {
    EXPECT_THAT(ParseConfigList(c.text, "f"),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr(c.named)))
        << c.text;
  }
}

TEST(NetworksTest, TakesTheFirstValidFile) {
  TempDir dir;
  dir.Write("10-bad.conflist", "{");
  dir.Write("20-good.conf", R"({"cniVersion":"1.0.0","name":"a","type":"x"})");
  dir.Write("30-late.json", R"({"cniVersion":"1.0.0","name":"b","type":"x"})");
  dir.Write("05-other.txt", R"({"cniVersion":"1.0.0","name":"c","type":"x"})");
  Networks folder(dir.path());
  ASSERT_OK_AND_ASSIGN(const auto list, folder.Find(""));
  EXPECT_EQ(list->name, "a");
}

TEST(NetworksTest, FindsEachByItsName) {
  TempDir dir;
  dir.Write("10-bad.conflist", "{");
  dir.Write("20.conf", R"({"cniVersion":"1.0.0","name":"a","type":"x"})");
  dir.Write("30.conf", R"({"cniVersion":"1.0.0","name":"b","type":"y"})");
  dir.Write("40.conf", R"({"cniVersion":"1.0.0","name":"b","type":"z"})");
  ASSERT_EQ(mkfifo(dir.Path("15.conf").c_str(), 0600), 0);
  Networks networks(dir.path());
  EXPECT_EQ(*networks.Find("a"), *networks.Find(""));
  ASSERT_OK_AND_ASSIGN(const auto second, networks.Find("b"));
  EXPECT_EQ(second->plugins[0].Text("type"), "y");
  EXPECT_THAT(networks.Find("c"),
              StatusIs(StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("\"c\""), HasSubstr("10-bad"))));
  dir.Write("50.conf", R"({"cniVersion":"1.0.0","name":"c","type":"x"})");
  EXPECT_OK(networks.Find("c"));
}

TEST(NetworksTest, SeesEveryChange) {
  TempDir dir;
  const std::string path = dir.Path("net.d");
  Networks folder(path);
  EXPECT_THAT(folder.Find(""),
              StatusIs(StatusCode::kUnavailable, HasSubstr("net.d")));
  dir.MakeDirectory("net.d");
  EXPECT_THAT(folder.Find(""), StatusIs(StatusCode::kUnavailable));
  dir.Write("net.d/5.conf", "{");
  EXPECT_THAT(folder.Find(""),
              StatusIs(StatusCode::kUnavailable, HasSubstr("5.conf")));
  dir.Write("net.d/5.conf", R"({"cniVersion":"1.0.0","name":"a","type":"x"})");
  EXPECT_EQ((*folder.Find(""))->name, "a");
  const auto same = *folder.Find("");
  EXPECT_EQ(*folder.Find(""), same);  // not read again
  dir.Write("x", R"({"cniVersion":"1.0.0","name":"b","type":"x"})");
  ASSERT_EQ(rename(dir.Path("x").c_str(), dir.Path("net.d/1.conf").c_str()), 0);
  EXPECT_EQ((*folder.Find(""))->name, "b");
  unlink(dir.Path("net.d/1.conf").c_str());
  EXPECT_EQ((*folder.Find(""))->name, "a");
  // The whole folder replaced.
  ASSERT_EQ(rename(path.c_str(), dir.Path("old.d").c_str()), 0);
  dir.MakeDirectory("net.d");
  dir.Write("net.d/7.conf", R"({"cniVersion":"1.0.0","name":"c","type":"x"})");
  EXPECT_EQ((*folder.Find(""))->name, "c");
}

TEST(WriteDefaultConfigTest, WritesOnlyIntoAnEmptyFolder) {
  TempDir dir;
  DefaultNetwork network;
  network.subnet = "10.77.0.0/24";
  EXPECT_THAT(WriteDefaultConfig(dir.Path("a/net.d"), network),
              IsOkAndHolds(true));
  Networks folder(dir.Path("a/net.d"));
  ASSERT_OK_AND_ASSIGN(const auto list, folder.Find(""));
  EXPECT_THAT(list->plugins, SizeIs(2));
  EXPECT_THAT(list->text, HasSubstr("10.77.0.0/24"));
  ASSERT_TRUE(list->masquerade.has_value());
  EXPECT_EQ(list->masquerade->subnet, "10.77.0.0/24");
  EXPECT_EQ(list->masquerade->interface, "berth0");
  EXPECT_THAT(WriteDefaultConfig(dir.Path("a/net.d"), network),
              IsOkAndHolds(false));
}

Attachment Pod() {
  Attachment pod;
  pod.sandbox_id = "abc";
  pod.pod_namespace = "ns";
  pod.pod_name = "web";
  pod.pod_uid = "u1";
  pod.port_mappings = {{8080, 80, "TCP", "127.0.0.1"}, {0, 81, "tcp", ""}};
  return pod;
}

TEST(PluginConfigTest, PassesOnlyDeclaredCapabilities) {
  ASSERT_OK_AND_ASSIGN(const ConfigList list, ParseConfigList(kList, "f"));
  Attachment pod = Pod();
  pod.dns = Dns{{"1.1.1.1"}, {"a.b"}, {"ndots:5"}};
  const Json all = CapabilitiesOf(pod);
  const Json bridge = PluginConfig(list, list.plugins[0], all, Json());
  EXPECT_EQ(bridge, Parsed(R"({"type": "bridge", "bridge": "br0",
      "name": "net1", "cniVersion": "1.0.0"})"));
  const Json portmap =
      PluginConfig(list, list.plugins[1], all, Json{{"ips", Json::array()}});
  EXPECT_EQ(portmap, Parsed(R"({"type": "portmap", "name": "net1",
      "cniVersion": "1.0.0", "prevResult": {"ips": []},
      "runtimeConfig": {"portMappings": [{"hostPort": 8080,
        "containerPort": 80, "protocol": "tcp", "hostIP": "127.0.0.1"}]}})"));
}

TEST(PluginConfigTest, NamesThePodInTheArguments) {
  EXPECT_EQ(ArgsOf(Pod()),
            "IgnoreUnknown=1;K8S_POD_NAMESPACE=ns;K8S_POD_NAME=web;"
            "K8S_POD_INFRA_CONTAINER_ID=abc;K8S_POD_UID=u1");
}

TEST(PluginConfigTest, PassesBandwidthAndTheRest) {
  Attachment pod;
  pod.bandwidth = Bandwidth{1000, 2000, 0, 0};
  pod.dns = Dns{{"1.1.1.1"}, {}, {}};
  pod.cgroup_path = "/kubepods/x";
  pod.annotations = {{"k", "v"}};
  EXPECT_EQ(CapabilitiesOf(pod), Parsed(R"({
      "bandwidth": {"ingressRate": 1000, "ingressBurst": 2000},
      "dns": {"servers": ["1.1.1.1"], "searches": [], "options": []},
      "cgroupPath": "/kubepods/x",
      "io.kubernetes.cri.pod-annotations": {"k": "v"}})"));
}

TEST(HasWorkTest, KnowsThePluginsThatOnlyHandOn) {
  const Json portmap = {{"type", "portmap"}};
  const Json bandwidth = {{"type", "bandwidth"}};
  const Json fixed = {{"type", "bandwidth"}, {"ingressRate", 5}};
  EXPECT_FALSE(HasWork(portmap, CapabilitiesOf(Attachment())));
  EXPECT_TRUE(HasWork(portmap, CapabilitiesOf(Pod())));
  EXPECT_FALSE(HasWork(bandwidth, Json::object()));
  EXPECT_TRUE(HasWork(fixed, Json::object()));
  EXPECT_TRUE(HasWork({{"type", "firewall"}}, Json::object()));
}

TEST(ParseResultTest, KeepsTheSandboxesAddresses) {
  const Json json = Parsed(R"({"cniVersion": "1.0.0",
    "interfaces": [{"name": "br0", "mac": "aa"},
                   {"name": "eth0", "mac": "bb", "sandbox": "/x"},
                   {"name": "eth1", "mac": "cc", "sandbox": "/x"}],
    "ips": [{"address": "10.0.0.1/24", "interface": 0},
            {"address": "10.1.0.9/24", "interface": 2},
            {"address": "10.0.0.5/24", "gateway": "10.0.0.1", "interface": 1},
            {"address": "fd00::5/64", "interface": 1}],
    "dns": {"nameservers": ["9.9.9.9"], "search": ["a.b"]}})");
  ASSERT_OK_AND_ASSIGN(const NetworkResult result, ParseResult(json, "eth0"));
  EXPECT_EQ(result.mac, "bb");
  ASSERT_THAT(result.addresses, SizeIs(3));
  EXPECT_EQ(result.addresses[0].ip, "10.0.0.5");
  EXPECT_EQ(result.addresses[0].prefix_length, 24);
  EXPECT_EQ(result.addresses[0].gateway, "10.0.0.1");
  EXPECT_EQ(result.addresses[1].ip, "fd00::5");
  EXPECT_EQ(result.addresses[2].ip, "10.1.0.9");
  EXPECT_THAT(result.dns.servers, ElementsAre("9.9.9.9"));
}

TEST(ParseResultTest, ReadsTheOldForm) {
  const Json json = Parsed(R"({"cniVersion": "0.3.1",
    "ips": [{"version": "4", "address": "10.0.0.5/24"}], "dns": {}})");
  ASSERT_OK_AND_ASSIGN(const NetworkResult result, ParseResult(json, "eth0"));
  ASSERT_THAT(result.addresses, SizeIs(1));
  EXPECT_EQ(result.addresses[0].ip, "10.0.0.5");
}

TEST(ParseResultTest, RefusesNonsense) {
  for (const char* text :
       {R"({"ips": 7})", R"({"ips": [{"address": "10.0.0.5"}]})",
        R"({"ips": [{"address": "10.0.0.5/33"}]})",
        R"({"ips": [{"address": "x/24"}]})", R"({"ips": [3]})",
        R"({"ips": [{"address": "10.0.0.5/24", "gateway": "y"}]})",
        R"({"ips": [{"address": "10.0.0.5/24", "interface": 4}]})",
        R"({"interfaces": {}})", R"({"dns": []})", R"([])"}) {
    EXPECT_THAT(ParseResult(Parsed(text), "eth0"),
                StatusIs(StatusCode::kInvalidArgument))
        << text;
  }
}

TEST(ParseConfigListTest, SurvivesAnyBytes) {
  Fuzz({kList,
        R"({"cniVersion":"0.4.0","name":"n","type":"x",)"
        R"("cniVersions":["1.0.0","9.0.0"],"capabilities":{"dns":true}})"},
       {"null", "[]", "{}", "\"type\":", "..", "\"1.\"", "\"99999999999.0.0\""},
       [](const std::string& text) {
         const auto list = ParseConfigList(text, "f");
         if (!list.ok()) return false;
         EXPECT_FALSE(list->plugins.empty());
         for (const Json& plugin : list->plugins) {
           const Json all = CapabilitiesOf(Pod());
           (void)HasWork(plugin, all);
           (void)DumpJson(PluginConfig(*list, plugin, all, Json()));
         }
         return true;
       });
}

TEST(ParseResultTest, SurvivesAnyBytes) {
  Fuzz({R"({"cniVersion":"1.0.0","interfaces":[{"name":"br0","mac":"aa"},)"
        R"({"name":"eth0","mac":"bb","sandbox":"/x"}],"ips":[)"
        R"({"address":"10.0.0.5/24","gateway":"10.0.0.1","interface":1},)"
        R"({"address":"fd00::5/64","interface":1}],"routes":[{"dst":"0/0"}],)"
        R"("dns":{"nameservers":["9.9.9.9"],"search":["a.b"]}})"},
       {"null", "[]", "{}", "-1", "\"/\"", "\"10.0.0.1/33\"", "\"::/129\""},
       [](const std::string& text) {
         const auto json = ParseJson(text, "result");
         if (!json.ok()) return false;
         const auto result = ParseResult(*json, "eth0");
         if (!result.ok()) return false;
         for (const Address& address : result->addresses) {
           EXPECT_GE(address.prefix_length, 0);
           EXPECT_LE(address.prefix_length, 128);
         }
         return true;
       });
}

}  // namespace
}  // namespace berth::cni
