// What a create request becomes, and an image adds to it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "base/testing/fuzz.h"
#include "docker/convert/create_fixture.h"

namespace berth::docker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

TEST_F(CreateTest, TakesTheImagesDefaults) {
  body_["Cmd"] = nullptr;
  ASSERT_OK_AND_ASSIGN(const CreateRequest request, Convert());
  EXPECT_THAT(request.container.command(), ElementsAre("/entry", "run"));
  EXPECT_EQ(request.container.working_dir(), "/w");
  EXPECT_EQ(request.container.security().user(), "7");
  EXPECT_EQ(request.container.stop_signal(), 3);
  EXPECT_EQ(request.container.labels().at("from"), "image");
  EXPECT_THAT(request.container.env(), SizeIs(2));
  EXPECT_THAT(request.volumes, SizeIs(1));
  EXPECT_EQ(request.sandbox.kind(), state::v1::SANDBOX_KIND_STANDALONE);
  EXPECT_EQ(request.container.security().seccomp().type(),
            state::v1::SecurityProfile::RUNTIME_DEFAULT);
  EXPECT_TRUE(request.container.security().default_paths());
  EXPECT_EQ(request.container.security().namespaces().pid(),
            state::v1::NAMESPACE_MODE_CONTAINER);
}

TEST_F(CreateTest, CombinesEntrypointAndCommandAsDockerDoes) {
  EXPECT_THAT(Convert()->container.command(),
              ElementsAre("/entry", "echo", "hi"));
  body_["Entrypoint"] = {"/mine"};
  EXPECT_THAT(Convert()->container.command(),
              ElementsAre("/mine", "echo", "hi"));
  body_["Cmd"] = nullptr;  // the image's does not fit the new entrypoint
  EXPECT_THAT(Convert()->container.command(), ElementsAre("/mine"));
  body_["Entrypoint"] = {""};
  EXPECT_THAT(Convert(), StatusIs(StatusCode::kInvalidArgument,
                                  HasSubstr("no command specified")));
  body_["Cmd"] = {"sh"};
  EXPECT_THAT(Convert()->container.command(), ElementsAre("sh"));
  body_["Entrypoint"] = Json::array();  // the image's is dropped, not its Cmd
  EXPECT_THAT(Convert()->container.command(), ElementsAre("sh"));
  body_["Cmd"] = nullptr;
  EXPECT_THAT(Convert()->container.command(), ElementsAre("run"));
  body_["Cmd"] = "one word";
  EXPECT_THAT(Convert()->container.command(), ElementsAre("one word"));
  body_["Entrypoint"] = "/e";
  EXPECT_THAT(Convert()->container.command(), ElementsAre("/e", "one word"));
}

TEST_F(CreateTest, AnEmptyStopSignalIsTheImages) {
  body_["StopSignal"] = "";
  EXPECT_EQ(Convert()->container.stop_signal(), 3);
}

// What many clients send for "not set", at every place.
TEST_F(CreateTest, NullLeavesAMemberUnset) {
  const Json plain = body_;
  for (const auto& [name, value] : plain.members()) {
    if (name == "HostConfig" || name == "Cmd") continue;
    body_ = plain;
    body_[name] = nullptr;
    ASSERT_OK_AND_ASSIGN(const CreateRequest request, Convert());
    EXPECT_NE(At(request.config, "/" + name), Json::object()) << name;
  }
  body_ = plain;
  const Json host_config = At(plain, "/HostConfig");
  for (const auto& [name, value] : host_config.members()) {
    host()[name] = nullptr;
  }
  ASSERT_OK_AND_ASSIGN(const CreateRequest request, Convert());
  EXPECT_EQ(request.host_config, Json::object());
  body_["HostConfig"] = nullptr;
  EXPECT_OK(Convert());
}

