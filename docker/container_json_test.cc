// What inspect and lists show of a container.
#include "docker/container_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "base/testing/json.h"
#include "base/testing/status_matchers.h"

namespace berth::docker {
namespace {

using ::testing::HasSubstr;
using namespace std::chrono_literals;
using namespace ::berth::state::v1;

constexpr UnixNanos kSecond = 1'000'000'000;

// One container of ours, with its sandbox.
class ContainerJsonTest : public ::testing::Test {
 protected:
  ContainerJsonTest() {
    record_.set_id(std::string(64, 'a'));
    record_.set_sandbox_id(record_.id());
    record_.set_phase(CONTAINER_PHASE_RUNNING);
    record_.set_pid(77);
    record_.set_created_at(100 * kSecond);
    record_.set_started_at(200 * kSecond);
    record_.mutable_config()->set_name("c1");
    record_.mutable_config()->set_image_id("sha256:1");
    record_.mutable_config()->set_user_specified_image("busybox");
    record_.mutable_config()->add_command("sh");
    record_.mutable_config()->add_command("-c");
    (*record_.mutable_config()->mutable_labels())["a"] = "b";
    sandbox_.set_id(record_.id());
    sandbox_.mutable_config()->set_kind(SANDBOX_KIND_STANDALONE);
    sandbox_.mutable_network()->set_attached(true);
    sandbox_.mutable_network()->set_mac("02:00:00:00:00:01");
    AddAddress("10.1.2.3", 24, "10.1.2.1");
    around_.now = 260 * kSecond;
    around_.volume_directory = "/volumes";
  }
  void AddAddress(const char* address, int prefix, const char* gateway) {
    auto* ip = sandbox_.mutable_network()->add_ips();
    ip->set_address(address);
    ip->set_prefix_length(prefix);
    ip->set_gateway(gateway);
  }
  void Publish(uint32_t inside, uint32_t outside, Protocol protocol,
               const char* address) {
    auto* port = sandbox_.mutable_config()->add_port_mappings();
    port->set_container_port(inside);
    port->set_host_port(outside);
    port->set_protocol(protocol);
    port->set_host_ip(address);
  }
  View ViewNow() const {
    View view;
    view.container = std::make_shared<ContainerRecord>(record_);
    view.sandbox = std::make_shared<SandboxRecord>(sandbox_);
    view.notes = std::make_shared<const Notes>(notes_);
    return view;
  }
  Json Inspect() const { return InspectJson(ViewNow(), around_); }
  Json Summary() const { return SummaryJson(ViewNow(), around_); }
  std::string StatusNow() const { return Summary().Text("Status"); }

