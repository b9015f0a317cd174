// What resources compute, and namespaces as the kernel has them.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/sys/namespace.h"
#include "base/sys/process.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "cni/network.h"
#include "sandbox/record/files.h"
#include "sandbox/resource/namespaces.h"
#include "sandbox/resource/pod_network.h"
#include "sandbox/resource/state_directory.h"

namespace berth::sandbox {
namespace {

using namespace ::berth::state::v1;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

TEST(SysctlFileTest, OnlyWhatANamespaceHolds) {
  EXPECT_THAT(SysctlFile("net.ipv4.ip_forward", true, true, true),
              IsOkAndHolds("net/ipv4/ip_forward"));
  EXPECT_THAT(SysctlFile("net/ipv4/conf/eth0.1/x", true, true, true),
              IsOkAndHolds("net/ipv4/conf/eth0.1/x"));
  EXPECT_THAT(SysctlFile("kernel.shm_rmid_forced", false, true, true),
              IsOkAndHolds("kernel/shm_rmid_forced"));
  for (const char* name : {"kernel.core_pattern", "vm.swappiness", "net..x",
                           "net/../kernel/core_pattern", "", "net"}) {
    EXPECT_THAT(SysctlFile(name, true, true, true),
                StatusIs(StatusCode::kInvalidArgument))
        << name;
  }
  EXPECT_FALSE(SysctlFile("net.ipv4.ip_forward", false, true, true).ok());
  EXPECT_FALSE(SysctlFile("kernel.sem", true, false, true).ok());
}

TEST(NamesInterfaceTest, TellsWhatPluginsMake) {
  for (const char* file :
       {"net/ipv4/conf/eth0/rp_filter", "net/ipv6/conf/eth0.100/accept_ra",
        "net/ipv4/neigh/net1/gc_stale_time"}) {
    EXPECT_TRUE(NamesInterface(file)) << file;
  }
  for (const char* file :
       {"net/ipv4/conf/all/rp_filter", "net/ipv4/conf/default/rp_filter",
        "net/ipv4/conf/lo/rp_filter", "net/ipv4/neigh/default/gc_thresh1",
        "net/ipv4/ip_forward", "net/core/somaxconn", "kernel/sem"}) {
    EXPECT_FALSE(NamesInterface(file)) << file;
  }
}

TEST(RateTest, KubernetesQuantities) {
  EXPECT_THAT(ParseRate("10M"), IsOkAndHolds(10000000u));
  EXPECT_THAT(ParseRate("1.5Ki"), IsOkAndHolds(1536u));
  for (const char* text : {"", "1", "M", "10X", "1.2.3M", "2000P", "-5M"}) {
    EXPECT_FALSE(ParseRate(text).ok()) << text;
  }
}

TEST(ResolvConfTest, ExactlyWhatIsAsked) {
  DnsConfig dns;
  EXPECT_EQ(ResolvConf(dns), "");
  dns.add_servers("10.0.0.1");
  dns.add_searches("a.b");
  dns.add_searches("c");
  dns.add_options("ndots:5");
  EXPECT_EQ(ResolvConf(dns),
            "search a.b c\nnameserver 10.0.0.1\noptions ndots:5\n");
}

TEST(NamespacesTest, ArePinnedConfiguredAndReleased) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  TempDir dir;
  HostPaths paths;
  paths.state = dir.path();
  const Inventory inventory;
  Namespaces namespaces(paths, inventory, true, true);
  SandboxRecord sandbox;
  sandbox.set_id("s");
  sandbox.set_hostname("inside");
  (*sandbox.mutable_config()->mutable_sysctls())["kernel.shm_rmid_forced"] =
      "1";
  const Context ctx = Context::Background();
  ASSERT_OK(MakeDirectories(paths.SandboxState("s"), 0700));
  ASSERT_OK(namespaces.Acquire(ctx, sandbox));
  ASSERT_OK(namespaces.Recover(ctx, sandbox));
  std::thread([&] {
    for (const auto& [path, type] :
         {std::pair(sandbox.namespaces().network(), CLONE_NEWNET),
          std::pair(sandbox.namespaces().ipc(), CLONE_NEWIPC),
          std::pair(sandbox.namespaces().uts(), CLONE_NEWUTS)}) {
      ASSERT_OK_AND_ASSIGN(const UniqueFd fd, OpenNamespace(path, type));
      ASSERT_OK(EnterNamespace(fd.get(), type));
    }
    struct utsname name;
    uname(&name);
    EXPECT_STREQ(name.nodename, "inside");
    EXPECT_THAT(ReadSmallFile("/proc/sys/kernel/shm_rmid_forced", 16),
                IsOkAndHolds("1\n"));
    EXPECT_THAT(
        ReadSmallFile("/proc/sys/net/ipv4/ip_unprivileged_port_start", 16),
        IsOkAndHolds("0\n"));
  }).join();
  struct utsname host;
  uname(&host);
  EXPECT_STRNE(host.nodename, "inside");
  ASSERT_OK(namespaces.Release(ctx, sandbox));
  ASSERT_OK(namespaces.Release(ctx, sandbox));
  EXPECT_FALSE(namespaces.Recover(ctx, sandbox).ok());
  EXPECT_TRUE(dir.Names("sandboxes/s").empty());
}

// The sysctl of an interface that is made in the sandbox's network.
std::string Ipv6Of(const SandboxRecord& sandbox, const std::string& name) {
  std::string text = "not read";
  std::thread([&] {
    const auto fd = OpenNamespace(sandbox.namespaces().network(), CLONE_NEWNET);
    if (!fd.ok() || !EnterNamespace(fd->get(), CLONE_NEWNET).ok() ||
        system("ip link show d0 >/dev/null 2>&1 || "
               "ip link add d0 type bridge") != 0) {
      return;
    }
    const auto read = ReadSmallFile("/proc/sys/net/ipv6/conf/" + name, 16);
    if (read.ok()) text = read->substr(0, read->find('\n'));
  }).join();
  return text;
}

TEST(NamespacesTest, AStandaloneOneHasNoIpv6UnlessItIsAskedFor) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  if (access("/proc/sys/net/ipv6", F_OK) != 0) GTEST_SKIP() << "no IPv6";
  TempDir dir;
  HostPaths paths;
  paths.state = dir.path();
  const Inventory inventory;
  Namespaces namespaces(paths, inventory, false, false);
  const Context ctx = Context::Background();
  ASSERT_OK(MakeDirectories(paths.SandboxState("s"), 0700));
  for (const bool standalone : {true, false}) {
    for (const char* asked : {"", "all", "default"}) {
      SandboxRecord sandbox;
      sandbox.set_id("s");
      auto& config = *sandbox.mutable_config();
      if (standalone) config.set_kind(SANDBOX_KIND_STANDALONE);
      const std::string prefix = std::string("net.ipv6.conf.") + asked;
      if (*asked != '\0') {
        (*config.mutable_sysctls())[prefix + ".disable_ipv6"] = "0";
        (*config.mutable_sysctls())[prefix + ".accept_ra"] = "2";
      }
      ASSERT_OK(namespaces.Acquire(ctx, sandbox));
      EXPECT_EQ(Ipv6Of(sandbox, "d0/disable_ipv6"),
                standalone && *asked == '\0' ? "1" : "0")
          << asked;
      EXPECT_EQ(Ipv6Of(sandbox, "lo/disable_ipv6"), "0") << asked;
      if (std::string(asked) != "all") {
        EXPECT_EQ(Ipv6Of(sandbox, "d0/accept_ra"), *asked != '\0' ? "2"
                                                   : standalone   ? "0"
                                                                  : "1");
      }
      ASSERT_OK(namespaces.Release(ctx, sandbox));
    }
  }
}

