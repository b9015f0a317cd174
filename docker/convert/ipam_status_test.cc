#include "docker/convert/ipam_status.h"

#include <gtest/gtest.h>

#include <limits>

#include "base/testing/json.h"

namespace berth::docker {
namespace {

TEST(IpamStatusTest, CountsWhatNobodyElseCanHave) {
  const Json ipam = Parsed(R"({"Config": [{
      "Subnet": "10.1.0.0/24", "Gateway": "10.1.0.1",
      "AuxiliaryAddresses": {"router": "10.1.0.9", "other": "10.2.0.9"}}]})");
  const Json containers = Parsed(R"({
      "a": {"IPv4Address": "10.1.0.77/24", "IPv6Address": ""},
      "b": {"IPv4Address": "10.1.0.78/24"}})");
  EXPECT_EQ(SubnetsJson(ipam, Json::object()), Parsed(R"({"10.1.0.0/24":
      {"IPsInUse": 4, "DynamicIPsAvailable": 252}})"));
  EXPECT_EQ(SubnetsJson(ipam, containers), Parsed(R"({"10.1.0.0/24":
      {"IPsInUse": 6, "DynamicIPsAvailable": 250}})"));
}

TEST(IpamStatusTest, ARangeIsWhatIsGiven) {
  const Json ipam = Parsed(R"({"Config": [{"Subnet": "10.1.0.0/16",
      "IPRange": "10.1.4.0/24", "Gateway": "10.1.0.1"}]})");
  const Json containers = Parsed(R"({
      "a": {"IPv4Address": "10.1.4.7/16"}, "b": {"IPv4Address": "10.1.9.9/16"}})");
  EXPECT_EQ(SubnetsJson(ipam, containers), Parsed(R"({"10.1.0.0/16":
      {"IPsInUse": 5, "DynamicIPsAvailable": 255}})"));
}

TEST(IpamStatusTest, LargeSubnetsHaveTheLargestNumber) {
  const Json ipam = Parsed(R"({"Config": [
      {"Subnet": "fd00:1::/64", "Gateway": "fd00:1::1"},
      {"Subnet": "10.9.9.8/31"}, {"Subnet": "nonsense"}]})");
  const Json subnets = SubnetsJson(ipam, Parsed(R"({
      "a": {"IPv6Address": "fd00:1:0::5/64"}})"));
  EXPECT_EQ(subnets.size(), 2u);
  const Json six = *subnets.Find("fd00:1::/64");
  EXPECT_EQ(six.Find("IPsInUse")->AsUint(), 3u);
  EXPECT_EQ(six.Find("DynamicIPsAvailable")->AsUint(),
            std::numeric_limits<uint64_t>::max() - 2);
  EXPECT_EQ(subnets.Find("10.9.9.8/31")->Find("DynamicIPsAvailable")->AsUint(),
            2u);
}

TEST(IpamStatusTest, NetworksWithoutAddressesHaveNone) {
  EXPECT_EQ(SubnetsJson(Parsed(R"({"Config": []})"), Json::object()),
            Json::object());
  EXPECT_EQ(SubnetsJson(Json(), Json()), Json::object());
}

}  // namespace
}  // namespace berth::docker
