#include "cni/user/user_networks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <string>

#include "base/context.h"
#include "base/json.h"
#include "base/store/metadata_store.h"
#include "base/sys/namespace.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "cni/attachment_store.h"
#include "cni/user/bridge_firewall.h"
#include "cni/user/subnet.h"
#include "cni/user/user_network.h"

namespace berth::cni {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

Subnet Of(const std::string& text) {
  const auto subnet = Subnet::Parse(text);
  EXPECT_OK(subnet);
  return subnet.ok() ? *subnet : Subnet();
}

TEST(SubnetTest, ReadsAndWritesBothFamilies) {
  for (const char* text : {"10.0.0.0/8", "172.18.4.0/22", "0.0.0.0/0",
                           "1.2.3.4/32", "fd00::/64", "fd00:1:2:3::4/128"}) {
    EXPECT_EQ(Of(text).Text(), text);
  }
  for (const char* text :
       {"", "10.0.0.0", "10.0.0/8", "10.0.0.0/33", "10.0.0.0/-1", "fd00::/129",
        "x/8", "10.0.0.0/8/8", "/8", "10.0.0.0/"}) {
    EXPECT_THAT(Subnet::Parse(text), StatusIs(StatusCode::kInvalidArgument))
        << text;
  }
  EXPECT_THAT(Subnet::Parse("10.0.0.1/24"),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("10.0.0.0/24")));
}

TEST(SubnetTest, CountsAddresses) {
  EXPECT_EQ(Of("10.1.0.0/16").Address(1), "10.1.0.1");
  EXPECT_EQ(Of("10.1.0.0/16").Address(256), "10.1.1.0");
  EXPECT_EQ(Of("10.1.0.0/16").Address(65536), "");
  EXPECT_EQ(Of("255.255.255.0/24").Address(256), "");
  EXPECT_EQ(Of("10.1.0.0/16").Last(), "10.1.255.255");
  EXPECT_EQ(Of("fd00::/64").Address(1), "fd00::1");
  EXPECT_EQ(Of("fd00::/112").Last(), "fd00::ffff");
}

TEST(SubnetTest, KnowsWhatIsInside) {
  EXPECT_TRUE(Of("10.1.0.0/16").Contains("10.1.9.9"));
  EXPECT_FALSE(Of("10.1.0.0/16").Contains("10.2.0.0"));
  EXPECT_FALSE(Of("10.1.0.0/16").Contains("fd00::1"));
  EXPECT_FALSE(Of("10.1.0.0/16").Contains("nonsense"));
  EXPECT_TRUE(Of("10.0.0.0/8").Overlaps(Of("10.4.0.0/16")));
  EXPECT_TRUE(Of("10.4.0.0/16").Overlaps(Of("10.0.0.0/8")));
  EXPECT_FALSE(Of("10.4.0.0/16").Overlaps(Of("10.5.0.0/16")));
  EXPECT_FALSE(Of("::/0").Overlaps(Of("10.5.0.0/16")));
}

TEST(SubnetTest, LeavesAddressesOut) {
  using Parts = std::vector<std::pair<std::string, std::string>>;
  EXPECT_EQ(Of("10.0.0.0/29").Without({"10.0.0.0", "10.0.0.3", "10.0.0.7"}),
            (Parts{{"10.0.0.1", "10.0.0.2"}, {"10.0.0.4", "10.0.0.6"}}));
  EXPECT_EQ(Of("10.0.0.0/30").Without({}), (Parts{{"10.0.0.0", "10.0.0.3"}}));
  EXPECT_EQ(Of("10.0.0.1/32").Without({"10.0.0.1", "x", "9.9.9.9"}), Parts());
  EXPECT_EQ(Of("255.255.255.254/31").Without({"255.255.255.255"}),
            (Parts{{"255.255.255.254", "255.255.255.254"}}));
  EXPECT_EQ(Of("fd00::/126").Without({"fd00::1"}),
            (Parts{{"fd00::", "fd00::"}, {"fd00::2", "fd00::3"}}));
}