TEST(NamespacesTest, ARefusedSysctlNamesItselfAndCanBeReleased) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  TempDir dir;
  HostPaths paths;
  paths.state = dir.path();
  const Inventory inventory;
  Namespaces namespaces(paths, inventory, false, false);
  SandboxRecord sandbox;
  sandbox.set_id("s");
  (*sandbox.mutable_config()->mutable_sysctls())["net.ipv4.no_such"] = "1";
  const Context ctx = Context::Background();
  ASSERT_OK(MakeDirectories(paths.SandboxState("s"), 0700));
  const Status failed = namespaces.Acquire(ctx, sandbox);
  EXPECT_THAT(Message(failed), HasSubstr("no_such"));
  EXPECT_OK(namespaces.Release(ctx, sandbox));
  EXPECT_TRUE(dir.Names("sandboxes/s").empty());
}

// Makes an interface as a plugin would, and changes a sysctl that the pod asked
// for.
class Plugin : public cni::Network {
 public:
  Status Ready() const override { return OkStatus(); }
  StatusOr<cni::NetworkResult> Attach(const Context&,
                                      const cni::Attachment& to) override {
    asked.push_back(to);
    if (to.network == refused) return Unavailable("on purpose");
    Status made;
    std::thread([&] {
      made = [&]() -> Status {
        ASSIGN_OR_RETURN(const UniqueFd fd,
                         OpenNamespace(to.netns, CLONE_NEWNET));
        RETURN_IF_ERROR(EnterNamespace(fd.get(), CLONE_NEWNET));
        const std::string add = "ip link add " + to.interface +
                                " type veth peer name peer-" + to.interface;
        if (system(add.c_str()) != 0) {
          return Internal("no link");
        }
        return SetSysctl("/proc/sys/net/ipv4/conf/all/arp_ignore", "1");
      }();
    }).join();
    RETURN_IF_ERROR(made);
    cni::NetworkResult result;
    result.network = to.network;
    result.interface = to.interface;
    result.addresses = {{"10.0.0." + std::to_string(asked.size()), 24, ""}};
    return result;
  }
  Status Check(const Context&, const cni::Attachment&) override {
    return OkStatus();
  }
  Status Detach(const Context&, const cni::Attachment&) override {
    return OkStatus();
  }
  Status DetachInterface(const Context&, const cni::Attachment&) override {
    return OkStatus();
  }
  Status CollectGarbage(const Context&) override { return OkStatus(); }
  StatusOr<std::set<std::string>> Attached() const override {
    return std::set<std::string>();
  }

