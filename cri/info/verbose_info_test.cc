#include "cri/info/verbose_info.h"

#include <gtest/gtest.h>

#include <memory>

#include "base/json.h"
#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"

namespace berth::cri {
namespace {

using state::v1::ContainerRecord;
using state::v1::SandboxRecord;

Json Parse(const std::string& text) {
  StatusOr<Json> json = ParseJson(text, "info");
  EXPECT_OK(json);
  return json.ok() ? *std::move(json) : Json();
}

SandboxRecord Ready() {
  SandboxRecord sandbox;
  sandbox.set_id("1234");
  sandbox.set_phase(state::v1::SANDBOX_PHASE_READY);
  sandbox.mutable_config()->mutable_metadata()->set_name("p");
  sandbox.mutable_namespaces()->set_network("/run/netns/p");
  sandbox.mutable_namespaces()->set_ipc("/run/ipc/p");
  return sandbox;
}

std::shared_ptr<ContainerRecord> Container(state::v1::ContainerPhase phase,
                                           int pid) {
  auto container = std::make_shared<ContainerRecord>();
  container->set_phase(phase);
  container->set_pid(pid);
  return container;
}

TEST(PodInfoTest, NamesAProcessInTheSandbox) {
  SandboxRecord sandbox = Ready();
  EXPECT_EQ(DumpJson(Parse(PodInfo(sandbox, {}))["pid"]), "0");
  const auto exited = Container(state::v1::CONTAINER_PHASE_EXITED, 7);
  const auto running = Container(state::v1::CONTAINER_PHASE_RUNNING, 8);
  EXPECT_EQ(DumpJson(Parse(PodInfo(sandbox, {exited, running}))["pid"]), "8");
  sandbox.set_pod_pid(9);
  EXPECT_EQ(DumpJson(Parse(PodInfo(sandbox, {running}))["pid"]), "9");
}

TEST(PodInfoTest, HasThePathsOfNamespacesAndTheRequest) {
  Json info = Parse(PodInfo(Ready(), {}));
  EXPECT_EQ(DumpJson(info["runtimeSpec"]["linux"]["namespaces"]),
            R"([{"path":"/run/ipc/p","type":"ipc"},)"
            R"({"path":"/run/netns/p","type":"network"}])");
  EXPECT_EQ(DumpJson(info["config"]["metadata"]), R"({"name":"p"})");
}

TEST(PodInfoTest, HasEveryInterface) {
  SandboxRecord sandbox = Ready();
  EXPECT_TRUE(Parse(PodInfo(sandbox, {}))["cniResult"].is_null());
  for (auto* network :
       {sandbox.mutable_network(), sandbox.add_more_networks()}) {
    network->set_attached(true);
    network->add_ips()->set_address("10.0.0.2");
    network->mutable_ips(0)->set_gateway("10.0.0.1");
  }
  sandbox.mutable_network()->set_interface("eth0");
  sandbox.mutable_network()->set_mac("02:00:00:00:00:01");
  sandbox.mutable_more_networks(0)->set_interface("eth1");
  Json found = Parse(PodInfo(sandbox, {}))["cniResult"]["Interfaces"];
  EXPECT_EQ(DumpJson(found["eth0"]),
            R"({"IPConfigs":[{"Gateway":"10.0.0.1","IP":"10.0.0.2"}],)"
            R"("Mac":"02:00:00:00:00:01","Sandbox":"/run/netns/p"})");
  EXPECT_TRUE(found["eth1"].is_object());
}

TEST(NetworkInfoTest, HasTheFoldersAndTheListInForce) {
  const std::string list =
      R"({"cniVersion": "1.0.0", "name": "n", "plugins": [{"type": "bridge"}]})";
  Json info = Parse(NetworkInfo("/etc/cni/net.d", {"/opt/cni/bin"}, list));
  EXPECT_EQ(DumpJson(info["PluginConfDir"]), R"("/etc/cni/net.d")");
  EXPECT_EQ(DumpJson(info["PluginDirs"]), R"(["/opt/cni/bin"])");
  ASSERT_EQ(info["Networks"].elements().size(), 1u);
  Json network = info["Networks"].elements()[0];
  EXPECT_EQ(DumpJson(network["Config"]["Name"]), R"("n")");
  EXPECT_EQ(
      DumpJson(network["Config"]["Plugins"]),
      R"([{"Network":{"type":"bridge"},"Source":"{\"type\":\"bridge\"}"}])");
  EXPECT_EQ(DumpJson(Parse(NetworkInfo("/x", {}, ""))["Networks"]), "[]");
}

TEST(ContainerInfoTest, HasTheSpecificationInForce) {
  TempDir bundle;
  bundle.Write("config.json", R"({"ociVersion": "1.2.0"})");
  ContainerRecord container;
  container.set_pid(5);
  container.mutable_config()->set_name("c");
  EXPECT_TRUE(Parse(ContainerInfo(container))["runtimeSpec"].is_null());
  container.set_bundle(bundle.path());
  Json info = Parse(ContainerInfo(container));
  EXPECT_EQ(DumpJson(info["runtimeSpec"]), R"({"ociVersion":"1.2.0"})");
  EXPECT_EQ(DumpJson(info["pid"]), "5");
  EXPECT_EQ(DumpJson(info["config"]["metadata"]), R"({"name":"c"})");
}

}  // namespace
}  // namespace berth::cri