TEST(SubnetTest, ReadsTheHostsRoutes) {
  const auto v4 = ParseRoutes(
      "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\n"
      "eth0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
      "eth0\t0000A8C0\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
      "torn line\n");
  ASSERT_THAT(v4, SizeIs(1));
  EXPECT_EQ(v4[0].Text(), "192.168.0.0/16");
  const auto v6 = ParseRoutesV6(
      "fd0000000000000000000000000000 40 too short\n"
      "fd010000000000000000000000000000 40 00000000000000000000000000000000 00 "
      "00000000000000000000000000000000 00000100 00000001 00000000 00000001 "
      "eth0\n"
      "fe800000000000000000000000000000 40 00000000000000000000000000000000 00 "
      "00000000000000000000000000000000 00000100 00000001 00000000 00000001 "
      "eth0\n");
  ASSERT_THAT(v6, SizeIs(1));
  EXPECT_EQ(v6[0].Text(), "fd01::/64");
}

TEST(SubnetTest, ChoosesOneThatIsFree) {
  const std::string id(64, 'a');
  EXPECT_EQ(ChooseSubnet(false, id, {})->Text(), "172.18.0.0/16");
  EXPECT_EQ(ChooseSubnet(false, id, {Of("172.16.0.0/13")})->Text(),
            "172.24.0.0/16");
  EXPECT_EQ(ChooseSubnet(false, id, {Of("172.16.0.0/12")})->Text(),
            "192.168.0.0/20");
  EXPECT_THAT(ChooseSubnet(false, id, {Of("0.0.0.0/0")}),
              StatusIs(StatusCode::kResourceExhausted));
  EXPECT_THAT(ChooseSubnet(true, id, {})->Text(), StartsWith("fdaa:aaaa"));
}

TEST(FirewallRulesTest, KeepsBridgesApart) {
  FirewalledBridge open;
  open.bridge = "br-a";
  open.masqueraded = {"172.18.0.0/16", "fd00::/64"};
  open.v6 = true;
  FirewalledBridge closed;
  closed.bridge = "br-b";
  closed.internal = true;
  const std::string v4 = FirewallRules({open, closed}, false);
  EXPECT_THAT(v4, HasSubstr("-s 172.18.0.0/16 ! -o br-a -j MASQUERADE"));
  EXPECT_THAT(v4, Not(HasSubstr("fd00")));
  EXPECT_THAT(v4, HasSubstr("-A BERTH-ISOLATION-1 -i br-b ! -o br-b -j DROP"));
  EXPECT_THAT(v4, Not(HasSubstr("-o br-b -m")));
  EXPECT_THAT(FirewallRules({open, closed}, true), HasSubstr("-s fd00::/64"));
}

class UserNetworksTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    ASSERT_OK(UnshareNamespaces(CLONE_NEWNET));
    ASSERT_OK_AND_ASSIGN(store_, MetadataStore::Open(dir_.Path("meta.db")));
    Restart();
  }
  void Restart() {
    networks_ = std::make_unique<UserNetworks>(*store_, dir_.Path("addresses"),
                                               [] { return std::nullopt; });
  }
  StatusOr<UserNetwork> Create(const std::string& name,
                               const std::string& subnet = "") {
    UserNetwork wanted;
    wanted.name = name;
    if (!subnet.empty()) wanted.subnets.push_back({subnet, "", "", true});
    return networks_->Create(ctx_, wanted);
  }

  TempDir dir_;
  const Context ctx_ = Context::Background();
  std::unique_ptr<MetadataStore> store_;
  std::unique_ptr<UserNetworks> networks_;
};

TEST_F(UserNetworksTest, RemembersWhatWasMade) {
  UserNetwork wanted;
  wanted.name = "n1";
  wanted.ipv6 = true;
  wanted.internal = true;
  wanted.labels = {{"a", "b"}};
  wanted.subnets = {{"10.9.0.0/16", "10.9.5.1", "10.9.8.0/24", true}};
  ASSERT_OK_AND_ASSIGN(const UserNetwork made, networks_->Create(ctx_, wanted));
  Restart();
  ASSERT_OK_AND_ASSIGN(const UserNetwork found, networks_->Find(made.id));
  EXPECT_EQ(SerializeUserNetwork(found), SerializeUserNetwork(made));
  EXPECT_THAT(found.subnets, SizeIs(2));
  EXPECT_EQ(found.subnets[0].gateway, "10.9.5.1");
  EXPECT_EQ(found.bridge, "br-" + made.id.substr(0, 12));
}