  std::vector<cni::Attachment> asked;
  std::string refused = "none";
};

class PodNetworkTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    paths_.state = dir_.path();
    sandbox_.set_id("s");
    ASSERT_OK(MakeDirectories(paths_.SandboxState("s"), 0711));
  }

  // As a start does it, and the undoing of one that fails.
  Status Start(const std::map<std::string, std::string>& sysctls) {
    sandbox_.mutable_config()->mutable_sysctls()->insert(sysctls.begin(),
                                                         sysctls.end());
    Namespaces namespaces(paths_, inventory_, false, false);
    PodNetwork network(paths_, plugin_);
    Status started = namespaces.Acquire(ctx_, sandbox_);
    if (started.ok()) started = network.Acquire(ctx_, sandbox_);
    std::thread([&] {
      const auto fd =
          OpenNamespace(sandbox_.namespaces().network(), CLONE_NEWNET);
      if (!fd.ok() || !EnterNamespace(fd->get(), CLONE_NEWNET).ok()) return;
      loopback_up_ = system("ip link show lo | grep -q ',UP'") == 0;
      for (const auto& [name, value] : sysctls) {
        const auto file = SysctlFile(name, true, true, true);
        const auto text = ReadSmallFile("/proc/sys/" + *file, 64);
        if (text.ok()) found_[name] = text->substr(0, text->find('\n'));
      }
    }).join();
    EXPECT_OK(network.Release(ctx_, sandbox_));
    EXPECT_OK(namespaces.Release(ctx_, sandbox_));
    EXPECT_TRUE(dir_.Names("sandboxes/s").empty());
    return started;
  }

  TempDir dir_;
  HostPaths paths_;
  const Context ctx_ = Context::Background();
  const Inventory inventory_;
  Plugin plugin_;
  SandboxRecord sandbox_;
  std::map<std::string, std::string> found_;
  bool loopback_up_ = false;
};

