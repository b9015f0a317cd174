#include "docker/convert/network_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/testing/json.h"
#include "base/testing/status_matchers.h"

namespace berth::docker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

StatusOr<cni::UserNetwork> Network(const char* body) {
  return ConvertNetwork(Parsed(body));
}
StatusOr<EndpointRequest> Endpoint(const char* body) {
  return ConvertEndpoint("n", Parsed(body));
}

TEST(NetworkRequestTest, ReadsAllOfIt) {
  ASSERT_OK_AND_ASSIGN(const cni::UserNetwork network, Network(R"({
      "Name": "n", "CheckDuplicate": true, "Driver": "bridge",
      "internal": true, "Attachable": true, "EnableIPv6": true,
      "IPAM": {"Driver": "default", "Options": null, "Config": [
          {"Subnet": "fd00::/64"},
          {"Subnet": "10.1.0.0/16", "ipRange": "10.1.2.0/24",
           "Gateway": "10.1.0.9"}]},
      "Options": {"com.docker.network.driver.mtu": "1400",
                  "com.docker.network.bridge.name": "br0",
                  "com.docker.network.bridge.enable_ip_masquerade": "false",
                  "other": "kept"},
      "Labels": {"a": "b"}, "ConfigFrom": {"Network": ""}})"));
  EXPECT_TRUE(network.internal && network.attachable && network.ipv6);
  EXPECT_FALSE(network.masquerade);
  EXPECT_EQ(network.bridge, "br0");
  EXPECT_EQ(network.mtu, 1400);
  ASSERT_THAT(network.subnets, SizeIs(2));
  EXPECT_EQ(network.subnets[0].subnet, "10.1.0.0/16");
  EXPECT_EQ(network.subnets[0].range, "10.1.2.0/24");
  EXPECT_EQ(network.subnets[0].gateway, "10.1.0.9");
  EXPECT_TRUE(network.subnets[0].asked);
  EXPECT_EQ(network.options.count("other"), 1u);
  EXPECT_THAT(network.labels, ElementsAre(Pair("a", "b")));
}

TEST(NetworkRequestTest, NullsAreNotSet) {
  ASSERT_OK_AND_ASSIGN(const cni::UserNetwork network, Network(R"({
      "Name": "n", "Driver": null, "IPAM": null, "Options": null,
      "Labels": null, "EnableIPv4": null, "ConfigFrom": null})"));
  EXPECT_THAT(network.subnets, IsEmpty());
  EXPECT_TRUE(network.masquerade);
}

TEST(NetworkRequestTest, RefusesWhatCannotBe) {
  for (const char* body :
       {R"({})", R"({"Name": 7})", R"({"Name": "a b"})",
        R"({"Name": "n", "IPAM": {"Config": [{"Gateway": "10.0.0.1"}]}})",
        R"({"Name": "n", "IPAM": {"Config": [{"Subnet": "10.0.0.1/8"}]}})",
        R"({"Name": "n", "IPAM": {"Config": [{"Subnet": "fd00::/64"}]}})",
        R"({"Name": "n", "IPAM": {"Config": 7}})",
        R"({"Name": "n", "Options": {"com.docker.network.driver.mtu": "x"}})",
        R"({"Name": "n", "EnableIPv4": false})",
        R"({"Name": "n", "EnableIPv4": false, "EnableIPv6": true,
            "IPAM": {"Config": [{"Subnet": "10.1.0.0/16"}]}})",
        R"({"Name": "n", "Driver": "macvlan",
            "Options": {"parent": "a/b"}})",
        R"({"Name": "n", "Driver": "macvlan",
            "Options": {"parent": "eth0", "macvlan_mode": "x"}})",
        R"({"Name": "n", "Options":
            {"com.docker.network.bridge.enable_icc": "perhaps"}})",
        R"({"Name": "n",
            "Options": {"com.docker.network.bridge.name": "-j DROP"}})"}) {
    EXPECT_THAT(Network(body), StatusIs(StatusCode::kInvalidArgument)) << body;
  }
  for (const char* body : {R"({"Name": "n", "Driver": "macvlan"})",
                           R"({"Name": "n", "Driver": "ipvlan", "Options":
            {"parent": "eth0", "ipvlan_mode": "l3"}})",
                           R"({"Name": "n", "Options":
            {"com.docker.network.bridge.gateway_mode_ipv4": "routed"}})"}) {
    EXPECT_THAT(Network(body), StatusIs(StatusCode::kUnimplemented)) << body;
  }
  for (
      const char* body :
      {R"({"Name": "host"})", R"({"Name": "n", "Driver": "overlay"})",
       R"({"Name": "n", "Ingress": true})",
       R"({"Name": "n", "ConfigOnly": true, "Internal": true})",
       R"({"Name": "n", "ConfigOnly": true, "ConfigFrom": {"Network": "m"}})",
       R"({"Name": "n", "Labels": {"a": "b"}, "ConfigFrom": {"Network": "m"}})",
       R"({"Name": "n", "Options": {"a": "b"}, "ConfigFrom": {"Network": "m"}})",
       R"({"Name": "n", "IPAM": {"Config": [{"Subnet": "10.1.0.0/16"},
                                             {"Subnet": "10.2.0.0/16"}]}})",
       R"({"Name": "n", "Scope": "swarm"})"}) {
    EXPECT_THAT(Network(body), StatusIs(StatusCode::kPermissionDenied)) << body;
  }
  for (const char* body : {R"({"Name": "n", "Driver": "mine"})",
                           R"({"Name": "n", "IPAM": {"Driver": "mine"}})"}) {
    EXPECT_THAT(Network(body),
                StatusIs(StatusCode::kNotFound, HasSubstr("mine")))
        << body;
  }
}

