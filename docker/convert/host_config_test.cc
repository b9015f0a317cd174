// HostConfig but for mounts, ports and limits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "docker/convert/create_fixture.h"

namespace berth::docker {
namespace {

using state::v1::SecurityProfile;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

using HostConfigTest = CreateTest;

TEST_F(HostConfigTest, ReadsSecurityOptions) {
  const auto with = [this](const char* option) {
    const auto request = Hosted(
        (R"({"SecurityOpt": [")" + std::string(option) + R"("]})").c_str());
    EXPECT_OK(request) << option;
    return request.ok() ? request->container.security()
                        : state::v1::ContainerSecurity();
  };
  EXPECT_TRUE(with("no-new-privileges").no_new_privileges());
  EXPECT_TRUE(with("no-new-privileges:true").no_new_privileges());
  EXPECT_FALSE(with("no-new-privileges=false").no_new_privileges());
  EXPECT_TRUE(with("no-new-privileges=1").no_new_privileges());
  EXPECT_THAT(Hosted(R"({"SecurityOpt": ["no-new-privileges="]})").status(),
              StatusIs(StatusCode::kInvalidArgument));
  EXPECT_EQ(with("seccomp=unconfined").seccomp().type(),
            SecurityProfile::UNCONFINED);
  EXPECT_EQ(with("seccomp:builtin").seccomp().type(),
            SecurityProfile::RUNTIME_DEFAULT);
  const SecurityProfile own = with(R"(seccomp={\"a\":1})").seccomp();
  EXPECT_EQ(own.type(), SecurityProfile::LOCALHOST);
  EXPECT_EQ(own.profile(), R"({"a":1})");
  EXPECT_EQ(with("apparmor=unconfined").apparmor().type(),
            SecurityProfile::UNCONFINED);
  EXPECT_EQ(with("apparmor=mine").apparmor().localhost_ref(), "mine");
  EXPECT_TRUE(with("label=disable").default_paths());
  EXPECT_FALSE(with("systempaths=unconfined").default_paths());
  for (const char* other : {"label=other:x", "label=type", "label",
                            "systempaths=other", "nothing", ""}) {
    EXPECT_THAT(With("SecurityOpt", Json::array({other})),
                StatusIs(StatusCode::kUnimplemented, HasSubstr("SecurityOpt")))
        << other;
  }
}

// The sandbox's labels that come of a HostConfig, as "user:role:type:level".
TEST_F(HostConfigTest, ReadsSelinuxLabels) {
  const auto with = [this](const char* host) {
    const auto request = Hosted(host);
    EXPECT_OK(request) << host;
    return request.ok() ? request->sandbox.security().selinux()
                        : state::v1::SelinuxOptions();
  };
  const state::v1::SelinuxOptions all = with(
      R"({"SecurityOpt": ["label=user:u", "label=role:r", "label:type:t",
                          "label=level:s0:c1,c2", "label=filetype:f"]})");
  EXPECT_EQ(all.user() + " " + all.role() + " " + all.type() + " " +
                all.level() + " " + all.file_type(),
            "u r t s0:c1,c2 f");
  EXPECT_FALSE(all.disabled());
  EXPECT_TRUE(with(R"({"SecurityOpt": ["label=disable"]})").disabled());
  EXPECT_FALSE(with("{}").disabled());
  for (const char* host : {R"({"PidMode": "host"})", R"({"IpcMode": "host"})",
                           R"({"Privileged": true})"}) {
    EXPECT_TRUE(with(host).disabled()) << host;
  }
  EXPECT_FALSE(with(R"({"PidMode": "host", "SecurityOpt": ["label=type:t"]})")
                   .disabled());
}