TEST_F(UserNetworksTest, ChoosesSubnetsThatAreFree) {
  ASSERT_OK_AND_ASSIGN(const UserNetwork one, Create("one"));
  ASSERT_OK_AND_ASSIGN(const UserNetwork two, Create("two"));
  EXPECT_EQ(one.subnets[0].subnet, "172.18.0.0/16");
  EXPECT_EQ(one.subnets[0].gateway, "172.18.0.1");
  EXPECT_EQ(two.subnets[0].subnet, "172.19.0.0/16");
}

TEST_F(UserNetworksTest, RefusesWhatCannotBe) {
  ASSERT_OK(Create("one", "10.9.0.0/16").status());
  EXPECT_THAT(Create("one"), StatusIs(StatusCode::kAlreadyExists));
  EXPECT_THAT(Create("two", "10.9.1.0/24"),
              StatusIs(StatusCode::kPermissionDenied, HasSubstr("overlaps")));
  EXPECT_THAT(Create("two", "10.10.1.1/24"),
              StatusIs(StatusCode::kInvalidArgument));
  UserNetwork wanted;
  wanted.name = "two";
  wanted.subnets = {{"10.10.0.0/16", "10.11.0.1", "", true}};
  EXPECT_THAT(networks_->Create(ctx_, wanted),
              StatusIs(StatusCode::kInvalidArgument));
  wanted.subnets = {{"10.10.0.0/16", "", "10.11.0.0/24", true}};
  EXPECT_THAT(networks_->Create(ctx_, wanted),
              StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(networks_->All(), SizeIs(1));
}

TEST_F(UserNetworksTest, KeepsOneThatIsUsed) {
  ASSERT_OK_AND_ASSIGN(const UserNetwork made, Create("one"));
  {
    ASSERT_OK_AND_ASSIGN(const UserNetworks::Use use,
                         networks_->BeginUse(made.id));
    EXPECT_THAT(networks_->Remove(ctx_, made.id),
                StatusIs(StatusCode::kFailedPrecondition));
    ASSERT_OK_AND_ASSIGN(const ConfigList list, use.List(false));
    ASSERT_OK(AttachmentStore(*store_).Save("s", "eth0",
                                            DumpJson({{"list", list.text}})));
  }
  EXPECT_THAT(networks_->Remove(ctx_, made.id),
              StatusIs(StatusCode::kFailedPrecondition));
  ASSERT_OK(AttachmentStore(*store_).Forget("s", "eth0"));
  EXPECT_OK(networks_->Remove(ctx_, made.id));
  EXPECT_OK(networks_->Remove(ctx_, made.id));
  EXPECT_THAT(networks_->BeginUse(made.id).status(),
              StatusIs(StatusCode::kNotFound));
  Restart();
  EXPECT_THAT(networks_->All(), IsEmpty());
}

TEST_F(UserNetworksTest, KeepsSettingsThatOthersAreMadeBy) {
  UserNetwork settings;
  settings.name = "settings";
  settings.driver = "null";
  settings.config_only = true;
  settings.subnets = {{"10.9.0.0/16", "", "", true}};
  ASSERT_OK_AND_ASSIGN(const UserNetwork kept,
                       networks_->Create(ctx_, settings));
  EXPECT_EQ(kept.bridge, "");
  // Its subnet is taken by nobody.
  UserNetwork wanted;
  wanted.name = "n";
  wanted.config_from = "others";
  EXPECT_THAT(networks_->Create(ctx_, wanted).status(),
              StatusIs(StatusCode::kNotFound, HasSubstr("others")));
  wanted.config_from = "settings";
  wanted.subnets = settings.subnets;
  ASSERT_OK_AND_ASSIGN(const UserNetwork made, networks_->Create(ctx_, wanted));
  Restart();
  EXPECT_THAT(networks_->Remove(ctx_, kept.id),
              StatusIs(StatusCode::kPermissionDenied, HasSubstr("in use")));
  ASSERT_OK(networks_->Remove(ctx_, made.id));
  EXPECT_OK(networks_->Remove(ctx_, kept.id));
}

TEST_F(UserNetworksTest, MakesOneWithoutIpv4) {
  UserNetwork wanted;
  wanted.name = "n";
  wanted.ipv4 = false;
  wanted.ipv6 = true;
  ASSERT_OK_AND_ASSIGN(const UserNetwork made, networks_->Create(ctx_, wanted));
  ASSERT_THAT(made.subnets, SizeIs(1));
  EXPECT_THAT(made.subnets[0].subnet, StartsWith("fd"));
}

TEST_F(UserNetworksTest, RefusesReservedAddressesOfOtherSubnets) {
  UserNetwork wanted;
  wanted.name = "n";
  wanted.subnets = {{"10.9.0.0/16", "", "", true, {{"host", "10.8.0.1"}}}};
  EXPECT_THAT(networks_->Create(ctx_, wanted),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("10.8.0.1")));
}