TEST_F(PodNetworkTest, AttachesToEachNetworkInOrder) {
  auto& config = *sandbox_.mutable_config();
  for (const char* name : {"front", "", "back"}) {
    config.add_networks()->set_network(name);
  }
  config.add_port_mappings()->set_host_port(8080);
  (*config.mutable_annotations())["kubernetes.io/ingress-bandwidth"] = "1M";
  ASSERT_OK(Start({{"net.ipv4.conf.eth2.rp_filter", "2"}}));
  ASSERT_EQ(plugin_.asked.size(), 3u);
  const std::vector<std::string> names = {"front", "", "back"};
  for (size_t i = 0; i < names.size(); ++i) {
    EXPECT_EQ(plugin_.asked[i].network, names[i]);
    EXPECT_EQ(plugin_.asked[i].interface, "eth" + std::to_string(i));
    EXPECT_EQ(plugin_.asked[i].port_mappings.size(), i == 0 ? 1u : 0u);
    EXPECT_EQ(plugin_.asked[i].bandwidth.has_value(), i == 0);
  }
  EXPECT_EQ(sandbox_.network().network(), "front");
  EXPECT_EQ(sandbox_.network().ips(0).address(), "10.0.0.1");
  ASSERT_EQ(sandbox_.more_networks_size(), 2);
  EXPECT_EQ(sandbox_.more_networks(1).network(), "back");
  EXPECT_EQ(sandbox_.more_networks(1).interface(), "eth2");
  EXPECT_EQ(sandbox_.more_networks(1).ips(0).address(), "10.0.0.3");
  EXPECT_TRUE(sandbox_.more_networks(1).attached());
}

TEST_F(PodNetworkTest, StopsAtANetworkThatRefuses) {
  for (const char* name : {"front", "refused", "back"}) {
    sandbox_.mutable_config()->add_networks()->set_network(name);
  }
  plugin_.refused = "refused";
  EXPECT_THAT(Start({}), StatusIs(StatusCode::kUnavailable));
  EXPECT_EQ(plugin_.asked.size(), 2u);
  ASSERT_EQ(sandbox_.more_networks_size(), 1);
  EXPECT_TRUE(sandbox_.network().attached());
  EXPECT_TRUE(sandbox_.more_networks(0).attaching());
  EXPECT_FALSE(sandbox_.more_networks(0).attached());
}

TEST_F(PodNetworkTest, BringsLoopbackUp) {
  ASSERT_OK(Start({}));
  EXPECT_TRUE(loopback_up_);
}

TEST_F(PodNetworkTest, BringsLoopbackUpWithoutANetwork) {
  sandbox_.mutable_config()->mutable_namespaces()->set_network(
      state::v1::NAMESPACE_MODE_NONE);
  ASSERT_OK(Start({}));
  EXPECT_TRUE(loopback_up_);
}

TEST_F(PodNetworkTest, SysctlsAreSetWhenTheInterfaceIsThere) {
  const std::map<std::string, std::string> wanted = {
      {"net.ipv4.conf.eth0.rp_filter", "2"},
      {"net/ipv4/neigh/eth0/gc_stale_time", "77"},
      {"net.ipv4.conf.all.arp_ignore", "2"},
      {"net.ipv4.ip_local_port_range", "2000\t3000"}};
  ASSERT_OK(Start(wanted));
  EXPECT_EQ(found_, wanted);
}

TEST_F(PodNetworkTest, SysctlsOfNoInterfaceAreTheRequestsMistake) {
  EXPECT_THAT(Start({{"net.ipv4.conf.eth7.rp_filter", "2"}}),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("eth7")));
}

TEST_F(PodNetworkTest, SysctlsOfNoSuchNameAreTheRequestsMistake) {
  EXPECT_THAT(Start({{"net.ipv4.conf.eth0.no_such", "2"}}),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("no_such")));
}

SandboxRecord InAUserNamespace() {
  SandboxRecord sandbox;
  sandbox.set_id("s");
  auto& options = *sandbox.mutable_config()->mutable_namespaces();
  for (auto* map : {options.add_uid_mappings(), options.add_gid_mappings()}) {
    map->set_host_id(100000);
    map->set_size(65536);
  }
  return sandbox;
}