// A member of the wrong type is the client's error, and never kept.
TEST_F(CreateTest, AWrongTypeIsRefused) {
  const Json plain = body_;
  const Json wrong = {{"EndpointsConfig", Json::array({1})}};
  for (const auto& [name, value] : plain.members()) {
    if (name == "HostConfig") continue;
    body_ = plain;
    for (const Json& other : {wrong, Json(7.5), Json::array({wrong})}) {
      body_[name] = other;
      EXPECT_FALSE(Convert().ok()) << name << " " << DumpJson(other);
    }
  }
  body_ = plain;
  const Json host_config = At(plain, "/HostConfig");
  // A member that nobody knows is no mistake, as with Go's decoder.
  for (const auto& [name, value] : host_config.members()) {
    for (const Json& other : {Json(7.5), Json::array({7.5})}) {
      EXPECT_FALSE(With(name, other).ok()) << name << " " << DumpJson(other);
    }
  }
  for (const Json& other : {Json("x"), Json(1), Json::array(), Json(true)}) {
    body_["HostConfig"] = other;
    EXPECT_THAT(Convert(), StatusIs(StatusCode::kInvalidArgument));
  }
}

// The names of maps are the client's own: those stay.
TEST_F(CreateTest, TakesNamesInAnyCase) {
  body_ = Parsed(R"({"image": "i", "CMD": ["x"], "labels": {"Cmd": "l"},
      "healthcheck": {"test": ["NONE"]},
      "hostconfig": {"memory": 67108864, "TMPFS": {"/T": "size=1m"},
        "ulimits": [{"name": "nofile", "soft": 1, "hard": 2}],
        "devices": [{"pathonhost": "/dev/null"}],
        "restartpolicy": {"name": "always"},
        "mounts": [{"type": "volume", "target": "/v", "source": "vol",
          "volumeoptions": {"nocopy": true,
            "driverconfig": {"options": {"Type": "none"}}}}]}})");
  ASSERT_OK_AND_ASSIGN(const CreateRequest request, Convert());
  EXPECT_EQ(At(request.config, "/Image"), "i");
  EXPECT_EQ(At(request.config, "/Labels/Cmd"), "l");
  EXPECT_THAT(request.container.command(), ElementsAre("/entry", "x"));
  EXPECT_EQ(request.container.resources().memory_limit(), 64 << 20);
  EXPECT_EQ(request.container.rlimits(0).soft(), 1u);
  EXPECT_EQ(request.container.devices(0).host_path(), "/dev/null");
  EXPECT_EQ(At(request.host_config, "/RestartPolicy/Name"), "always");
  EXPECT_EQ(request.container.mounts(1).container_path(), "/T");
  EXPECT_FALSE(request.volumes[0].copy_image_content);
  EXPECT_EQ(request.volumes[0].driver_options.at("Type"), "none");
}

TEST_F(CreateTest, MergesTheEnvironmentByName) {
  body_["Env"] = {"A=mine", "B=x=y", "PATH"};
  ASSERT_OK_AND_ASSIGN(const CreateRequest request, Convert());
  EXPECT_EQ(At(request.config, "/Env"), Json({"A=mine", "B=x=y", "PATH"}));
  ASSERT_THAT(request.container.env(), SizeIs(3));
  EXPECT_EQ(request.container.env(1).value(), "x=y");
  EXPECT_TRUE(request.container.env(2).unset());  // the image's too
}

