// bridge, host-local and portmap of Debian's containernetworking-plugins, in a
// network namespace that stands for the host.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "base/context.h"
#include "base/io/subprocess.h"
#include "base/status.h"
#include "base/store/metadata_store.h"
#include "base/sys/namespace.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "base/unique_fd.h"
#include "cni/cni_network.h"
#include "cni/config_list.h"
#include "cni/network.h"

namespace berth::cni {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr char kPlugins[] = "/usr/lib/cni";

std::string Output(const std::string& script) {
  Command command;
  command.program = "/bin/sh";
  command.args = {"-c", script};
  command.env = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
  const auto result = RunCommand(Context::Background(), command);
  EXPECT_OK(result);
  return result.ok() ? result->output + result->errors : "";
}

sockaddr_in AddressOf(const std::string& ip, uint16_t port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  inet_pton(AF_INET, ip.c_str(), &address.sin_addr);
  return address;
}

class RealPluginsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    if (access("/usr/lib/cni/bridge", X_OK) != 0) {
      GTEST_SKIP() << "needs the package containernetworking-plugins";
    }
    // This process is still one thread: all that it starts is in there too.
    ASSERT_OK(UnshareNamespaces(CLONE_NEWNET | CLONE_NEWNS));
    ASSERT_EQ(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    ASSERT_EQ(mount("sysfs", "/sys", "sysfs", 0, nullptr), 0);
    Output("ip link set lo up");

    DefaultNetwork network;
    network.name = "testnet";
    network.bridge = "testbr0";
    network.subnet = "10.199.0.0/24";
    network.address_directory = dir_.Path("addresses");
    ASSERT_OK(WriteDefaultConfig(dir_.Path("net.d"), network));
    CniOptions options;
    options.config_directory = dir_.Path("net.d");
    options.plugin_folders = {kPlugins};
    ASSERT_OK_AND_ASSIGN(store_, MetadataStore::Open(dir_.Path("meta.db")));
    network_ = std::make_unique<CniNetwork>(options, *store_);
    ASSERT_OK(network_->Ready());
  }
  void TearDown() override {
    for (const std::string& path : pinned_) umount2(path.c_str(), MNT_DETACH);
  }

  Attachment NewSandbox(const std::string& id) {
    Attachment sandbox;
    sandbox.sandbox_id = id;
    sandbox.netns = dir_.Path(id + ".netns");
    std::thread maker([&] {
      ASSERT_OK(UnshareNamespaces(CLONE_NEWNET));
      ASSERT_OK(PinNamespace("/proc/thread-self/ns/net", sandbox.netns));
    });
    maker.join();
    pinned_.push_back(sandbox.netns);
    return sandbox;
  }

  static void In(const Attachment& sandbox,
                 const std::function<void()>& action) {
    std::thread visitor([&] {
      auto netns = OpenNamespace(sandbox.netns, CLONE_NEWNET);
      ASSERT_OK(netns);
      ASSERT_OK(EnterNamespace(netns->get(), CLONE_NEWNET));
      action();
    });
    visitor.join();
  }

  // Another network, 192.0.2.0/24, with a host, .2, that knows no way back.
  Attachment NewHostAway() {
    const Attachment away = NewSandbox("away");
    Output("ip link add out0 type veth peer name in0");
    Output("ip addr add 192.0.2.1/24 dev out0 && ip link set out0 up");
    Output("ip link set in0 netns " + away.netns);
    In(away, [&] {
      Output(
          "ip link set lo up; ip addr add 192.0.2.2/24 dev in0; "
          "ip link set in0 up");
    });
    return away;
  }