  ContainerRecord record_;
  SandboxRecord sandbox_;
  Notes notes_;
  Surroundings around_;
};

TEST_F(ContainerJsonTest, ShowsWhatRuns) {
  const Json json = Inspect();
  EXPECT_EQ(At(json, "/Name"), "/c1");
  EXPECT_EQ(At(json, "/Path"), "sh");
  EXPECT_EQ(At(json, "/Args"), Json::array({"-c"}));
  EXPECT_EQ(At(json, "/State/Status"), "running");
  EXPECT_EQ(At(json, "/State/Running"), true);
  EXPECT_EQ(At(json, "/State/Pid"), 77);
  EXPECT_EQ(At(json, "/State/StartedAt"), "1970-01-01T00:03:20Z");
  EXPECT_EQ(At(json, "/State/FinishedAt"), "0001-01-01T00:00:00Z");
  EXPECT_EQ(At(json, "/Created"), "1970-01-01T00:01:40Z");
  EXPECT_EQ(At(json, "/Config/Image"), "busybox");
  EXPECT_EQ(At(json, "/Config/Labels/a"), "b");
  EXPECT_EQ(At(json, "/Config/Hostname"), std::string(12, 'a'));
  EXPECT_EQ(At(json, "/Config/Cmd"), Json::array({"sh", "-c"}));
  EXPECT_EQ(At(json, "/HostConfig/RestartPolicy/Name"), "no");
  EXPECT_EQ(At(json, "/HostConfig/LogConfig/Type"), "json-file");
  EXPECT_EQ(At(json, "/HostConfig/ShmSize"), 64 << 20);
  EXPECT_EQ(At(json, "/HostConfig/NetworkMode"), "bridge");
}

// What the runtime found goes before what was asked for.
TEST_F(ContainerJsonTest, ShowsTheArgumentsInForce) {
  record_.add_argv("/bin/sh");
  EXPECT_EQ(At(Inspect(), "/Path"), "/bin/sh");
  EXPECT_EQ(At(Inspect(), "/Args"), Json::array());
  EXPECT_EQ(Summary().Text("Command"), "/bin/sh");
  EXPECT_EQ(At(Summary(), "/Health"),
            Parsed(R"({"Status": "none", "FailingStreak": 0})"));
}

TEST_F(ContainerJsonTest, SaysItsStateInDockersWords) {
  EXPECT_EQ(StatusNow(), "Up About a minute");
  record_.set_paused(true);
  EXPECT_EQ(StatusNow(), "Up About a minute (Paused)");
  EXPECT_EQ(At(Inspect(), "/State/Paused"), true);
  record_.set_paused(false);
  record_.set_phase(CONTAINER_PHASE_EXITED);
  record_.set_exit_code(3);
  record_.set_finished_at(250 * kSecond);
  EXPECT_EQ(StatusNow(), "Exited (3) 10 seconds ago");
  EXPECT_EQ(At(Inspect(), "/State/ExitCode"), 3);
  EXPECT_EQ(At(Inspect(), "/State/Pid"), 0);
  around_.restarting = true;
  EXPECT_EQ(StatusNow(), "Restarting (3) 10 seconds ago");
  EXPECT_EQ(At(Inspect(), "/State/Running"), true);
  EXPECT_EQ(At(Inspect(), "/State/Status"), "restarting");
  around_.restarting = false;
  record_.set_phase(CONTAINER_PHASE_REMOVING);
  EXPECT_EQ(StatusNow(), "Removal In Progress");
  record_.set_phase(CONTAINER_PHASE_CREATED);
  EXPECT_EQ(StatusNow(), "Created");
}

TEST_F(ContainerJsonTest, ShowsTheLastRunUntilTheNextHasEnded) {
  record_.set_phase(CONTAINER_PHASE_STARTING);
  record_.set_last_exit_code(3);
  record_.set_last_finished_at(250 * kSecond);
  EXPECT_EQ(StatusNow(), "Exited (3) 10 seconds ago");
  EXPECT_EQ(At(Inspect(), "/State/Status"), "exited");
  EXPECT_EQ(At(Inspect(), "/State/Running"), false);
  EXPECT_EQ(At(Inspect(), "/State/ExitCode"), 3);
  EXPECT_EQ(At(Inspect(), "/State/FinishedAt"), "1970-01-01T00:04:10Z");
  record_.set_phase(CONTAINER_PHASE_RUNNING);
  EXPECT_EQ(At(Inspect(), "/State/ExitCode"), 0);
  EXPECT_EQ(At(Inspect(), "/State/FinishedAt"), "1970-01-01T00:04:10Z");
  record_.set_phase(CONTAINER_PHASE_STARTING);
  record_.set_started_at(0);
  EXPECT_EQ(At(Inspect(), "/State/Status"), "created");
}

TEST_F(ContainerJsonTest, AFailedStartIsCreatedWithAnError) {
  record_.set_phase(CONTAINER_PHASE_EXITED);
  record_.set_reason("StartError");
  record_.set_message("exec \"x\": No such file or directory");
  const Json json = Inspect();
  EXPECT_EQ(At(json, "/State/Status"), "created");
  EXPECT_EQ(At(json, "/State/ExitCode"), 127);
  EXPECT_EQ(At(json, "/State/Error"), "exec \"x\": no such file or directory");
  EXPECT_EQ(At(json, "/State/StartedAt"), "0001-01-01T00:00:00Z");
  EXPECT_EQ(StatusNow(), "Created");
}

TEST_F(ContainerJsonTest, ShowsAddressesOfTheDefaultNetwork) {
  AddAddress("fd00::2", 64, "fd00::1");
  AddAddress("10.9.9.9", 8, "10.0.0.1");  // a second one is not shown
  const Json json = Inspect();
  const std::string bridge = "/NetworkSettings/Networks/bridge";
  EXPECT_EQ(At(json, bridge + "/IPAddress"), "10.1.2.3");
  EXPECT_EQ(At(json, bridge + "/IPPrefixLen"), 24);
  EXPECT_EQ(At(json, bridge + "/Gateway"), "10.1.2.1");
  EXPECT_EQ(At(json, bridge + "/GlobalIPv6Address"), "fd00::2");
  EXPECT_EQ(At(json, bridge + "/IPv6Gateway"), "fd00::1");
  EXPECT_EQ(At(json, bridge + "/NetworkID"), NetworkId("bridge"));
  EXPECT_EQ(At(json, "/NetworkSettings/IPAddress"), "10.1.2.3");
  EXPECT_EQ(At(json, "/NetworkSettings/MacAddress"), "02:00:00:00:00:01");
  record_.set_phase(CONTAINER_PHASE_EXITED);
  EXPECT_EQ(At(Inspect(), bridge + "/IPAddress"), "");
}

TEST_F(ContainerJsonTest, AnotherContainersNetworkIsNotItsOwn) {
  notes_.host_config["NetworkMode"] = "container:x";
  const Json json = Inspect();
  EXPECT_EQ(At(json, "/HostConfig/NetworkMode"), "container:x");
  EXPECT_EQ(At(json, "/NetworkSettings/Networks"), Json::object());
  EXPECT_EQ(At(json, "/NetworkSettings/IPAddress"), "");
}

TEST_F(ContainerJsonTest, ShowsPublishedAndExposedPorts) {
  notes_.config["ExposedPorts"] = Parsed(R"({"80/tcp":{},"53/udp":{},"9":{}})");
  Publish(80, 8080, PROTOCOL_TCP, "");
  Publish(80, 8081, PROTOCOL_TCP, "127.0.0.1");
  Publish(7, 0, PROTOCOL_SCTP, "");  // no port of the host yet
  EXPECT_EQ(At(Inspect(), "/NetworkSettings/Ports"),
            Parsed(R"({"53/udp": null, "9/tcp": null, "80/tcp": [
                       {"HostIp": "0.0.0.0", "HostPort": "8080"},
                       {"HostIp": "127.0.0.1", "HostPort": "8081"}]})"));
  EXPECT_EQ(At(Summary(), "/Ports"),
            Parsed(R"([{"IP": "0.0.0.0", "PrivatePort": 80,
                        "PublicPort": 8080, "Type": "tcp"},
                       {"IP": "127.0.0.1", "PrivatePort": 80,
                        "PublicPort": 8081, "Type": "tcp"},
                       {"PrivatePort": 53, "Type": "udp"},
                       {"PrivatePort": 9, "Type": "tcp"}])"));
  for (const auto mode :
       {NAMESPACE_MODE_NODE, NAMESPACE_MODE_NONE, NAMESPACE_MODE_TARGET}) {
    sandbox_.mutable_config()->mutable_namespaces()->set_network(mode);
    EXPECT_EQ(At(Inspect(), "/NetworkSettings/Ports"), Json::object());
    EXPECT_EQ(At(Summary(), "/Ports"), Json::array());
  }
  sandbox_.mutable_config()->mutable_namespaces()->set_network(
      NAMESPACE_MODE_POD);
  record_.set_phase(CONTAINER_PHASE_EXITED);
  EXPECT_EQ(At(Inspect(), "/NetworkSettings/Ports"), Json::object());
}