// In linear time: the test's own deadline ends one that is not.
TEST_F(CreateTest, MergesAHundredThousandVariables) {
  Json::Array env;
  for (int i = 0; i < 100'000; ++i) {
    const std::string name = "NAME_" + std::to_string(i);
    env.push_back(name + "=mine");
    image_.add_env(name + "=image");
  }
  image_.add_env("LAST=image");
  body_["Env"] = Json(std::move(env));
  ASSERT_OK_AND_ASSIGN(const CreateRequest request, Convert());
  ASSERT_THAT(request.container.env(), SizeIs(100'002 + 1));
  EXPECT_EQ(request.container.env(99'999).value(), "mine");
}

TEST_F(CreateTest, NamesEveryFieldThatItDoesNotHonour) {
  const Json cases = Parsed(R"({
         "VolumeDriver": "nfs", "UsernsMode": "other",
         "StorageOpt": {"size": "1g"},
         "CpuCount": 1, "IOMaximumIOps": 5, "Cgroup": "x", "NewField": 1,
         "IpcMode": "odd", "PidMode": "odd", "UTSMode": "odd",
         "SecurityOpt": ["what=ever"],
         "LogConfig": {"Type": "fluentd"}})");
  for (const auto& [name, value] : cases.members()) {
    EXPECT_THAT(With(name, value),
                StatusIs(StatusCode::kUnimplemented, HasSubstr(name)))
        << name;
  }
}

TEST_F(CreateTest, SendsLogsElsewhere) {
  SetHost(Parsed(R"({"LogConfig": {"Type": "syslog", "Config": {
      "syslog-address": "udp://192.0.2.1", "syslog-facility": "local0",
      "tag": "{{.Name}}", "cache-disabled": "true"}}})"));
  ASSERT_OK_AND_ASSIGN(const CreateRequest request, Convert());
  EXPECT_EQ(request.forward.driver, "syslog");
  EXPECT_EQ(request.forward.address, "udp:192.0.2.1:514");
  EXPECT_EQ(request.forward.facility, 16u);
  EXPECT_FALSE(request.forward.keep_file);
  EXPECT_EQ(request.log_tag, "{{.Name}}");
  EXPECT_EQ(request.container.log().max_files(), 5u);
  SetHost(Parsed(R"({"LogConfig": {"Type": "journald", "Config": {
      "syslog-address": "udp://192.0.2.1"}}})"));
  EXPECT_THAT(Convert(), StatusIs(StatusCode::kInvalidArgument,
                                  HasSubstr("unknown log opt")));
}

TEST_F(CreateTest, TwiceTheMostMemoryIsNoLimitOfSwap) {
  host()["Memory"] = INT64_MAX;
  EXPECT_EQ(Convert()->container.resources().memory_swap_limit(), -1);
}

TEST_F(CreateTest, PublishesAllThatIsExposed) {
  image_.add_exposed_ports("80/tcp");
  body_["ExposedPorts"] = {{"53/udp", Json::object()}};
  host()["PortBindings"] = Parsed(R"({"80/tcp": [{"HostPort": "8080"}]})");
  EXPECT_THAT(Convert()->sandbox.port_mappings(), SizeIs(1));
  host()["PublishAllPorts"] = true;
  const auto ports = Convert()->sandbox.port_mappings();
  ASSERT_THAT(ports, SizeIs(2));
  EXPECT_EQ(ports[0].host_port(), 8080u);
  EXPECT_EQ(ports[1].container_port(), 53u);
  EXPECT_EQ(ports[1].protocol(), state::v1::PROTOCOL_UDP);
  EXPECT_EQ(ports[1].host_port(), 0u);  // the route finds a free one
  host()["PortBindings"] = Parsed(R"({"80/tcp/x": []})");
  EXPECT_THAT(Convert(), StatusIs(StatusCode::kInvalidArgument));
}

TEST_F(CreateTest, NoNetworkMayBeAskedFor) {
  body_["NetworkDisabled"] = true;
  EXPECT_EQ(Convert()->sandbox.namespaces().network(),
            state::v1::NAMESPACE_MODE_NONE);
  body_["NetworkDisabled"] = false;
  EXPECT_NE(Convert()->sandbox.namespaces().network(),
            state::v1::NAMESPACE_MODE_NONE);
}

TEST_F(CreateTest, RelativeWorkingDirectoriesAreRefused) {
  body_["WorkingDir"] = "here";
  EXPECT_THAT(Convert(), StatusIs(StatusCode::kInvalidArgument,
                                  HasSubstr("the working directory 'here'")));
}

