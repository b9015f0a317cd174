// Networks that users make, with the plugins of Debian's package, in a network
// namespace that stands for the host.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/context.h"
#include "base/io/subprocess.h"
#include "base/store/metadata_store.h"
#include "base/sys/namespace.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "base/unique_fd.h"
#include "cni/cni_network.h"
#include "cni/config_list.h"
#include "cni/network.h"
#include "cni/user/user_network.h"

namespace berth::cni {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

std::string Output(const std::string& script) {
  Command command;
  command.program = "/bin/sh";
  command.args = {"-c", script};
  command.env = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
  const auto result = RunCommand(Context::Background(), command);
  EXPECT_OK(result);
  return result.ok() ? result->output + result->errors : "";
}

class UserNetworkTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    if (access("/usr/lib/cni/bridge", X_OK) != 0) {
      GTEST_SKIP() << "needs the package containernetworking-plugins";
    }
    ASSERT_OK(UnshareNamespaces(CLONE_NEWNET | CLONE_NEWNS));
    ASSERT_EQ(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    ASSERT_EQ(mount("sysfs", "/sys", "sysfs", 0, nullptr), 0);
    Output("ip link set lo up");
    DefaultNetwork network;
    network.bridge = "testbr0";
    network.subnet = "10.199.0.0/24";
    network.address_directory = dir_.Path("addresses");
    ASSERT_OK(WriteDefaultConfig(dir_.Path("net.d"), network));
    CniOptions options;
    options.config_directory = dir_.Path("net.d");
    options.address_directory = dir_.Path("addresses");
    options.plugin_folders = {"/usr/lib/cni"};
    ASSERT_OK_AND_ASSIGN(store_, MetadataStore::Open(dir_.Path("meta.db")));
    network_ = std::make_unique<CniNetwork>(options, *store_);
  }
  void TearDown() override {
    for (const std::string& path : pinned_) umount2(path.c_str(), MNT_DETACH);
  }

  UserNetwork Make(UserNetwork wanted) {
    auto made = network_->user_networks().Create(ctx_, std::move(wanted));
    EXPECT_OK(made);
    return made.ok() ? *made : UserNetwork();
  }

  Attachment NewSandbox(const std::string& id, const UserNetwork& network) {
    Attachment sandbox;
    sandbox.sandbox_id = id;
    sandbox.network = network.id;
    sandbox.netns = dir_.Path(id + ".netns");
    std::thread maker([&] {
      ASSERT_OK(UnshareNamespaces(CLONE_NEWNET));
      ASSERT_OK(PinNamespace("/proc/thread-self/ns/net", sandbox.netns));
    });
    maker.join();
    pinned_.push_back(sandbox.netns);
    return sandbox;
  }

  std::string In(const Attachment& sandbox, const std::string& script) {
    std::string output;
    std::thread visitor([&] {
      auto netns = OpenNamespace(sandbox.netns, CLONE_NEWNET);
      ASSERT_OK(netns);
      ASSERT_OK(EnterNamespace(netns->get(), CLONE_NEWNET));
      output = Output(script);
    });
    visitor.join();
    return output;
  }

  // With a way to everywhere by this gateway.
  void Route(const Attachment& sandbox, const std::string& gateway) {
    In(sandbox, "ip route add default via " + gateway);
  }
  // Nobody listens there: an answer is a refusal.
  std::string Knock(const Attachment& sandbox, const std::string& address) {
    return In(sandbox, "timeout 1 bash -c '</dev/tcp/" + address + "/9'");
  }
  bool Reaches(const Attachment& sandbox, const std::string& address) {
    return Knock(sandbox, address).find("refused") != std::string::npos;
  }

  TempDir dir_;
  const Context ctx_ = Context::Background();
  std::unique_ptr<MetadataStore> store_;
  std::unique_ptr<CniNetwork> network_;
  std::vector<std::string> pinned_;
};

TEST_F(UserNetworkTest, GivesWhatIsAskedFor) {
  UserNetwork wanted;
  wanted.name = "n";
  wanted.ipv6 = true;
  wanted.mtu = 1400;
  wanted.subnets = {{"10.9.0.0/16", "10.9.0.7", "10.9.8.0/24", true}};
  const UserNetwork network = Make(wanted);
  Attachment fixed = NewSandbox("s1", network);
  fixed.ips = {"10.9.77.5"};
  fixed.mac = "02:42:0a:09:4d:05";
  ASSERT_OK_AND_ASSIGN(const NetworkResult asked,
                       network_->Attach(ctx_, fixed));
  EXPECT_EQ(asked.addresses[0].ip, "10.9.77.5");
  EXPECT_EQ(asked.addresses[0].prefix_length, 16);
  EXPECT_EQ(asked.addresses[0].gateway, "10.9.0.7");
  EXPECT_EQ(asked.mac, fixed.mac);
  ASSERT_THAT(asked.addresses, SizeIs(2));
  EXPECT_THAT(In(fixed, "ip -o link show eth0"), HasSubstr("mtu 1400"));
  ASSERT_OK_AND_ASSIGN(const NetworkResult any,
                       network_->Attach(ctx_, NewSandbox("s2", network)));
  EXPECT_EQ(any.addresses[0].ip, "10.9.8.0");
  EXPECT_TRUE(Reaches(fixed, any.addresses[0].ip));
  EXPECT_TRUE(Reaches(fixed, any.addresses[1].ip));
}