// The processes below `parent`, in any depth.
std::vector<pid_t> Descendants(pid_t parent) {
  std::vector<pid_t> all;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const pid_t pid = atoi(entry.path().filename().c_str());
    if (pid <= 0) continue;
    pid_t up = pid;
    while (up > 1 && up != parent) {
      const auto stat = ReadProcessStat(up);
      up = stat.ok() ? stat->parent : 0;
    }
    if (up == parent && pid != parent) all.push_back(pid);
  }
  return all;
}

// A death test that is "threadsafe" runs again from its start in the process
// that dies, which removes nothing: both have one folder, that of the first.
class FolderOfBoth {
 public:
  FolderOfBoth() {
    if (const char* given = getenv(kName)) {
      path_ = given;
      return;
    }
    own_.emplace();
    path_ = own_->path();
    setenv(kName, path_.c_str(), 1);
  }
  ~FolderOfBoth() {
    if (own_) unsetenv(kName);
  }
  const std::string& path() const { return path_; }

 private:
  static constexpr char kName[] = "BERTH_TEST_FOLDER";
  std::optional<TempDir> own_;
  std::string path_;
};

// Dies, or waits, between the clone and the pins.
void AcquireWithFailpoint(const std::string& directory, const char* action) {
  setenv("BERTH_FAILPOINTS",
         (std::string("sandbox.start.holder=") + action).c_str(), 1);
  HostPaths paths;
  paths.state = directory;
  const Inventory inventory;
  Namespaces namespaces(paths, inventory, false, false);
  SandboxRecord sandbox = InAUserNamespace();
  (void)namespaces.Acquire(Context::Background(), sandbox);
  (void)namespaces.Release(Context::Background(), sandbox);
  _exit(0);
}

TEST(NamespacesDeathTest, NobodyIsLeftWhenItsMakerIsKilled) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const FolderOfBoth dir;
  ASSERT_OK(MakeDirectories(dir.path() + "/sandboxes/s", 0711));
  ASSERT_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  EXPECT_EXIT(AcquireWithFailpoint(dir.path(), "kill"),
              testing::KilledBySignal(SIGKILL), "");
  // The holder is ours now. It is dead, or will be in a moment.
  int status = 0;
  pid_t orphan = 0;
  for (int i = 0; i < 500 && orphan == 0; ++i) {
    orphan = waitpid(-1, &status, WNOHANG);
    if (orphan == 0) usleep(10'000);
  }
  for (const pid_t pid : Descendants(getpid())) {
    ADD_FAILURE() << "process " << pid << " is left";
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
  }
  prctl(PR_SET_CHILD_SUBREAPER, 0);
}

// How often processes in another user namespace were seen with descriptors,
// and without.
struct Sightings {
  int with = 0;
  int without = 0;
};

void LookAtHolders(Sightings& seen) {
  const fs::path own = fs::read_symlink("/proc/self/ns/user");
  for (const pid_t pid : Descendants(getpid())) {
    const std::string proc = "/proc/" + std::to_string(pid);
    std::error_code error;
    const fs::path user = fs::read_symlink(proc + "/ns/user", error);
    if (error || user == own) continue;
    const fs::directory_iterator fds(proc + "/fd", error);
    if (error) continue;
    (begin(fds) == end(fds) ? seen.without : seen.with) += 1;
  }
}

TEST(NamespacesDeathTest, TheirHolderHasNoDescriptors) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const FolderOfBoth dir;
  ASSERT_OK(MakeDirectories(dir.path() + "/sandboxes/s", 0711));
  std::atomic<bool> done = false;
  Sightings seen;
  std::thread look([&] {
    while (!done) LookAtHolders(seen);
  });
  EXPECT_EXIT(AcquireWithFailpoint(dir.path(), "sleep:1000"),
              testing::ExitedWithCode(0), "");
  done = true;
  look.join();
  // It has them for a moment: right after the clone.
  EXPECT_GT(seen.without, seen.with);
}

}  // namespace
}  // namespace berth::sandbox