TEST_F(CreateTest, RefusesBadValues) {
  const Json cases = Parsed(R"({
         "Memory": 100, "MemorySwap": 7000000, "MemorySwappiness": 101,
         "NanoCpus": -1, "OomScoreAdj": 2000, "CpuShares": -5,
         "Binds": ["a"], "Tmpfs": {"rel": ""}, "ShmSize": -1,
         "RestartPolicy": {"Name": "sometimes"},
         "PortBindings": {"80/icmp": []}, "Dns": 7,
         "LogConfig": {"Type": "json-file", "Config": {"max-size": "x"}},
         "Mounts": [{"Type": "bind", "Source": "rel", "Target": "/y"}],
         "Ulimits": [3]})");
  for (const auto& [name, value] : cases.members()) {
    EXPECT_THAT(With(name, value), StatusIs(StatusCode::kInvalidArgument))
        << name;
  }
  // Whether there is such a network is found out later.
  EXPECT_OK(With("NetworkMode", "mine"));
}

TEST_F(CreateTest, ConvertsLimitsAndSecurity) {
  SetHost(Parsed(R"({
    "Memory": 67108864, "NanoCpus": 1500000000, "PidsLimit": 10,
    "CapAdd": ["CAP_NET_ADMIN"], "CapDrop": ["ALL"], "ReadonlyRootfs": true,
    "Init": true, "SecurityOpt": ["no-new-privileges", "seccomp=unconfined"],
    "Ulimits": [{"Name": "nofile", "Soft": 1, "Hard": 2}],
    "Sysctls": {"net.ipv4.ip_forward": "1"}, "OomScoreAdj": 5,
    "LogConfig": {"Type": "json-file",
                  "Config": {"max-size": "1m", "max-file": "3"}}})"));
  ASSERT_OK_AND_ASSIGN(const CreateRequest request, Convert());
  const auto& resources = request.container.resources();
  EXPECT_EQ(resources.memory_limit(), 64 << 20);
  EXPECT_EQ(resources.memory_swap_limit(), 128 << 20);
  EXPECT_EQ(resources.cpu_quota(), 150000);
  EXPECT_EQ(resources.cpu_period(), 100000);
  EXPECT_EQ(resources.pids_limit(), 10);
  const auto& security = request.container.security();
  EXPECT_THAT(security.add_capabilities(), ElementsAre("CAP_NET_ADMIN"));
  EXPECT_TRUE(security.no_new_privileges());
  EXPECT_EQ(security.seccomp().type(), state::v1::SecurityProfile::UNCONFINED);
  EXPECT_TRUE(security.readonly_rootfs());
  EXPECT_EQ(security.namespaces().pid(), state::v1::NAMESPACE_MODE_POD);
  EXPECT_EQ(request.container.rlimits(0).type(), "RLIMIT_NOFILE");
  EXPECT_EQ(request.container.log().max_size(), 1 << 20);
  EXPECT_EQ(request.container.log().max_files(), 3u);
}

TEST_F(CreateTest, ConvertsMounts) {
  SetHost(Parsed(R"({
    "Binds": ["/h:/c:ro", "vol:/d"], "Tmpfs": {"/u": "size=1m,exec"},
    "Mounts": [{"Type": "tmpfs", "Target": "/t",
                "TmpfsOptions": {"SizeBytes": 5}},
               {"Type": "volume", "Source": "v2", "Target": "/v2",
                "ReadOnly": true, "VolumeOptions": {"NoCopy": true}},
               {"Type": "bind", "Source": "/s", "Target": "/b",
                "BindOptions": {"Propagation": "rshared"}}]})"));
  body_["Volumes"] = {{"/anon", Json::object()}};
  ASSERT_OK_AND_ASSIGN(const CreateRequest request, Convert());
  ASSERT_THAT(request.container.mounts(), SizeIs(8));
  const auto& bind = request.container.mounts(0);
  EXPECT_EQ(bind.host_path(), "/h");
  EXPECT_TRUE(bind.readonly());
  EXPECT_TRUE(bind.recursive_readonly());
  EXPECT_FALSE(bind.host_path_must_exist());
  EXPECT_EQ(request.container.mounts(1).volume(), "vol");
  EXPECT_TRUE(request.container.mounts(1).copy_image_content());
  EXPECT_FALSE(request.container.mounts(3).copy_image_content());
  EXPECT_TRUE(request.container.mounts(3).readonly());
  EXPECT_EQ(request.container.mounts(4).propagation(),
            state::v1::MOUNT_PROPAGATION_BIDIRECTIONAL);
  EXPECT_TRUE(request.container.mounts(4).host_path_must_exist());
  const auto& tmpfs = request.container.mounts(5);
  EXPECT_EQ(tmpfs.tmpfs_size(), 1 << 20);
  EXPECT_THAT(tmpfs.options(), ElementsAre("exec", "nodev", "nosuid"));
  ASSERT_THAT(request.volumes, SizeIs(4));
  EXPECT_EQ(request.volumes[0].name, "vol");
  EXPECT_TRUE(request.volumes[3].anonymous);
  EXPECT_THAT(request.volumes[3].name, SizeIs(64));
  host()["Binds"] = {"/h:/c", "/i:/c/"};
  EXPECT_THAT(Convert(), StatusIs(StatusCode::kInvalidArgument,
                                  HasSubstr("Duplicate mount point")));
}

