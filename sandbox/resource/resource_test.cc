// What resources compute, and namespaces as the kernel has them.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "base/sys/namespace.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"
#include "sandbox/record/files.h"
#include "sandbox/resource/namespaces.h"
#include "sandbox/resource/pod_network.h"
#include "sandbox/resource/state_directory.h"

namespace berth::sandbox {
namespace {

using namespace ::berth::state::v1;
using ::testing::HasSubstr;

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

}  // namespace
}  // namespace berth::sandbox