TEST_F(ContainerJsonTest, ShowsWhatIsInForceInItsHostConfig) {
  auto& config = *record_.mutable_config();
  config.mutable_security()->set_default_paths(true);
  config.mutable_security()->mutable_namespaces()->set_cgroup(
      NAMESPACE_MODE_CONTAINER);
  config.mutable_resources()->set_memory_swap_limit(2 << 20);
  notes_.host_config = Parsed(
      R"({"Memory": 1048576, "MemorySwappiness": -1, "PidsLimit": 0,
          "CapAdd": ["SYS_TIME"]})");
  const Json host = *Inspect().Find("HostConfig");
  EXPECT_EQ(host.members().size(), 63u);
  EXPECT_EQ(At(host, "/Memory"), 1048576);
  EXPECT_EQ(At(host, "/MemorySwap"), 2 << 20);
  EXPECT_TRUE(At(host, "/MemorySwappiness").is_null());
  EXPECT_TRUE(At(host, "/PidsLimit").is_null());
  EXPECT_TRUE(At(host, "/Binds").is_null());
  EXPECT_EQ(DumpJson(At(host, "/CapAdd")), R"(["SYS_TIME"])");
  EXPECT_EQ(At(host, "/IpcMode"), "private");
  EXPECT_EQ(At(host, "/CgroupnsMode"), "private");
  EXPECT_THAT(DumpJson(At(host, "/MaskedPaths")), HasSubstr("/proc/kcore"));
  EXPECT_THAT(DumpJson(At(host, "/ReadonlyPaths")), HasSubstr("/proc/sys"));

  config.mutable_security()->set_default_paths(false);
  config.mutable_security()->mutable_namespaces()->set_ipc(NAMESPACE_MODE_NODE);
  const Json bare = *Inspect().Find("HostConfig");
  EXPECT_TRUE(At(bare, "/MaskedPaths").is_null());
  EXPECT_EQ(At(bare, "/IpcMode"), "host");
}

TEST_F(ContainerJsonTest, ShowsMounts) {
  auto* bind = record_.mutable_config()->add_mounts();
  bind->set_host_path("/h");
  bind->set_container_path("/c");
  bind->set_readonly(true);
  auto* volume = record_.mutable_config()->add_mounts();
  volume->set_volume("v1");
  volume->set_host_path("/elsewhere");
  volume->set_container_path("/v");
  auto* tmpfs = record_.mutable_config()->add_mounts();
  tmpfs->set_type(MOUNT_TYPE_TMPFS);
  tmpfs->set_container_path("/t");
  EXPECT_EQ(At(Inspect(), "/Mounts"),
            Parsed(R"([{"Type": "bind", "Source": "/h", "Destination": "/c",
                        "Mode": "ro", "RW": false, "Propagation": "rprivate"},
                       {"Type": "volume", "Name": "v1", "Driver": "local",
                        "Source": "/volumes/v1/_data", "Destination": "/v",
                        "Mode": "", "RW": true, "Propagation": ""},
                       {"Type": "tmpfs", "Source": "", "Destination": "/t",
                        "Mode": "", "RW": true, "Propagation": ""}])"));
  EXPECT_EQ(At(Summary(), "/Mounts"), At(Inspect(), "/Mounts"));
}