TEST(FirewallRulesTest, KeepsThoseOfOneBridgeApart) {
  FirewalledBridge bridge;
  bridge.bridge = "br-a";
  bridge.icc = false;
  EXPECT_THAT(FirewallRules({bridge}, false),
              HasSubstr("-A BERTH-ISOLATION-1 -i br-a -o br-a -m conntrack ! "
                        "--ctstate DNAT -j DROP"));
}

TEST(ListOfTest, GivesOutNothingThatIsReserved) {
  UserNetwork network;
  network.id = "id";
  network.bridge = "br-x";
  network.subnets = {{"10.9.0.0/16",
                      "10.9.0.1",
                      "10.9.8.0/24",
                      true,
                      {{"a", "10.9.8.7"}, {"b", "10.7.0.1"}}}};
  ASSERT_OK_AND_ASSIGN(const ConfigList list, ListOf(network, "/d", false));
  const std::string ipam = DumpJson(*list.plugins[0].Find("ipam"));
  EXPECT_THAT(ipam, HasSubstr(R"("rangeStart":"10.9.8.0")"));
  EXPECT_THAT(ipam, HasSubstr(R"("rangeEnd":"10.9.8.6")"));
  EXPECT_THAT(ipam, HasSubstr(R"("rangeStart":"10.9.8.8")"));
  network.subnets[0].subnet = "10.9.8.7/32";
  network.subnets[0].range = "";
  EXPECT_THAT(ListOf(network, "/d", false),
              StatusIs(StatusCode::kInvalidArgument));
}

TEST(ListOfTest, StandsBesideAnInterfaceOfTheHost) {
  UserNetwork network;
  network.id = "id";
  network.driver = "macvlan";
  network.parent = "eth0";
  network.mode = "vepa";
  network.subnets = {{"10.9.0.0/16", "10.9.0.1", "", true}};
  ASSERT_OK_AND_ASSIGN(const ConfigList list, ListOf(network, "/d", false));
  ASSERT_THAT(list.plugins, SizeIs(1));
  EXPECT_EQ(list.plugins[0].Text("type"), "macvlan");
  EXPECT_EQ(list.plugins[0].Text("master"), "eth0");
  EXPECT_EQ(list.plugins[0].Text("mode"), "vepa");
}

TEST(ListOfTest, GivesOutTheRangeAlone) {
  UserNetwork network;
  network.id = "id";
  network.bridge = "br-x";
  network.subnets = {{"10.9.0.0/16", "10.9.0.1", "10.9.8.0/24", true}};
  ASSERT_OK_AND_ASSIGN(const ConfigList list, ListOf(network, "/d", false));
  EXPECT_EQ(list.name, "id");
  const std::string ipam = DumpJson(*list.plugins[0].Find("ipam"));
  EXPECT_THAT(ipam, HasSubstr(R"("rangeStart":"10.9.8.0")"));
  EXPECT_THAT(ipam, HasSubstr(R"("rangeEnd":"10.9.8.255")"));
  ASSERT_OK_AND_ASSIGN(const ConfigList any, ListOf(network, "/d", true));
  EXPECT_THAT(DumpJson(*any.plugins[0].Find("ipam")),
              Not(HasSubstr("rangeStart")));
}

}  // namespace
}  // namespace berth::cni