TEST(EndpointRequestTest, ReadsAllOfIt) {
  ASSERT_OK_AND_ASSIGN(const EndpointRequest endpoint, Endpoint(R"({
      "IPAMConfig": {"IPv4Address": "10.1.0.9", "IPv6Address": "fd00::9"},
      "Links": ["store:db", "web"], "Aliases": ["a", "b"],
      "MacAddress": "02:42:0A:01:00:09", "GwPriority": 7, "DriverOpts": null,
      "NetworkID": "id", "IPAddress": "10.9.9.9"})"));
  EXPECT_EQ(endpoint.ipv4, "10.1.0.9");
  EXPECT_EQ(endpoint.ipv6, "fd00::9");
  EXPECT_EQ(endpoint.mac, "02:42:0a:01:00:09");
  EXPECT_EQ(endpoint.gateway_priority, 7);
  EXPECT_EQ(endpoint.network_id, "id");
  EXPECT_THAT(endpoint.aliases, ElementsAre("a", "b"));
  EXPECT_THAT(endpoint.links,
              ElementsAre(Pair("db", "store"), Pair("web", "web")));
  EXPECT_TRUE(endpoint.asks());
  ASSERT_OK_AND_ASSIGN(const EndpointRequest nothing, Endpoint("null"));
  EXPECT_FALSE(nothing.asks());
}

TEST(EndpointRequestTest, RefusesWhatCannotBe) {
  for (const char* body :
       {R"({"IPAMConfig": {"IPv4Address": "fd00::9"}})",
        R"({"IPAMConfig": {"IPv4Address": "10.1.0"}})",
        R"({"IPAMConfig": {"IPv6Address": "10.1.0.9"}})",
        R"({"MacAddress": "02:42"})", R"({"Links": ["a:b:c"]})",
        R"({"Aliases": "a"})", R"({"GwPriority": "1"})", R"([])"}) {
    EXPECT_THAT(Endpoint(body), StatusIs(StatusCode::kInvalidArgument)) << body;
  }
  for (const char* body :
       {R"({"DriverOpts": {"com.docker.network.endpoint.ifname": "a/b"}})",
        R"({"DriverOpts": {"com.docker.network.endpoint.sysctls": "net.x=1"}})",
        R"({"DriverOpts": {"com.docker.network.endpoint.sysctls":
                           "net.ipv4.conf.IFNAME.a"}})",
        R"({"DriverOpts": {"com.docker.network.endpoint.sysctls":
                           "net.ipv4.conf.IFNAME.../x=1"}})",
        R"({"IPAMConfig": {"LinkLocalIPs": ["10.0.0.1"]}})"}) {
    EXPECT_THAT(Endpoint(body), StatusIs(StatusCode::kInvalidArgument)) << body;
  }
}

TEST(EndpointRequestTest, ReadsTheOptionsOfTheDriver) {
  ASSERT_OK_AND_ASSIGN(const EndpointRequest endpoint, Endpoint(R"({
      "DriverOpts": {"com.docker.network.endpoint.ifname": "lan0", "a": "b",
                     "com.docker.network.endpoint.sysctls":
                     "net.ipv4.conf.IFNAME.log_martians=1"},
      "IPAMConfig": {"LinkLocalIPs": ["169.254.7.7", "fe80::7"]}})"));
  EXPECT_EQ(endpoint.interface, "lan0");
  EXPECT_EQ(endpoint.driver_options.at("a"), "b");
  EXPECT_THAT(endpoint.sysctls,
              ElementsAre(Pair("net/ipv4/conf/IFNAME/log_martians", "1")));
  EXPECT_THAT(endpoint.link_local_ips, ElementsAre("169.254.7.7", "fe80::7"));
}

TEST(NetworkRequestTest, TakesSettingsOfAnother) {
  ASSERT_OK_AND_ASSIGN(const cni::UserNetwork source, Network(R"({
      "Name": "settings", "ConfigOnly": true, "Labels": {"a": "b"},
      "IPAM": {"Config": [{"Subnet": "10.1.0.0/16",
                           "AuxiliaryAddresses": {"host": "10.1.0.9"}}]},
      "Options": {"parent": "eth0"}})"));
  EXPECT_TRUE(source.config_only);
  EXPECT_EQ(source.driver, "null");
  EXPECT_EQ(source.subnets[0].reserved.at("host"), "10.1.0.9");
  ASSERT_OK_AND_ASSIGN(cni::UserNetwork wanted, Network(R"({
      "Name": "n", "Driver": "bridge",
      "ConfigFrom": {"Network": "settings"}})"));
  ASSERT_OK_AND_ASSIGN(const cni::UserNetwork made,
                       ConfiguredBy(source, wanted));
  EXPECT_EQ(made.subnets[0].subnet, "10.1.0.0/16");
  EXPECT_THAT(made.labels, ElementsAre(Pair("a", "b")));
  EXPECT_EQ(made.config_from, "settings");
}

TEST(NetworkRequestTest, ReadsOptionsOfOtherDrivers) {
  ASSERT_OK_AND_ASSIGN(const cni::UserNetwork network, Network(R"({
      "Name": "n", "Driver": "macvlan", "EnableIPv4": true,
      "Options": {"parent": "eth0", "macvlan_mode": "private"}})"));
  EXPECT_EQ(network.driver, "macvlan");
  EXPECT_EQ(network.parent, "eth0");
  EXPECT_EQ(network.mode, "private");
  ASSERT_OK_AND_ASSIGN(const cni::UserNetwork apart, Network(R"({
      "Name": "n", "Options":
      {"com.docker.network.bridge.enable_icc": "false"}})"));
  EXPECT_FALSE(apart.icc);
}

}  // namespace
}  // namespace berth::docker
