#include "sandbox/nri/show.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing/status_matchers.h"

namespace berth::sandbox {
namespace {

using namespace ::berth::state::v1;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

TEST(ShowTest, APodIsShownWithItsNamespacesAndAddresses) {
  SandboxRecord sandbox;
  sandbox.set_id("p1");
  sandbox.mutable_config()->mutable_metadata()->set_name("web");
  sandbox.mutable_config()->mutable_metadata()->set_namespace_("shop");
  sandbox.mutable_config()->mutable_resources()->set_memory_limit(7);
  sandbox.mutable_namespaces()->set_network("/run/net");
  sandbox.mutable_network()->add_ips()->set_address("10.0.0.2");
  sandbox.mutable_cgroup()->set_pod_path("/pods/p1");
  const auto shown = ShowPod(sandbox);
  EXPECT_EQ(shown.name(), "web");
  EXPECT_EQ(shown.namespace_(), "shop");
  EXPECT_THAT(shown.ips(), ElementsAre("10.0.0.2"));
  ASSERT_THAT(shown.linux().namespaces(), SizeIs(1));
  EXPECT_EQ(shown.linux().namespaces(0).path(), "/run/net");
  EXPECT_EQ(shown.linux().pod_resources().memory().limit().value(), 7);
  EXPECT_EQ(shown.linux().cgroups_path(), "/pods/p1");
}

TEST(ShowTest, AContainerIsShownAsItWouldRun) {
  ContainerRecord container;
  container.set_id("c1");
  container.set_phase(CONTAINER_PHASE_RUNNING);
  container.set_pid(42);
  container.mutable_config()->add_cdi_devices("v/c=d");
  (*container.mutable_config()->mutable_annotations())["a"] = "b";
  oci::Spec spec;
  spec.process.emplace();
  spec.process->args = {"sh", "-c", "true"};
  spec.process->env = {"A=1"};
  spec.process->oom_score_adj = 5;
  spec.process->rlimits = {{"RLIMIT_CORE", 1, 2}};
  spec.mounts.push_back({"/data", "bind", "/src", {"ro"}, {}, {}});
  spec.linux.devices.push_back({"/dev/x", 'b', 7, 8, 0600, {}, {}});
  spec.linux.resources.emplace();
  spec.linux.resources->memory.limit = 9;
  spec.hooks.poststop.push_back({"/hook", {"a"}, {}, 3});
  const auto shown = ShowContainer(container, spec);
  EXPECT_EQ(shown.state(), nri::api::CONTAINER_RUNNING);
  EXPECT_EQ(shown.pid(), 42u);
  EXPECT_THAT(shown.args(), ElementsAre("sh", "-c", "true"));
  EXPECT_THAT(shown.env(), ElementsAre("A=1"));
  EXPECT_EQ(shown.annotations().at("a"), "b");
  EXPECT_EQ(shown.mounts(0).source(), "/src");
  EXPECT_EQ(shown.linux().devices(0).type(), "b");
  EXPECT_EQ(shown.linux().devices(0).file_mode().value(), 0600u);
  EXPECT_EQ(shown.linux().resources().memory().limit().value(), 9);
  EXPECT_EQ(shown.linux().oom_score_adj().value(), 5);
  EXPECT_EQ(shown.rlimits(0).hard(), 2u);
  EXPECT_EQ(shown.hooks().poststop(0).timeout().value(), 3);
  EXPECT_EQ(shown.cdi_devices(0).name(), "v/c=d");
}

TEST(ShowTest, LimitsComeBackAsTheyWereShown) {
  oci::Resources resources;
  resources.memory.limit = 1 << 20;
  resources.memory.reservation = 5;
  resources.memory.swap = -1;
  resources.memory.swappiness = 0;
  resources.cpu.shares = 100;
  resources.cpu.quota = -1;
  resources.cpu.period = 1000;
  resources.cpu.cpus = "0-1";
  resources.cpu.mems = "0";
  resources.pids_limit = 17;
  resources.hugepages = {{"2MB", 4}};
  resources.unified = {{"memory.high", "max"}};
  ASSERT_OK_AND_ASSIGN(const Resources limits,
                       LimitsOf(ShowResources(resources)));
  EXPECT_EQ(limits.memory_limit(), 1 << 20);
  EXPECT_EQ(limits.memory_reservation(), 5);
  EXPECT_EQ(limits.memory_swap_limit(), -1);
  EXPECT_TRUE(limits.has_memory_swappiness());
  EXPECT_EQ(limits.cpu_shares(), 100);
  EXPECT_EQ(limits.cpu_quota(), -1);
  EXPECT_EQ(limits.cpu_period(), 1000);
  EXPECT_EQ(limits.cpuset_cpus(), "0-1");
  EXPECT_EQ(limits.cpuset_mems(), "0");
  EXPECT_EQ(limits.pids_limit(), 17);
  EXPECT_EQ(limits.hugepage_limits(0).page_size(), "2MB");
  EXPECT_EQ(limits.unified().at("memory.high"), "max");
}

TEST(ShowTest, ClassesAreRefusedByName) {
  nri::api::LinuxResources resources;
  resources.mutable_rdt_class()->set_value("gold");
  EXPECT_THAT(LimitsOf(resources),
              StatusIs(StatusCode::kUnimplemented, HasSubstr("rdt_class")));
}

}  // namespace
}  // namespace berth::sandbox