TEST_F(UserNetworkTest, KeepsNetworksApart) {
  UserNetwork wanted;
  wanted.name = "one";
  const UserNetwork one = Make(wanted);
  wanted.name = "two";
  const UserNetwork two = Make(wanted);
  const Attachment a = NewSandbox("a", one);
  const Attachment b = NewSandbox("b", two);
  const Attachment c = NewSandbox("c", UserNetwork());
  ASSERT_OK_AND_ASSIGN(const NetworkResult at_a, network_->Attach(ctx_, a));
  ASSERT_OK_AND_ASSIGN(const NetworkResult at_b, network_->Attach(ctx_, b));
  ASSERT_OK_AND_ASSIGN(const NetworkResult at_c, network_->Attach(ctx_, c));
  Route(a, at_a.addresses[0].gateway);
  Route(b, at_b.addresses[0].gateway);
  EXPECT_FALSE(Reaches(a, at_b.addresses[0].ip));
  EXPECT_FALSE(Reaches(a, at_c.addresses[0].ip));
  EXPECT_FALSE(Reaches(c, at_a.addresses[0].ip));
  EXPECT_TRUE(Reaches(a, at_a.addresses[0].gateway));
  // Rules that somebody has flushed come back with the next sandbox.
  Output("iptables -F; iptables -F BERTH-ISOLATION-2");
  EXPECT_TRUE(Reaches(a, at_b.addresses[0].ip));
  ASSERT_OK(network_->Attach(ctx_, NewSandbox("d", one)));
  EXPECT_FALSE(Reaches(a, at_b.addresses[0].ip));
}

TEST_F(UserNetworkTest, InternalHasNoWayOut) {
  UserNetwork wanted;
  wanted.name = "inside";
  wanted.internal = true;
  const UserNetwork inside = Make(wanted);
  const Attachment a = NewSandbox("a", inside);
  const Attachment b = NewSandbox("b", inside);
  ASSERT_OK_AND_ASSIGN(const NetworkResult at_a, network_->Attach(ctx_, a));
  ASSERT_OK_AND_ASSIGN(const NetworkResult at_b, network_->Attach(ctx_, b));
  EXPECT_EQ(at_a.addresses[0].gateway, "");
  EXPECT_TRUE(Reaches(a, at_b.addresses[0].ip));
  // Even with a route of its own.
  Output(
      "ip link add out0 type veth peer name in0; ip link set in0 up; "
      "ip addr add 192.0.2.1/24 dev out0; ip link set out0 up; "
      "ip neigh add 192.0.2.2 lladdr 02:00:00:00:00:02 dev out0");
  Route(a, inside.subnets[0].gateway);
  Knock(a, "192.0.2.2");
  EXPECT_THAT(Output("iptables -nvL BERTH-ISOLATION-1 | grep DROP | head -1"),
              Not(HasSubstr("    0     0 DROP")));
  EXPECT_THAT(Output("iptables -t nat -S BERTH-POSTROUTING"),
              Not(HasSubstr("MASQUERADE")));
}

TEST_F(UserNetworkTest, LeavesNothingBehind) {
  UserNetwork wanted;
  wanted.name = "n";
  const UserNetwork network = Make(wanted);
  const Attachment a = NewSandbox("a", network);
  ASSERT_OK(network_->Attach(ctx_, a));
  EXPECT_THAT(Output("ip -o link"), HasSubstr(network.bridge));
  EXPECT_THAT(network_->user_networks().Remove(ctx_, network.id),
              StatusIs(StatusCode::kFailedPrecondition));
  ASSERT_OK(network_->DetachInterface(ctx_, a));
  ASSERT_OK(network_->DetachInterface(ctx_, a));
  ASSERT_OK(network_->user_networks().Remove(ctx_, network.id));
  EXPECT_THAT(Output("ip -o link"), Not(HasSubstr(network.bridge)));
  EXPECT_THAT(Output("iptables-save"), Not(HasSubstr("BERTH-")));
  EXPECT_FALSE(dir_.Exists("addresses/" + network.id));
  EXPECT_THAT(network_->Attach(ctx_, a),
              StatusIs(StatusCode::kFailedPrecondition));
}

TEST_F(UserNetworkTest, TakesOneInterfaceOfSeveral) {
  UserNetwork wanted;
  wanted.name = "n";
  const UserNetwork network = Make(wanted);
  Attachment sandbox = NewSandbox("s", UserNetwork());
  ASSERT_OK(network_->Attach(ctx_, sandbox));
  sandbox.network = network.id;
  sandbox.interface = "eth1";
  ASSERT_OK(network_->Attach(ctx_, sandbox));
  EXPECT_THAT(In(sandbox, "ip -o link"), HasSubstr("eth1"));
  ASSERT_OK(network_->DetachInterface(ctx_, sandbox));
  EXPECT_THAT(In(sandbox, "ip -o link"), Not(HasSubstr("eth1")));
  EXPECT_THAT(In(sandbox, "ip -o link"), HasSubstr("eth0"));
  ASSERT_OK(network_->Detach(ctx_, sandbox));
}

}  // namespace
}  // namespace berth::cni