  static UniqueFd Listen(const Attachment& sandbox, uint16_t port) {
    UniqueFd listener;
    In(sandbox, [&] {
      listener.reset(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      const sockaddr_in address = AddressOf("0.0.0.0", port);
      ASSERT_EQ(
          bind(listener.get(), reinterpret_cast<const sockaddr*>(&address),
               sizeof(address)),
          0);
      ASSERT_EQ(listen(listener.get(), 1), 0);
    });
    return listener;
  }

  static UniqueFd Connect(const Attachment& sandbox, const std::string& ip,
                          uint16_t port) {
    UniqueFd client;
    In(sandbox, [&] {
      client.reset(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      const timeval limit = {5, 0};
      setsockopt(client.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
      const sockaddr_in address = AddressOf(ip, port);
      EXPECT_EQ(
          connect(client.get(), reinterpret_cast<const sockaddr*>(&address),
                  sizeof(address)),
          0);
    });
    return client;
  }

  // The leases that host-local keeps.
  std::vector<std::string> Leases() {
    std::vector<std::string> leases;
    for (const std::string& name : dir_.Names("addresses/testnet")) {
      if (name.rfind("10.", 0) == 0) leases.push_back(name);
    }
    return leases;
  }

  TempDir dir_;
  const Context ctx_ = Context::Background();
  std::unique_ptr<MetadataStore> store_;
  std::unique_ptr<CniNetwork> network_;
  std::vector<std::string> pinned_;
};

TEST_F(RealPluginsTest, GivesAnAddressAndTakesItBack) {
  const Attachment sandbox = NewSandbox("s1");
  ASSERT_OK_AND_ASSIGN(const NetworkResult result,
                       network_->Attach(ctx_, sandbox));
  ASSERT_THAT(result.addresses, SizeIs(1));
  EXPECT_THAT(result.addresses[0].ip, HasSubstr("10.199.0."));
  EXPECT_EQ(result.addresses[0].gateway, "10.199.0.1");
  EXPECT_THAT(result.mac, SizeIs(17));
  In(sandbox, [&] {
    EXPECT_THAT(Output("ip -o addr"), HasSubstr(result.addresses[0].ip));
  });
  EXPECT_OK(network_->Check(ctx_, sandbox));
  EXPECT_THAT(Leases(), SizeIs(1));

  In(sandbox, [&] { Output("ip addr flush dev eth0"); });
  EXPECT_THAT(network_->Check(ctx_, sandbox), Not(IsOk()));

  ASSERT_OK(network_->Detach(ctx_, sandbox));
  EXPECT_THAT(Leases(), IsEmpty());
  In(sandbox,
     [&] { EXPECT_THAT(Output("ip -o link"), Not(HasSubstr("eth0"))); });
  ASSERT_OK(network_->Detach(ctx_, sandbox));
}

TEST_F(RealPluginsTest, MasqueradesByOneRuleWhateverIsAttached) {
  const auto rules = [] {
    return Output("iptables -t nat -S POSTROUTING | grep -c MASQUERADE");
  };
  std::vector<std::thread> starts;
  std::vector<Attachment> sandboxes;
  for (const char* id : {"s1", "s2", "s3"}) sandboxes.push_back(NewSandbox(id));
  for (const Attachment& sandbox : sandboxes) {
    starts.emplace_back([&] { EXPECT_OK(network_->Attach(ctx_, sandbox)); });
  }
  for (std::thread& start : starts) start.join();
  EXPECT_EQ(rules(), "1\n");
  // A firewall that starts anew takes it away; the next pod brings it back.
  Output("iptables -t nat -F POSTROUTING");
  ASSERT_OK(network_->Attach(ctx_, NewSandbox("s4")));
  EXPECT_EQ(rules(), "1\n");
}

TEST_F(RealPluginsTest, MasqueradesWhatLeavesTheBridge) {
  const Attachment sandbox = NewSandbox("s1");
  ASSERT_OK_AND_ASSIGN(const NetworkResult result,
                       network_->Attach(ctx_, sandbox));
  const UniqueFd listener = Listen(NewHostAway(), 80);
  const UniqueFd client = Connect(sandbox, "192.0.2.2", 80);
  sockaddr_in peer = {};
  socklen_t size = sizeof(peer);
  const UniqueFd accepted(accept4(listener.get(),
                                  reinterpret_cast<sockaddr*>(&peer), &size,
                                  SOCK_CLOEXEC | SOCK_NONBLOCK));
  ASSERT_TRUE(accepted.valid());
  char text[INET_ADDRSTRLEN] = {};
  inet_ntop(AF_INET, &peer.sin_addr, text, sizeof(text));
  EXPECT_STREQ(text, "192.0.2.1");
  ASSERT_OK(network_->Detach(ctx_, sandbox));
}

TEST_F(RealPluginsTest, PublishesAPort) {
  Attachment sandbox = NewSandbox("s1");
  sandbox.port_mappings = {{18080, 80, "tcp", ""}};
  ASSERT_OK(network_->Attach(ctx_, sandbox));
  EXPECT_THAT(Output("iptables -t nat -S"), HasSubstr("18080"));

  const UniqueFd listener = Listen(sandbox, 80);
  UniqueFd client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval limit = {5, 0};
  setsockopt(client.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
  const sockaddr_in address = AddressOf("10.199.0.1", 18080);
  EXPECT_EQ(connect(client.get(), reinterpret_cast<const sockaddr*>(&address),
                    sizeof(address)),
            0);

  ASSERT_OK(network_->Detach(ctx_, sandbox));
  EXPECT_THAT(Output("iptables -t nat -S"), Not(HasSubstr("18080")));
}

// CVE-2025-67499: a published port is one of this machine's addresses only.
TEST_F(RealPluginsTest, TakesNoConnectionToTheSamePortOfAnotherHost) {
  Attachment sandbox = NewSandbox("s1");
  sandbox.port_mappings = {{18080, 80, "tcp", ""}};
  ASSERT_OK(network_->Attach(ctx_, sandbox));
  const Attachment neighbour = NewSandbox("s2");
  ASSERT_OK(network_->Attach(ctx_, neighbour));
  const UniqueFd ours = Listen(sandbox, 80);
  const UniqueFd theirs = Listen(NewHostAway(), 18080);
  const UniqueFd client = Connect(neighbour, "192.0.2.2", 18080);
  const UniqueFd accepted(
      accept4(theirs.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  EXPECT_TRUE(accepted.valid());
  ASSERT_OK(network_->Detach(ctx_, neighbour));
  ASSERT_OK(network_->Detach(ctx_, sandbox));
}

// CVE-2020-13401: a container that calls itself a router becomes the host's.
TEST_F(RealPluginsTest, TheHostTakesNoRouteFromAContainer) {
  const Attachment sandbox = NewSandbox("s1");
  ASSERT_OK(network_->Attach(ctx_, sandbox));
  const std::string said =
      Output("cat /proc/sys/net/ipv6/conf/testbr0/accept_ra 2>/dev/null");
  ASSERT_OK(network_->Detach(ctx_, sandbox));
  if (said.empty()) GTEST_SKIP() << "the kernel has no IPv6";
  EXPECT_EQ(said, "0\n");
}

TEST_F(RealPluginsTest, GivesTheAddressBackWhenTheNamespaceIsGone) {
  Attachment sandbox = NewSandbox("s1");
  sandbox.port_mappings = {{18080, 80, "tcp", ""}};
  ASSERT_OK(network_->Attach(ctx_, sandbox));
  EXPECT_THAT(Leases(), SizeIs(1));
  umount2(sandbox.netns.c_str(), MNT_DETACH);
  ASSERT_OK(network_->Detach(ctx_, sandbox));
  EXPECT_THAT(Leases(), IsEmpty());
  EXPECT_THAT(Output("iptables -t nat -S"), Not(HasSubstr("18080")));
}

// A boot takes the namespace, the bridge and the daemon's memory; the leases
// are on the disk.
TEST_F(RealPluginsTest, GivesTheAddressBackAfterAReboot) {
  const Attachment sandbox = NewSandbox("s1");
  ASSERT_OK(network_->Attach(ctx_, sandbox));
  EXPECT_THAT(Leases(), SizeIs(1));
  network_.reset();
  store_.reset();
  umount2(sandbox.netns.c_str(), MNT_DETACH);
  Output("ip link delete testbr0");
  unlink(
      dir_.Path("net.d/10-berth.conflist").c_str());  // and it is another one
  ASSERT_OK_AND_ASSIGN(store_, MetadataStore::Open(dir_.Path("meta.db")));
  CniOptions options;
  options.config_directory = dir_.Path("net.d");
  options.plugin_folders = {kPlugins};
  CniNetwork network(options, *store_);
  EXPECT_THAT(network.Attached(), IsOkAndHolds(ElementsAre("s1")));
  ASSERT_OK(network.Detach(ctx_, sandbox));
  EXPECT_THAT(Leases(), IsEmpty());
}

TEST_F(RealPluginsTest, ReportsThatTheAddressesAreUsedUp) {
  DefaultNetwork small;
  small.name = "testnet";
  small.bridge = "testbr1";
  small.subnet = "10.198.0.0/30";  // one address beside the gateway
  small.address_directory = dir_.Path("addresses");
  unlink(dir_.Path("net.d/10-berth.conflist").c_str());
  ASSERT_THAT(WriteDefaultConfig(dir_.Path("net.d"), small),
              IsOkAndHolds(true));
  const Attachment first = NewSandbox("s1");
  const Attachment second = NewSandbox("s2");
  ASSERT_OK(network_->Attach(ctx_, first));
  EXPECT_THAT(network_->Attach(ctx_, second).status().message(),
              HasSubstr("no IP addresses available"));
  In(second,
     [&] { EXPECT_THAT(Output("ip -o link"), Not(HasSubstr("eth0"))); });
  ASSERT_OK(network_->Detach(ctx_, first));
  ASSERT_OK(network_->Attach(ctx_, second));
  ASSERT_OK(network_->Detach(ctx_, second));
}

}  // namespace
}  // namespace berth::cni