TEST_F(ContainerJsonTest, APodsContainerHasKubernetesName) {
  sandbox_.mutable_config()->set_kind(SANDBOX_KIND_POD);
  auto* pod = sandbox_.mutable_config()->mutable_metadata();
  pod->set_name("p");
  pod->set_namespace_("ns");
  pod->set_uid("u");
  record_.mutable_config()->set_attempt(2);
  EXPECT_EQ(At(Inspect(), "/Name"), "/k8s_c1_p_ns_u_2");
  EXPECT_EQ(At(Summary(), "/Names"), Json::array({"/k8s_c1_p_ns_u_2"}));
  for (const auto& [mode, name] : {std::pair(NAMESPACE_MODE_NODE, "host"),
                                   std::pair(NAMESPACE_MODE_NONE, "none"),
                                   std::pair(NAMESPACE_MODE_POD, "bridge")}) {
    sandbox_.mutable_config()->mutable_namespaces()->set_network(mode);
    EXPECT_EQ(NetworkModeOf(ViewNow()), name);
  }
}

TEST_F(ContainerJsonTest, NamesTheImageAsAskedFor) {
  EXPECT_EQ(ImageName(ViewNow()), "busybox");
  record_.mutable_config()->clear_user_specified_image();
  record_.mutable_config()->set_image("docker.io/library/busybox");
  EXPECT_EQ(ImageName(ViewNow()), "docker.io/library/busybox");
  record_.mutable_config()->clear_image();
  EXPECT_EQ(ImageName(ViewNow()), "sha256:1");
}

TEST_F(ContainerJsonTest, CountsRestartsSinceThePersonsStart) {
  record_.set_restart_count(5);
  EXPECT_EQ(ViewNow().restarts(), 0);  // without a policy there are none
  notes_.host_config["RestartPolicy"] = {{"Name", "always"}};
  EXPECT_EQ(ViewNow().restarts(), 5);
  notes_.restarts_before = 3;
  EXPECT_EQ(ViewNow().restarts(), 2);
  EXPECT_EQ(At(Inspect(), "/RestartCount"), 2);
  notes_.restarts_before = 9;
  EXPECT_EQ(ViewNow().restarts(), 0);
}

// While its sandbox goes, a container is shown without it.
TEST_F(ContainerJsonTest, ShowsWhatIsLeftWithoutASandbox) {
  View view = ViewNow();
  view.sandbox = nullptr;
  const Json json = InspectJson(view, around_);
  EXPECT_EQ(At(json, "/ResolvConfPath"), "");
  EXPECT_EQ(At(json, "/NetworkSettings/Ports"), Json::object());
  EXPECT_EQ(At(json, "/NetworkSettings/SandboxKey"), "");
}

TEST(TimeTextTest, HasNoZerosAtItsEnd) {
  EXPECT_EQ(TimeText(0), "0001-01-01T00:00:00Z");
  EXPECT_EQ(TimeText(-1), "0001-01-01T00:00:00Z");
  EXPECT_EQ(TimeText(kSecond), "1970-01-01T00:00:01Z");
  EXPECT_EQ(TimeText(kSecond + 120'000'000), "1970-01-01T00:00:01.12Z");
  EXPECT_EQ(TimeText(kSecond + 1), "1970-01-01T00:00:01.000000001Z");
}

TEST(HumanDurationTest, SpeaksAsDockerDoes) {
  const std::pair<Duration, const char*> cases[] = {
      {0s, "Less than a second"},
      {999ms, "Less than a second"},
      {1s, "1 second"},
      {59s, "59 seconds"},
      {60s, "About a minute"},
      {119s, "About a minute"},
      {120s, "2 minutes"},
      {59min, "59 minutes"},
      {60min, "About an hour"},
      {89min, "About an hour"},
      {90min, "2 hours"},
      {47h, "47 hours"},
      {48h, "2 days"},
      {24h * 13, "13 days"},
      {24h * 14, "2 weeks"},
      {24h * 60, "2 months"},
      {24h * 365 * 2, "2 years"},
  };
  for (const auto& [duration, text] : cases) {
    EXPECT_EQ(HumanDuration(duration), text) << text;
  }
}

}  // namespace
}  // namespace berth::docker