TEST_F(CreateTest, ShowsWhatTheImageGives) {
  image_.add_exposed_ports("80/tcp");
  body_["ExposedPorts"] = {{"53/udp", Json::object()}};
  body_["Volumes"] = {{"/mine/", Json::object()}};
  const Json config = Convert()->config;
  EXPECT_EQ(At(config, "/ExposedPorts"),
            Parsed(R"({"53/udp":{},"80/tcp":{}})"));
  EXPECT_EQ(At(config, "/Volumes"), Parsed(R"({"/mine/":{},"/data":{}})"));
  EXPECT_EQ(At(config, "/User"), "7");
  EXPECT_EQ(At(config, "/StopSignal"), "SIGQUIT");
  body_["User"] = "8";
  body_["StopSignal"] = "9";
  EXPECT_EQ(At(Convert()->config, "/User"), "8");
  EXPECT_EQ(At(Convert()->config, "/StopSignal"), "9");
}

// A volume is not made where a mount of the request is, however it is written.
TEST_F(CreateTest, OneMountAPlace) {
  body_["Volumes"] = {{"/test/", Json::object()}, {"/a/../data", nullptr}};
  host()["Binds"] = {"/tmp:/x/..//test/:ro"};
  ASSERT_OK_AND_ASSIGN(CreateRequest request, Convert());
  ASSERT_THAT(request.container.mounts(), SizeIs(2));
  EXPECT_EQ(request.container.mounts(0).container_path(), "/test");
  EXPECT_EQ(request.container.mounts(0).host_path(), "/tmp");
  EXPECT_EQ(request.container.mounts(1).container_path(), "/data");
  host()["Binds"] = {"/only/"};
  ASSERT_OK_AND_ASSIGN(request, Convert());
  EXPECT_EQ(request.container.mounts(0).container_path(), "/only");
  EXPECT_TRUE(request.volumes[0].anonymous);
  for (const char* bind : {"v:/x/..", "v:/", "v:/.//", "/"}) {
    EXPECT_THAT(With("Binds", {bind}),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr("can't be")))
        << bind;
  }
}

TEST_F(CreateTest, ReadOnlyIsRecursiveWherePropagationIsPrivate) {
  const auto mount = [this](const Json& options) {
    host()["Mounts"] = Json::array({{{"Type", "bind"},
                                     {"Source", "/s"},
                                     {"Target", "/b"},
                                     {"ReadOnly", true},
                                     {"BindOptions", options}}});
    return Convert();
  };
  EXPECT_TRUE(mount(nullptr)->container.mounts(0).recursive_readonly());
  for (const Json& top_only : {Json{{"ReadOnlyNonRecursive", true}},
                               Json{{"Propagation", "rslave"}}}) {
    const auto request = mount(top_only);
    ASSERT_OK(request);
    EXPECT_TRUE(request->container.mounts(0).readonly());
    EXPECT_FALSE(request->container.mounts(0).recursive_readonly());
  }
  EXPECT_TRUE(
      mount({{"ReadOnlyForceRecursive", true}})->force_recursive_readonly);
  for (const Json& torn :
       {Json{{"ReadOnlyForceRecursive", true}, {"ReadOnlyNonRecursive", true}},
        Json{{"ReadOnlyForceRecursive", true}, {"Propagation", "rshared"}}}) {
    EXPECT_THAT(mount(torn), StatusIs(StatusCode::kInvalidArgument));
  }
}