TEST_F(HostConfigTest, PrivilegedIsNotConfined) {
  ASSERT_OK_AND_ASSIGN(
      const CreateRequest request,
      Hosted(R"({"Privileged": true, "SecurityOpt": ["seccomp={}"]})"));
  EXPECT_TRUE(request.sandbox.security().privileged());
  const auto& security = request.container.security();
  EXPECT_TRUE(security.privileged());
  EXPECT_FALSE(security.default_paths());
  EXPECT_EQ(security.seccomp().type(), SecurityProfile::UNCONFINED);
}

TEST_F(HostConfigTest, ListsOfPathsReplaceOurOwn) {
  ASSERT_OK_AND_ASSIGN(
      CreateRequest request,
      Hosted(R"({"MaskedPaths": ["/proc/x"], "ReadonlyPaths": ["/proc/y"]})"));
  EXPECT_FALSE(request.container.security().default_paths());
  EXPECT_THAT(request.container.security().masked_paths(),
              ElementsAre("/proc/x"));
  EXPECT_THAT(request.container.security().readonly_paths(),
              ElementsAre("/proc/y"));
  ASSERT_OK_AND_ASSIGN(request, Hosted(R"({"MaskedPaths": []})"));
  EXPECT_FALSE(request.container.security().default_paths());
  EXPECT_THAT(request.container.security().masked_paths(), IsEmpty());
  ASSERT_OK_AND_ASSIGN(request, Hosted(R"({"MaskedPaths": null})"));
  EXPECT_TRUE(request.container.security().default_paths());
}

TEST_F(HostConfigTest, NamespacesAreTheSandboxesToo) {
  const auto both = [this](const char* host) {
    const auto request = Hosted(host);
    EXPECT_OK(request) << host;
    EXPECT_EQ(request->sandbox.namespaces().SerializeAsString(),
              request->container.security().namespaces().SerializeAsString());
    return request->sandbox.namespaces();
  };
  using state::v1::NamespaceOptions;
  EXPECT_EQ(both(R"({"IpcMode": "host"})").ipc(),
            state::v1::NAMESPACE_MODE_NODE);
  EXPECT_EQ(both(R"({"IpcMode": "private"})").ipc(),
            state::v1::NAMESPACE_MODE_POD);
  EXPECT_EQ(both(R"({"IpcMode": "shareable"})").ipc(),
            state::v1::NAMESPACE_MODE_POD);
  EXPECT_EQ(both(R"({"PidMode": "host"})").pid(),
            state::v1::NAMESPACE_MODE_NODE);
  EXPECT_EQ(both(R"({"PidMode": ""})").pid(),
            state::v1::NAMESPACE_MODE_CONTAINER);
  EXPECT_EQ(both(R"({"PidMode": "private"})").pid(),
            state::v1::NAMESPACE_MODE_CONTAINER);
  EXPECT_EQ(both(R"({"UTSMode": "host"})").uts(),
            state::v1::NAMESPACE_MODE_NODE);
  EXPECT_EQ(both(R"({"CgroupnsMode": "host"})").cgroup(),
            state::v1::NAMESPACE_MODE_NODE);
  EXPECT_EQ(both(R"({"CgroupnsMode": "private"})").cgroup(),
            state::v1::NAMESPACE_MODE_CONTAINER);
  // The host's network has the host's name.
  EXPECT_EQ(both(R"({"NetworkMode": "host"})").uts(),
            state::v1::NAMESPACE_MODE_NODE);
  EXPECT_EQ(both(R"({"NetworkMode": "bridge"})").network(),
            state::v1::NAMESPACE_MODE_POD);
}

