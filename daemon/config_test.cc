#include "daemon/config.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <string>

#include "base/testing/status_matchers.h"
#include "base/testing/temp_dir.h"

namespace berth::daemon {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Equal in value: a field that is set to its default equals one that is not.
bool SameValues(const Config& a, const Config& b) {
  google::protobuf::util::MessageDifferencer differencer;
  differencer.set_message_field_comparison(
      google::protobuf::util::MessageDifferencer::EQUIVALENT);
  return differencer.Compare(a, b);
}

TEST(ParseConfigTest, ReadsTextForm) {
  const StatusOr<Config> config = ParseConfig(
      "root: \"/r\"  # a comment\n"
      "network { bridge: \"b0\" bin_dirs: \"/p\" }\n"
      "runtime_handlers { name: \"kata\" shim: \"io.containerd.kata.v2\" }\n",
      "f");
  ASSERT_OK(config);
  EXPECT_EQ(config->root(), "/r");
  EXPECT_EQ(config->state(), "/run/berth");
  EXPECT_EQ(config->network().bridge(), "b0");
  EXPECT_THAT(PluginFolders(*config), ElementsAre("/p"));
  EXPECT_EQ(config->runtime_handlers(0).name(), "kata");
}

TEST(ParseConfigTest, SaysWhereItCannotBeRead) {
  const Status status =
      ParseConfig("root: \"/r\"\nrooot: \"/x\"\n", "berth.conf").status();
  EXPECT_THAT(status, StatusIs(StatusCode::kInvalidArgument));
  EXPECT_THAT(Message(status), HasSubstr("berth.conf:2:"));
  EXPECT_THAT(Message(status), HasSubstr("rooot"));
  EXPECT_THAT(ParseConfig("runtime_handlers { }", "f").status(),
              StatusIs(StatusCode::kInvalidArgument));
}

TEST(CheckConfigTest, ServesDockerOnTcpWithCertificatesOnly) {
  const auto wrong = [](const std::string& tcp) {
    StatusOr<Config> config = ParseConfig("docker_tcp { " + tcp + " }", "f");
    EXPECT_OK(config.status());
    return CheckConfig(*config);
  };
  const std::string files = " ca_cert: \"/ca\" cert: \"/cert\" key: \"/key\"";
  const std::string insecure = " insecure_loopback: true";
  EXPECT_THAT(wrong(""), IsEmpty());
  EXPECT_THAT(wrong("address: \"0.0.0.0:2376\"" + files), IsEmpty());
  EXPECT_THAT(wrong("address: \"[::]:2376\"" + files), IsEmpty());
  EXPECT_THAT(wrong("address: \"127.9.9.9:2375\"" + insecure), IsEmpty());
  EXPECT_THAT(wrong("address: \"[::1]:2375\"" + insecure), IsEmpty());
  for (const std::string& tcp : {
           std::string("address: \"0.0.0.0:2375\""),
           std::string("address: \"127.0.0.1:2375\""),
           "address: \"0.0.0.0:2375\"" + insecure,
           "address: \"[::]:2375\"" + insecure,
           "address: \"10.0.0.1:2376\"" + files + insecure,
           "address: \"10.0.0.1:2376\" ca_cert: \"/ca\" cert: \"/cert\"" +
               std::string(),
           "address: \"localhost:2376\"" + files,
           "address: \"10.0.0.1\"" + files,
           "address: \"10.0.0.1:70000\"" + files,
           "address: \"[::1:2376\"" + files,
       }) {
    EXPECT_THAT(wrong(tcp), Contains(HasSubstr("docker_tcp"))) << tcp;
  }
}

TEST(CheckConfigTest, ServesStreamsToOtherMachinesWithTlsOnly) {
  const auto wrong = [](const std::string& streaming) {
    StatusOr<Config> config =
        ParseConfig("streaming { " + streaming + " }", "f");
    EXPECT_OK(config.status());
    return CheckConfig(*config);
  };
  const std::string files = " cert: \"/cert\" key: \"/key\"";
  EXPECT_THAT(wrong(""), IsEmpty());
  EXPECT_THAT(wrong("address: \"[::1]:10010\""), IsEmpty());
  EXPECT_THAT(wrong("address: \"0.0.0.0:10010\"" + files), IsEmpty());
  EXPECT_THAT(wrong("address: \"10.0.0.1:0\" ca_cert: \"/ca\"" + files),
              IsEmpty());
  for (const std::string& streaming : {
           std::string("address: \"0.0.0.0:10010\""),
           std::string("address: \"10.0.0.1:10010\""),
           std::string("address: \"localhost:10010\""),
           std::string("address: \"\""),
           std::string("cert: \"/cert\""),
           std::string("ca_cert: \"/ca\""),
           std::string("cert: \"cert\" key: \"/key\""),
           std::string("idle_timeout_seconds: 0"),
       }) {
    EXPECT_THAT(wrong(streaming), Contains(HasSubstr("streaming")))
        << streaming;
  }
}

TEST(LoadConfigTest, MergesTheFolderInOrderOfNames) {
  TempDir dir;
  dir.Write("berth.conf",
            "root: \"/one\"\nlog { level: ERROR }\nimages { pinned: \"a\" }");
  dir.MakeDirectory("berth.conf.d");
  dir.Write("berth.conf.d/20.conf", "root: \"/three\"");
  dir.Write("berth.conf.d/10.conf",
            "root: \"/two\"\nlog { queries: false }\nimages { pinned: \"b\" }");
  dir.Write("berth.conf.d/30.conf.bak", "not a configuration");
  const StatusOr<Config> config = LoadConfig(dir.Path("berth.conf"));
  ASSERT_OK(config);
  EXPECT_EQ(config->root(), "/three");
  EXPECT_EQ(config->log().level(), config::v1::Log::ERROR);
  EXPECT_FALSE(config->log().queries());
  EXPECT_THAT(config->images().pinned(), ElementsAre("a", "b"));
}

TEST(ParseConfigTest, SaysWhoseCompressedLayersAreKept) {
  const StatusOr<Config> config =
      ParseConfig("images { kubelet_blobs: KEEP docker_blobs: DROP }", "test");
  ASSERT_OK(config);
  EXPECT_EQ(config->images().kubelet_blobs(), config::v1::Images::KEEP);
  EXPECT_EQ(config->images().docker_blobs(), config::v1::Images::DROP);
  EXPECT_EQ(config->images().import_blobs(), config::v1::Images::KEEP);
  EXPECT_EQ(Config().images().kubelet_blobs(), config::v1::Images::DROP);
  EXPECT_EQ(Config().images().docker_blobs(), config::v1::Images::KEEP);
  EXPECT_FALSE(ParseConfig("images { kubelet_blobs: SOME }", "test").ok());
}

TEST(LoadConfigTest, NamesTheFileThatIsWrong) {
  TempDir dir;
  EXPECT_THAT(LoadConfig(dir.Path("none.conf")).status(),
              StatusIs(StatusCode::kNotFound));
  dir.Write("berth.conf", "");
  dir.MakeDirectory("berth.conf.d");
  dir.Write("berth.conf.d/10.conf", "root: 7");
  EXPECT_THAT(Message(LoadConfig(dir.Path("berth.conf")).status()),
              HasSubstr("berth.conf.d/10.conf:1:"));
}

TEST(CheckConfigTest, FindsNothingWrongWithTheDefaults) {
  EXPECT_THAT(CheckConfig(Config()), IsEmpty());
}

TEST(CheckConfigTest, NamesEverySettingThatIsWrong) {
  Config config;
  config.set_root("var/lib");
  config.set_cgroup_parent("/");
  config.set_cri_socket("/" + std::string(120, 's'));
  config.mutable_network()->set_bridge("a-name-that-is-too-long");
  config.mutable_network()->set_subnet("10.0.0.0");
  config.mutable_limits()->set_log_line(1);
  config.add_runtime_handlers()->set_name("x");
  config.add_runtime_handlers()->set_name("x");
  config.mutable_nri()->set_socket("nri.sock");
  config.mutable_nri()->set_request_timeout_seconds(0);
  config.mutable_pods()->mutable_extras()->add_ulimits("files=1");
  const std::vector<std::string> wrong = CheckConfig(config);
  for (const char* setting :
       {"root:", "cgroup_parent:", "cri_socket:", "network.bridge:",
        "network.subnet:", "limits.log_line:", "runtime_handlers \"x\":",
        "nri.socket:", "nri.request_timeout_seconds:", "pods.extras:"}) {
    EXPECT_THAT(wrong, Contains(testing::StartsWith(setting)));
  }
  EXPECT_EQ(wrong.size(), 10u);
}

TEST(CheckConfigTest, TheParentIsOneOfTheDriver) {
  const auto wrong = [](Config::CgroupDriver driver,
                        const std::string& parent) {
    Config config;
    config.set_cgroup_driver(driver);
    config.set_cgroup_parent(parent);
    return CheckConfig(config);
  };
  EXPECT_THAT(wrong(Config::SYSTEMD, ""), IsEmpty());
  EXPECT_THAT(wrong(Config::SYSTEMD, "pods.slice"), IsEmpty());
  EXPECT_THAT(wrong(Config::CGROUPFS, "/pods"), IsEmpty());
  // A parent says which driver is meant.
  EXPECT_THAT(wrong(Config::AUTO, "pods.slice"), IsEmpty());
  EXPECT_THAT(wrong(Config::AUTO, "/pods"), IsEmpty());
  EXPECT_THAT(wrong(Config::SYSTEMD, "/pods"),
              ElementsAre(HasSubstr("name of a slice")));
  EXPECT_THAT(wrong(Config::SYSTEMD, "/a.slice"),
              ElementsAre(HasSubstr("name of a slice")));
  EXPECT_THAT(wrong(Config::CGROUPFS, "/pods.slice"),
              ElementsAre(HasSubstr("CGROUPFS")));
}

TEST(ConfigValuesTest, TheDriverHasItsOwnDefaultParent) {
  Config config;
  config.set_cgroup_driver(Config::CGROUPFS);
  EXPECT_FALSE(UsesSystemd(config));
  EXPECT_EQ(CgroupParent(config), "/berth");
  config.set_cgroup_driver(Config::SYSTEMD);
  EXPECT_TRUE(UsesSystemd(config));
  EXPECT_EQ(CgroupParent(config), "system.slice");
  config.set_cgroup_driver(Config::AUTO);
  config.set_cgroup_parent("/quick");
  EXPECT_FALSE(UsesSystemd(config));
}

TEST(CheckConfigTest, SaysWhenASocketDoesNotFitTheStateFolder) {
  Config config;
  config.set_state("/" + std::string(58, 'x'));
  EXPECT_THAT(CheckConfig(config), IsEmpty());
  config.set_state("/" + std::string(59, 'x'));
  EXPECT_THAT(CheckConfig(config),
              ElementsAre(AllOf(HasSubstr("state: "), HasSubstr("60 bytes"),
                                HasSubstr("59"))));
}

TEST(DefaultConfigTextTest, IsAConfigurationThatChangesNothing) {
  const std::string text = DefaultConfigText();
  const StatusOr<Config> config = ParseConfig(text, "default");
  ASSERT_OK(config) << text;
  EXPECT_TRUE(SameValues(*config, Config())) << text;
}

TEST(DefaultConfigTextTest, ShowsEverySettingWithItsManual) {
  const std::string text = DefaultConfigText();
  EXPECT_THAT(text, HasSubstr("\nroot: \"/var/lib/berth\"\n"));
  EXPECT_THAT(text, HasSubstr("# What outlives a reboot"));
  EXPECT_THAT(text, HasSubstr("\n  bridge: \"berth0\"\n"));
  EXPECT_THAT(text, HasSubstr("\n  level: INFO\n"));
  EXPECT_THAT(text, HasSubstr("#   WARNING\n"));
  EXPECT_THAT(text, HasSubstr("# runtime_handlers {\n"));
}

TEST(EffectiveConfigTextTest, HasEverySettingWithTheValueInForce) {
  const StatusOr<Config> given = ParseConfig(
      "state: \"/s\" network { bridge: \"b0\" bin_dirs: \"/p\" } "
      "runtime_handlers { name: \"runc\" runtime: \"/runc\" }",
      "f");
  ASSERT_OK(given);
  const std::string text = EffectiveConfigText(*given);
  const StatusOr<Config> all = ParseConfig(text, "effective");
  ASSERT_OK(all) << text;
  EXPECT_THAT(CheckConfig(*all), IsEmpty());
  EXPECT_THAT(text, HasSubstr("\nstate: \"/s\"\n"));
  EXPECT_THAT(text, HasSubstr("\ncri_socket: \"/s/berthd.sock\"\n"));
  EXPECT_THAT(text, HasSubstr("\nadmin_socket: \"/s/admin.sock\"\n"));
  EXPECT_THAT(text, HasSubstr("  bridge: \"b0\"\n"));
  EXPECT_THAT(text, HasSubstr("  plugin_timeout_seconds: 60\n"));
  EXPECT_THAT(text, HasSubstr("  unprivileged_ports: true\n"));
  EXPECT_THAT(text, HasSubstr("  docker_blobs: KEEP\n"));
  EXPECT_THAT(text, HasSubstr("  runtime: \"/runc\"\n"));
  EXPECT_THAT(all->network().bin_dirs(), ElementsAre("/p"));
  EXPECT_THAT(all->pods().cdi_spec_dirs(),
              ElementsAre("/etc/cdi", "/var/run/cdi"));
  // Once more changes nothing: every setting has a value by now.
  EXPECT_EQ(EffectiveConfigText(*all), text);
}

TEST(ConfigValuesTest, PutTheAdminSocketWhereItIsAskedFor) {
  Config config;
  config.set_state("/s");
  EXPECT_EQ(AdminSocket(config), "/s/admin.sock");
  config.set_admin_socket("/run/x/a.sock");
  EXPECT_EQ(AdminSocket(config), "/run/x/a.sock");
  EXPECT_THAT(CheckConfig(config), IsEmpty());
  config.set_admin_socket("");
  EXPECT_EQ(AdminSocket(config), "");
  EXPECT_THAT(CheckConfig(config), IsEmpty());
  for (const std::string& wrong :
       {std::string("x/a.sock"), "/" + std::string(120, 's'),
        std::string(120, 's')}) {
    config.set_admin_socket(wrong);
    EXPECT_THAT(CheckConfig(config),
                ElementsAre(testing::StartsWith("admin_socket: ")));
  }
}

TEST(ConfigValuesTest, FollowFromOthers) {
  Config config;
  config.set_state("/s");
  EXPECT_EQ(CriSocket(config), "/s/berthd.sock");
  EXPECT_THAT(PluginFolders(config),
              ElementsAre("/opt/cni/bin", "/usr/lib/cni"));
  EXPECT_THAT(ShimPath(config), testing::EndsWith("/berth-shim"));
}

}  // namespace
}  // namespace berth::daemon