TEST_F(CreateTest, ConvertsNetworksAndPorts) {
  host()["PortBindings"] = Parsed(
      R"({"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}],
          "53/udp": [{"HostIp": "", "HostPort": ""}]})");
  ASSERT_OK_AND_ASSIGN(CreateRequest request, Convert());
  ASSERT_THAT(request.sandbox.port_mappings(), SizeIs(2));
  EXPECT_EQ(request.sandbox.port_mappings(0).protocol(),
            state::v1::PROTOCOL_UDP);
  EXPECT_EQ(request.sandbox.port_mappings(0).host_port(), 0u);
  EXPECT_EQ(request.sandbox.port_mappings(1).host_port(), 8080u);
  host()["NetworkMode"] = "container:c1";
  request = *Convert();
  EXPECT_EQ(request.network_container, "c1");
  EXPECT_EQ(request.sandbox.namespaces().network(),
            state::v1::NAMESPACE_MODE_TARGET);
  host()["NetworkMode"] = "host";
  request = *Convert();
  EXPECT_EQ(request.sandbox.namespaces().network(),
            state::v1::NAMESPACE_MODE_NODE);
  EXPECT_EQ(request.sandbox.namespaces().uts(), state::v1::NAMESPACE_MODE_NODE);
  host()["NetworkMode"] = "none";
  EXPECT_EQ(Convert()->sandbox.namespaces().network(),
            state::v1::NAMESPACE_MODE_NONE);
}

TEST_F(CreateTest, SurvivesAnyBody) {
  Json full = body_;
  full["ExposedPorts"] = {{"80/tcp", Json::object()}};
  full["HostConfig"]["Binds"] = {"/a:/b:ro", "vol:/c"};
  full["HostConfig"]["PortBindings"] = {
      {"80/tcp", {{{"HostIp", "127.0.0.1"}, {"HostPort", "8080"}}}}};
  full["HostConfig"]["Mounts"] = {
      {{"Type", "tmpfs"}, {"Target", "/t"}, {"TmpfsOptions", {{"Mode", 1}}}}};
  full["HostConfig"]["Ulimits"] = {
      {{"Name", "nofile"}, {"Soft", 1}, {"Hard", 2}}};
  full["HostConfig"]["Devices"] = {{{"PathOnHost", "/dev/null"},
                                    {"PathInContainer", "/dev/x"},
                                    {"CgroupPermissions", "rwm"}}};
  Fuzz(
      {DumpJson(body_), DumpJson(full)},
      {"null", "[]", "{}", "\"\"", "[null]", "[{}]", "true", "\"a:b:c:d\"",
       "\"80-90/tcp\"", "\"/../\"", "\"container:x\""},
      [this](const std::string& bytes) {
        const auto body = ParseJson(bytes, "body");
        return body.ok() && ConvertCreate(*body, image_).ok();
      },
      5'000);
}

TEST(ParseBytesTest, KnowsUnits) {
  EXPECT_THAT(ParseBytes("10", "x"), IsOkAndHolds(10));
  EXPECT_THAT(ParseBytes("2k", "x"), IsOkAndHolds(2048));
  EXPECT_THAT(ParseBytes("1MB", "x"), IsOkAndHolds(1 << 20));
  EXPECT_THAT(ParseBytes("99999999999g", "x"),
              StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(ParseBytes("m", "x"), StatusIs(StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace berth::docker