TEST_F(HostConfigTest, NamespacesOfAnotherContainer) {
  ASSERT_OK_AND_ASSIGN(
      const CreateRequest request,
      Hosted(R"({"NetworkMode": "container:n", "PidMode": "container:p",
                 "IpcMode": "container:i"})"));
  EXPECT_EQ(request.network_container, "n");
  EXPECT_EQ(request.pid_container, "p");
  EXPECT_EQ(request.ipc_container, "i");
  EXPECT_EQ(request.sandbox.namespaces().pid(),
            state::v1::NAMESPACE_MODE_TARGET);
  for (const char* mode : {"NetworkMode", "PidMode", "IpcMode"}) {
    EXPECT_THAT(With(mode, "container:"),
                StatusIs(StatusCode::kInvalidArgument,
                         HasSubstr("no container is named")))
        << mode;
  }
  EXPECT_THAT(With("UTSMode", "container:x"),
              StatusIs(StatusCode::kUnimplemented, HasSubstr("UTSMode")));
  EXPECT_THAT(With("CgroupnsMode", "odd"),
              StatusIs(StatusCode::kUnimplemented, HasSubstr("CgroupnsMode")));
}

TEST_F(HostConfigTest, AnInitIsOfTheContainersOwnPidNamespace) {
  ASSERT_OK_AND_ASSIGN(const CreateRequest request,
                       Hosted(R"({"Init": true})"));
  EXPECT_TRUE(request.init);
  EXPECT_EQ(request.sandbox.namespaces().pid(), state::v1::NAMESPACE_MODE_POD);
  EXPECT_FALSE(Hosted(R"({"Init": false})")->init);
  for (const char* mode : {"host", "container:x"}) {
    host()["PidMode"] = mode;
    EXPECT_THAT(With("Init", true),
                StatusIs(StatusCode::kUnimplemented, HasSubstr("Init")))
        << mode;
  }
}

TEST_F(HostConfigTest, ConvertsNamesAndAddresses) {
  ASSERT_OK_AND_ASSIGN(
      const CreateRequest request,
      Hosted(R"({"Dns": ["1.1.1.1", "::1"], "DnsSearch": ["a.b"],
                 "DnsOptions": ["ndots:1"], "ExtraHosts": ["h:1.2.3.4"],
                 "GroupAdd": ["audio", "7"], "CgroupParent": "/p",
                 "Runtime": "other",
                 "DeviceCgroupRules": ["c 1:3 r"]})"));
  const auto& dns = request.sandbox.dns();
  EXPECT_THAT(dns.servers(), ElementsAre("1.1.1.1", "::1"));
  EXPECT_THAT(dns.searches(), ElementsAre("a.b"));
  EXPECT_THAT(dns.options(), ElementsAre("ndots:1"));
  EXPECT_THAT(request.sandbox.extra_hosts(), ElementsAre("h:1.2.3.4"));
  EXPECT_THAT(request.container.security().supplemental_group_names(),
              ElementsAre("audio", "7"));
  EXPECT_EQ(request.sandbox.cgroup_parent(), "/p");
  EXPECT_EQ(request.sandbox.runtime_handler(), "other");
  EXPECT_THAT(request.container.device_rules(), ElementsAre("c 1:3 r"));
  EXPECT_THAT(With("ExtraHosts", {"nothing"}),
              StatusIs(StatusCode::kInvalidArgument,
                       HasSubstr("bad format for add-host")));
}

TEST_F(HostConfigTest, ConvertsDevices) {
  ASSERT_OK_AND_ASSIGN(
      const CreateRequest request,
      Hosted(R"({"Devices": [{"PathOnHost": "/dev/a", "PathInContainer":
                 "/dev/b", "CgroupPermissions": "rw"}, {}]})"));
  ASSERT_THAT(request.container.devices(), SizeIs(2));
  EXPECT_EQ(request.container.devices(0).host_path(), "/dev/a");
  EXPECT_EQ(request.container.devices(0).container_path(), "/dev/b");
  EXPECT_EQ(request.container.devices(0).permissions(), "rw");
  EXPECT_EQ(request.container.devices(1).host_path(), "");
  EXPECT_THAT(With("Devices", {"/dev/a"}),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("Devices")));
}

TEST_F(HostConfigTest, ReadsTheLogsSettings) {
  const auto log = [this](const char* options) {
    return Hosted((R"({"LogConfig": {"Type": "json-file", "Config": )" +
                   std::string(options) + "}}")
                      .c_str());
  };
  ASSERT_OK_AND_ASSIGN(CreateRequest request, log(R"({"max-size": "10k"})"));
  EXPECT_EQ(request.container.log().max_size(), 10 << 10);
  EXPECT_EQ(request.container.log().max_files(), 1u);
  EXPECT_EQ(request.container.log().format(), state::v1::LOG_FORMAT_JSON_FILE);
  ASSERT_OK_AND_ASSIGN(request, log(R"({"max-file": "5"})"));
  EXPECT_EQ(request.container.log().max_size(), 0);
  EXPECT_EQ(request.container.log().max_files(), 5u);
  for (const char* bad : {R"({"max-file": "0"})", R"({"max-file": "-1"})",
                          R"({"max-file": "1001"})", R"({"max-file": "x"})",
                          R"({"max-size": "-1"})", R"({"max-size": 5})"}) {
    EXPECT_THAT(log(bad), StatusIs(StatusCode::kInvalidArgument)) << bad;
  }
  EXPECT_THAT(log(R"({"compress": "true"})"),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("compress")));
  EXPECT_OK(Hosted(R"({"LogConfig": {"Type": "none"}})"));
  EXPECT_OK(Hosted(R"({"LogConfig": {}})"));
}

TEST_F(HostConfigTest, ReadsTheRestartPolicy) {
  for (const char* name :
       {"", "no", "always", "unless-stopped", "on-failure"}) {
    EXPECT_OK(With("RestartPolicy", {{"Name", name}})) << name;
  }
  EXPECT_OK(With("RestartPolicy",
                 {{"Name", "on-failure"}, {"MaximumRetryCount", 3}}));
  EXPECT_THAT(With("RestartPolicy", {{"Name", "often"}}),
              StatusIs(StatusCode::kInvalidArgument,
                       HasSubstr("invalid restart policy 'often'")));
  for (const Json& bad :
       {Json{{"Name", "always"}, {"MaximumRetryCount", 3}},
        Json{{"Name", "on-failure"}, {"MaximumRetryCount", -1}}}) {
    EXPECT_THAT(With("RestartPolicy", bad),
                StatusIs(StatusCode::kInvalidArgument,
                         HasSubstr("maximum retry count cannot be used")));
  }
  EXPECT_OK(Hosted(R"({"AutoRemove": true, "RestartPolicy": {"Name": "no"}})"));
  EXPECT_THAT(
      Hosted(R"({"AutoRemove": true, "RestartPolicy": {"Name": "always"}})"),
      StatusIs(StatusCode::kInvalidArgument, HasSubstr("AutoRemove")));
}

TEST_F(HostConfigTest, TakesTheTerminalsSize) {
  ASSERT_OK_AND_ASSIGN(CreateRequest request,
                       Hosted(R"({"ConsoleSize": [24, 80]})"));
  EXPECT_EQ(request.container.console_size().height(), 24u);
  EXPECT_EQ(request.container.console_size().width(), 80u);
  ASSERT_OK_AND_ASSIGN(request, Hosted(R"({"ConsoleSize": [0, 0]})"));
  EXPECT_FALSE(request.container.has_console_size());
}

TEST_F(HostConfigTest, TakesValuesThatAreInForceAnyway) {
  EXPECT_OK(With("UsernsMode", "host"));
  EXPECT_OK(With("VolumeDriver", "local"));
  EXPECT_OK(With("ContainerIDFile", "/x"));
  EXPECT_OK(With("FieldOfTomorrow", Json::array()));
}

TEST_F(HostConfigTest, TheOwnRuntimeHasAName) {
  EXPECT_EQ(Hosted(R"({"Runtime": "berth"})")->sandbox.runtime_handler(), "");
  EXPECT_EQ(Hosted(R"({"Runtime": "kata"})")->sandbox.runtime_handler(),
            "kata");
}

}  // namespace
}  // namespace berth::docker
