#include "cri/convert.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "base/error/word.h"
#include "base/testing/status_matchers.h"

namespace berth::cri {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

v1::PodSandboxConfig Pod() {
  v1::PodSandboxConfig config;
  config.mutable_metadata()->set_name("web");
  config.mutable_metadata()->set_namespace_("default");
  config.mutable_metadata()->set_uid("u-1");
  return config;
}

v1::ContainerConfig Ctr() {
  v1::ContainerConfig config;
  config.mutable_metadata()->set_name("app");
  config.mutable_image()->set_image("busybox");
  return config;
}

StatusOr<ImageNames> Resolve(const std::string& name) {
  if (name != "busybox") return NotFound("no image " + name);
  return ImageNames{"sha256:abc", "docker.io/library/busybox@sha256:def"};
}

Status PodError(const v1::PodSandboxConfig& config) {
  return FromPodConfig(config, "").status();
}

Status CtrError(const v1::ContainerConfig& config) {
  return FromContainerConfig(config, Resolve).status();
}

// Says that `status` is an error with this code that names the field.
MATCHER_P2(Refuses, code, field, "") {
  return arg.code() == code && Message(arg).find(field) != std::string::npos;
}

TEST(FromPodConfigTest, KeepsWhatIsAskedFor) {
  v1::PodSandboxConfig config = Pod();
  config.mutable_metadata()->set_attempt(3);
  config.set_hostname("web-0");
  config.set_log_directory("/var/log/pods/x");
  config.mutable_dns_config()->add_servers("10.0.0.10");
  config.mutable_dns_config()->add_options("ndots:5");
  v1::PortMapping& port = *config.add_port_mappings();
  port.set_protocol(v1::UDP);
  port.set_container_port(53);
  port.set_host_port(5353);
  (*config.mutable_labels())["app"] = "web";
  config.mutable_linux()->set_cgroup_parent("/kubepods/podx");
  (*config.mutable_linux()->mutable_sysctls())["kernel.shm_rmid_forced"] = "1";
  config.mutable_linux()->mutable_security_context()->set_privileged(true);

  const StatusOr<state::v1::SandboxConfig> ours = FromPodConfig(config, "kata");
  ASSERT_OK(ours);
  EXPECT_EQ(ours->kind(), state::v1::SANDBOX_KIND_POD);
  EXPECT_EQ(ours->metadata().attempt(), 3u);
  EXPECT_EQ(ours->hostname(), "web-0");
  EXPECT_EQ(ours->log_directory(), "/var/log/pods/x");
  EXPECT_THAT(ours->dns().servers(), ElementsAre("10.0.0.10"));
  EXPECT_EQ(ours->port_mappings(0).protocol(), state::v1::PROTOCOL_UDP);
  EXPECT_EQ(ours->port_mappings(0).host_port(), 5353u);
  EXPECT_EQ(ours->labels().at("app"), "web");
  EXPECT_EQ(ours->cgroup_parent(), "/kubepods/podx");
  EXPECT_EQ(ours->sysctls().at("kernel.shm_rmid_forced"), "1");
  EXPECT_TRUE(ours->security().privileged());
  EXPECT_EQ(ours->runtime_handler(), "kata");
}

TEST(FromPodConfigTest, TellsAnEmptyDnsFromNone) {
  EXPECT_FALSE(FromPodConfig(Pod(), "")->has_dns());
  v1::PodSandboxConfig config = Pod();
  config.mutable_dns_config();
  EXPECT_TRUE(FromPodConfig(config, "")->has_dns());
}

TEST(FromPodConfigTest, NamesTheFieldItRefuses) {
  v1::PodSandboxConfig config = Pod();
  config.mutable_metadata()->clear_uid();
  EXPECT_THAT(PodError(config),
              Refuses(StatusCode::kInvalidArgument, "config.metadata.uid"));
  config = Pod();
  config.mutable_windows();
  EXPECT_THAT(PodError(config),
              Refuses(StatusCode::kUnimplemented, "config.windows"));
  config = Pod();
  config.set_log_directory("var/log");
  EXPECT_THAT(PodError(config),
              Refuses(StatusCode::kInvalidArgument, "log_directory"));
  config = Pod();
  config.add_port_mappings()->set_container_port(70000);
  EXPECT_THAT(PodError(config),
              Refuses(StatusCode::kInvalidArgument, "port_mappings"));
  config = Pod();
  config.mutable_linux()
      ->mutable_security_context()
      ->mutable_run_as_group()
      ->set_value(1);
  EXPECT_THAT(PodError(config),
              Refuses(StatusCode::kInvalidArgument, "run_as_group"));
  config = Pod();
  config.mutable_linux()
      ->mutable_security_context()
      ->mutable_namespace_options()
      ->set_pid(v1::TARGET);
  EXPECT_THAT(PodError(config),
              Refuses(StatusCode::kInvalidArgument, "namespace_options.pid"));
}

v1::UserNamespace Userns(uint32_t container, uint32_t size, int lines) {
  v1::UserNamespace userns;
  for (int i = 0; i < lines; ++i) {
    for (v1::IDMapping* line : {userns.add_uids(), userns.add_gids()}) {
      line->set_container_id(container);
      line->set_host_id(100000);
      line->set_length(size);
    }
  }
  return userns;
}

Status NamespaceError(const v1::UserNamespace& userns) {
  v1::NamespaceOption options;
  *options.mutable_userns_options() = userns;
  return FromNamespaces(options, false, "n").status();
}

TEST(FromNamespacesTest, TakesOneMappingThatCoversRoot) {
  EXPECT_OK(NamespaceError(Userns(0, 65536, 1)));
  EXPECT_FALSE(NamespaceError(Userns(0, 65536, 0)).ok());
  EXPECT_FALSE(NamespaceError(Userns(0, 65536, 2)).ok());
  EXPECT_FALSE(NamespaceError(Userns(1, 65536, 1)).ok());
  EXPECT_FALSE(NamespaceError(Userns(0, 0, 1)).ok());
  v1::UserNamespace node;
  node.set_mode(v1::NODE);
  EXPECT_OK(NamespaceError(node));
  node = Userns(0, 1, 1);
  node.set_mode(v1::NODE);
  EXPECT_FALSE(NamespaceError(node).ok());
  node.set_mode(v1::CONTAINER);
  EXPECT_FALSE(NamespaceError(node).ok());
}

TEST(FromNamespacesTest, ComesBackAsItWas) {
  v1::NamespaceOption options;
  options.set_network(v1::NODE);
  options.set_pid(v1::CONTAINER);
  options.set_ipc(v1::NODE);
  *options.mutable_userns_options() = Userns(0, 10, 1);
  const auto ours = FromNamespaces(options, false, "n");
  ASSERT_OK(ours);
  EXPECT_EQ(ours->uts(), state::v1::NAMESPACE_MODE_NODE);
  EXPECT_EQ(ToNamespaces(*ours).SerializeAsString(),
            options.SerializeAsString());
}

TEST(FromContainerConfigTest, KeepsTheProcess) {
  v1::ContainerConfig config = Ctr();
  config.add_command("/bin/sh");
  config.add_args("-c");
  config.set_working_dir("/srv");
  v1::KeyValue& env = *config.add_envs();
  env.set_key("K");
  env.set_value("not \xff utf-8");
  config.set_tty(true);
  config.set_log_path("app/0.log");
  config.set_stop_signal(v1::SIGNAL_SIGINT);
  v1::LinuxContainerSecurityContext& context =
      *config.mutable_linux()->mutable_security_context();
  context.mutable_run_as_user()->set_value(1000);
  context.mutable_run_as_group()->set_value(0);
  context.add_supplemental_groups(50000);
  context.mutable_capabilities()->add_drop_capabilities("ALL");
  context.set_supplemental_groups_policy(v1::Strict);
  context.add_masked_paths("/proc/kcore");

  const auto ours = FromContainerConfig(config, Resolve);
  ASSERT_OK(ours);
  EXPECT_EQ(ours->name(), "app");
  EXPECT_EQ(ours->image(), "busybox");
  EXPECT_EQ(ours->image_id(), "sha256:abc");
  EXPECT_EQ(ours->image_ref(), "docker.io/library/busybox@sha256:def");
  EXPECT_THAT(ours->command(), ElementsAre("/bin/sh"));
  EXPECT_EQ(ours->env(0).value(), "not \xff utf-8");
  EXPECT_EQ(ours->log().path(), "app/0.log");
  EXPECT_EQ(ours->stop_signal(), SIGINT);
  EXPECT_TRUE(ours->tty());
  EXPECT_EQ(ours->security().run_as_user(), 1000);
  EXPECT_TRUE(ours->security().has_run_as_group());
  EXPECT_EQ(ours->security().groups_policy(), state::v1::GROUPS_POLICY_STRICT);
  EXPECT_THAT(ours->security().drop_capabilities(), ElementsAre("ALL"));
  EXPECT_THAT(ours->security().masked_paths(), ElementsAre("/proc/kcore"));
  EXPECT_FALSE(ours->has_resources());
}

TEST(FromContainerConfigTest, NamesTheFieldItRefuses) {
  v1::ContainerConfig config = Ctr();
  config.mutable_image()->set_image("nginx");
  EXPECT_THAT(CtrError(config),
              Refuses(StatusCode::kNotFound, "config.image \"nginx\""));
  config = Ctr();
  config.mutable_windows();
  EXPECT_THAT(CtrError(config),
              Refuses(StatusCode::kUnimplemented, "config.windows"));
  config = Ctr();
  config.set_log_path("../../etc/passwd");
  EXPECT_THAT(CtrError(config),
              Refuses(StatusCode::kInvalidArgument, "config.log_path"));
  config = Ctr();
  config.add_envs()->set_key("A=B");
  EXPECT_THAT(CtrError(config),
              Refuses(StatusCode::kInvalidArgument, "config.envs"));
  config = Ctr();
  config.set_stop_signal(static_cast<v1::Signal>(99));
  EXPECT_THAT(CtrError(config),
              Refuses(StatusCode::kInvalidArgument, "config.stop_signal"));
  config = Ctr();
  config.mutable_linux()
      ->mutable_security_context()
      ->mutable_run_as_group()
      ->set_value(5);
  EXPECT_THAT(CtrError(config),
              Refuses(StatusCode::kInvalidArgument, "run_as_group"));
  config = Ctr();
  config.mutable_linux()->mutable_resources()->set_cpu_quota(-2);
  EXPECT_THAT(CtrError(config),
              Refuses(StatusCode::kInvalidArgument, "resources.cpu_quota"));
  config = Ctr();
  v1::Device& device = *config.add_devices();
  device.set_host_path("/dev/null");
  device.set_permissions("rx");
  EXPECT_THAT(CtrError(config),
              Refuses(StatusCode::kInvalidArgument, "permissions"));
}

v1::ContainerConfig WithMount(const std::function<void(v1::Mount&)>& edit) {
  v1::ContainerConfig config = Ctr();
  v1::Mount& mount = *config.add_mounts();
  mount.set_container_path("/data");
  mount.set_host_path("/srv/data");
  edit(mount);
  return config;
}

TEST(FromContainerConfigTest, EchoesMountsAsTheyWereAsked) {
  v1::ContainerConfig config = WithMount([](v1::Mount& m) {
    m.set_readonly(true);
    m.set_recursive_read_only(true);
    m.set_selinux_relabel(true);
    m.add_mount_options("noexec");
    m.add_uidmappings()->set_length(7);
  });
  v1::Mount& image = *config.add_mounts();
  image.set_container_path("/image");
  image.set_readonly(true);
  image.mutable_image()->set_image("busybox");
  image.set_image_sub_path("bin");

  const auto ours = FromContainerConfig(config, Resolve);
  ASSERT_OK(ours);
  state::v1::ContainerRecord record;
  *record.mutable_config() = *ours;
  const v1::ContainerStatus status = ToContainerStatus(record);
  ASSERT_EQ(status.mounts_size(), 2);
  EXPECT_EQ(status.mounts(0).SerializeAsString(),
            config.mounts(0).SerializeAsString());
  image.mutable_image()->set_image_ref("sha256:abc");
  EXPECT_EQ(status.mounts(1).SerializeAsString(), image.SerializeAsString());
}

TEST(FromContainerConfigTest, RefusesMountsThatCannotWork) {
  EXPECT_FALSE(CtrError(WithMount([](v1::Mount& m) {
                 m.set_recursive_read_only(true);
               })).ok());
  EXPECT_FALSE(CtrError(WithMount([](v1::Mount& m) {
                 m.set_readonly(true);
                 m.set_recursive_read_only(true);
                 m.set_propagation(v1::PROPAGATION_HOST_TO_CONTAINER);
               })).ok());
  EXPECT_FALSE(
      CtrError(WithMount([](v1::Mount& m) { m.set_host_path("data"); })).ok());
  EXPECT_FALSE(CtrError(WithMount([](v1::Mount& m) {
                 m.add_mount_options("bind");
               })).ok());
  // An image beside a host path, writable, or not here.
  EXPECT_FALSE(CtrError(WithMount([](v1::Mount& m) {
                 m.set_readonly(true);
                 m.mutable_image()->set_image("busybox");
               })).ok());
  EXPECT_FALSE(CtrError(WithMount([](v1::Mount& m) {
                 m.clear_host_path();
                 m.mutable_image()->set_image("busybox");
               })).ok());
  const Status missing = CtrError(WithMount([](v1::Mount& m) {
    m.clear_host_path();
    m.set_readonly(true);
    m.mutable_image()->set_image("nginx");
  }));
  EXPECT_EQ(WordOf(missing), "ImageVolumeMountFailed");
}

TEST(FromResourcesTest, ALimitOfMemoryAloneLeavesNoSwap) {
  v1::LinuxContainerResources resources;
  resources.set_memory_limit_in_bytes(1 << 20);
  EXPECT_EQ(FromResources(resources, "r")->memory_swap_limit(), 1 << 20);
  resources.set_memory_swap_limit_in_bytes(-1);
  EXPECT_EQ(FromResources(resources, "r")->memory_swap_limit(), -1);
}

TEST(FromResourcesTest, ComesBackAsItWas) {
  v1::LinuxContainerResources resources;
  resources.set_cpu_period(100000);
  resources.set_cpu_quota(20000);
  resources.set_cpu_shares(1024);
  resources.set_memory_limit_in_bytes(64 << 20);
  resources.set_memory_swap_limit_in_bytes(64 << 20);
  resources.set_oom_score_adj(-999);
  resources.set_cpuset_cpus("0-1");
  resources.set_cpuset_mems("0");
  v1::HugepageLimit& limit = *resources.add_hugepage_limits();
  limit.set_page_size("2MB");
  limit.set_limit(5);
  (*resources.mutable_unified())["memory.high"] = "1";
  const auto ours = FromResources(resources, "r");
  ASSERT_OK(ours);
  EXPECT_EQ(ToResources(*ours).SerializeAsString(),
            resources.SerializeAsString());
}

TEST(FromProfileTest, PrefersTheMessageToTheOldString) {
  using Profile = state::v1::SecurityProfile;
  v1::SecurityProfile unconfined;
  unconfined.set_profile_type(v1::SecurityProfile::Unconfined);
  EXPECT_EQ(
      FromProfile(ProfileOf::kSeccomp, &unconfined, "runtime/default", "f")
          ->type(),
      Profile::UNCONFINED);
  EXPECT_EQ(
      FromProfile(ProfileOf::kSeccomp, nullptr, "runtime/default", "f")->type(),
      Profile::RUNTIME_DEFAULT);
  EXPECT_EQ(FromProfile(ProfileOf::kSeccomp, nullptr, "localhost//p.json", "f")
                ->localhost_ref(),
            "/p.json");
  EXPECT_EQ(FromProfile(ProfileOf::kSeccomp, nullptr, "", "f")->type(),
            Profile::UNSET);
  EXPECT_FALSE(FromProfile(ProfileOf::kSeccomp, nullptr, "other", "f").ok());
  // All defaults: the runtime's own.
  const v1::SecurityProfile defaults;
  EXPECT_EQ(FromProfile(ProfileOf::kSeccomp, &defaults, "", "f")->type(),
            Profile::RUNTIME_DEFAULT);
}

TEST(FromProfileTest, WantsAReferenceForLocalhostOnly) {
  v1::SecurityProfile profile;
  profile.set_profile_type(v1::SecurityProfile::Localhost);
  EXPECT_FALSE(FromProfile(ProfileOf::kSeccomp, &profile, "", "f").ok());
  profile.set_localhost_ref("localhost/custom");
  EXPECT_EQ(
      FromProfile(ProfileOf::kSeccomp, &profile, "", "f")->localhost_ref(),
      "custom");
  profile.set_profile_type(v1::SecurityProfile::RuntimeDefault);
  EXPECT_FALSE(FromProfile(ProfileOf::kSeccomp, &profile, "", "f").ok());
}

TEST(FromProfileTest, TakesOneOfARegistryForSeccompOnly) {
  using Profile = state::v1::SecurityProfile;
  v1::SecurityProfile profile;
  const auto convert = [&](ProfileOf what = ProfileOf::kSeccomp) {
    return FromProfile(what, &profile, "", "f");
  };
  profile.set_profile_type(v1::SecurityProfile::OCI);
  EXPECT_THAT(convert().status(),
              Refuses(StatusCode::kInvalidArgument, "f.oci_ref"));
  profile.set_oci_ref("r.test/p@sha256:1");
  EXPECT_EQ(convert()->type(), Profile::OCI);
  EXPECT_EQ(convert()->oci_ref(), "r.test/p@sha256:1");
  EXPECT_EQ(convert()->base_localhost_ref(), "");
  EXPECT_THAT(convert(ProfileOf::kAppArmor).status(),
              Refuses(StatusCode::kInvalidArgument, "f"));
  v1::SecurityProfileBase& base = *profile.mutable_base_profile();
  EXPECT_EQ(convert()->base_localhost_ref(), "");
  base.set_localhost_ref("localhost//base.json");
  EXPECT_THAT(convert().status(),
              Refuses(StatusCode::kInvalidArgument, "base_profile"));
  base.set_type(v1::SecurityProfileBase::Localhost);
  EXPECT_EQ(convert()->base_localhost_ref(), "/base.json");
  base.clear_localhost_ref();
  EXPECT_THAT(convert().status(),
              Refuses(StatusCode::kInvalidArgument, "base_profile"));
  // Neither has a meaning with another type.
  profile.set_profile_type(v1::SecurityProfile::RuntimeDefault);
  EXPECT_FALSE(convert().ok());
  profile.clear_oci_ref();
  EXPECT_FALSE(convert().ok());
  profile.clear_base_profile();
  EXPECT_OK(convert());
}

TEST(FromNamespacesTest, KnowsCgroupNamespacesOfContainersOnly) {
  v1::NamespaceOption options;
  EXPECT_EQ(FromNamespaces(options, true, "n")->cgroup(),
            state::v1::NAMESPACE_MODE_POD);
  for (const v1::NamespaceMode mode :
       {v1::POD, v1::CONTAINER, v1::NODE, v1::TARGET}) {
    options.mutable_cgroupns_options()->set_mode(mode);
    EXPECT_FALSE(FromNamespaces(options, false, "n").ok()) << mode;
    const auto ours = FromNamespaces(options, true, "n");
    EXPECT_EQ(ours.ok(), mode == v1::CONTAINER || mode == v1::NODE) << mode;
    if (!ours.ok()) continue;
    EXPECT_EQ(ToNamespaces(*ours).SerializeAsString(),
              options.SerializeAsString());
  }
}

TEST(SignalTest, HasTheKernelsNumbers) {
  EXPECT_EQ(*FromSignal(v1::SIGNAL_RUNTIME_DEFAULT, "f"), 0);
  EXPECT_EQ(*FromSignal(v1::SIGNAL_SIGTERM, "f"), SIGTERM);
  EXPECT_EQ(*FromSignal(v1::SIGNAL_SIGCLD, "f"), SIGCHLD);
  EXPECT_EQ(*FromSignal(v1::SIGNAL_SIGRTMIN, "f"), 34);
  EXPECT_EQ(*FromSignal(v1::SIGNAL_SIGRTMINPLUS15, "f"), 49);
  EXPECT_EQ(*FromSignal(v1::SIGNAL_SIGRTMAXMINUS14, "f"), 50);
  EXPECT_EQ(*FromSignal(v1::SIGNAL_SIGRTMAX, "f"), 64);
}

TEST(SignalTest, EverySignalComesBackUnderItsNumber) {
  for (int value = 1; value <= v1::Signal_MAX; ++value) {
    const auto signal = static_cast<v1::Signal>(value);
    const StatusOr<int> number = FromSignal(signal, "f");
    ASSERT_OK(number);
    EXPECT_EQ(*FromSignal(ToSignal(*number), "f"), *number);
  }
  EXPECT_EQ(ToSignal(SIGTERM), v1::SIGNAL_SIGTERM);
}

TEST(ToPodStatusTest, HasANetworkEvenIfItIsEmpty) {
  state::v1::SandboxRecord record;
  record.set_phase(state::v1::SANDBOX_PHASE_READY);
  record.mutable_network()->add_ips()->set_address("10.0.0.2");
  record.mutable_network()->add_ips()->set_address("fd00::2");
  v1::PodSandboxStatus status = ToPodStatus(record);
  EXPECT_EQ(status.state(), v1::SANDBOX_READY);
  EXPECT_EQ(status.network().ip(), "10.0.0.2");
  EXPECT_EQ(status.network().additional_ips(0).ip(), "fd00::2");
  record.set_phase(state::v1::SANDBOX_PHASE_STOPPED);
  status = ToPodStatus(record);
  EXPECT_EQ(status.state(), v1::SANDBOX_NOTREADY);
  EXPECT_TRUE(status.has_network());
  EXPECT_EQ(status.network().ip(), "");
}

TEST(ToContainerStatusTest, TellsThePhasesApart) {
  using namespace state::v1;
  EXPECT_EQ(ToState(CONTAINER_PHASE_CREATED), v1::CONTAINER_CREATED);
  EXPECT_EQ(ToState(CONTAINER_PHASE_STARTING), v1::CONTAINER_CREATED);
  EXPECT_EQ(ToState(CONTAINER_PHASE_RUNNING), v1::CONTAINER_RUNNING);
  EXPECT_EQ(ToState(CONTAINER_PHASE_STOPPING), v1::CONTAINER_RUNNING);
  EXPECT_EQ(ToState(CONTAINER_PHASE_EXITED), v1::CONTAINER_EXITED);
}

TEST(ToContainerStatusTest, SaysHowItEnded) {
  state::v1::ContainerRecord record;
  record.set_id("i");
  record.set_phase(state::v1::CONTAINER_PHASE_EXITED);
  record.set_exit_code(137);
  record.set_reason("OOMKilled");
  record.set_stop_signal(SIGTERM);
  record.mutable_user()->add_supplemental_groups(5);
  record.mutable_user()->add_supplemental_groups(3);
  const v1::ContainerStatus status = ToContainerStatus(record);
  EXPECT_EQ(status.exit_code(), 137);
  EXPECT_EQ(status.reason(), "OOMKilled");
  EXPECT_EQ(status.stop_signal(), v1::SIGNAL_SIGTERM);
  EXPECT_THAT(status.user().linux().supplemental_groups(), ElementsAre(3, 5));
}

TEST(ToContainerStatusTest, NamesTheImageAsItsUserWroteIt) {
  state::v1::ContainerRecord record;
  record.mutable_config()->set_image("sha256:abc");
  EXPECT_EQ(ToContainerStatus(record).image().image(), "sha256:abc");
  record.mutable_config()->set_user_specified_image("busybox:1");
  EXPECT_EQ(ToContainerStatus(record).image().image(), "busybox:1");
  EXPECT_EQ(ToContainer(record).image().image(), "sha256:abc");
}

TEST(WordFirstTest, IsTheFormThatKubeletKnows) {
  const Status error = WithWord(NotFound("no image"), "MountFailed");
  EXPECT_THAT(WordFirst(Annotate(error, "create")),
              StatusIs(StatusCode::kUnknown));
  EXPECT_EQ(Message(WordFirst(Annotate(error, "create"))),
            "MountFailed: create: no image");
  const Status first =
      WithWord(Unavailable("MountFailed: busy"), "MountFailed");
  EXPECT_EQ(Message(WordFirst(first)), "MountFailed: busy");
  EXPECT_EQ(WordFirst(NotFound("x")), NotFound("x"));
  EXPECT_OK(WordFirst(OkStatus()));
}

TEST(FromFilterTest, TurnsAStateIntoItsPhases) {
  v1::ContainerFilter filter;
  EXPECT_THAT(FromFilter(filter).phases, IsEmpty());
  filter.mutable_state()->set_state(v1::CONTAINER_RUNNING);
  EXPECT_THAT(FromFilter(filter).phases,
              ElementsAre(state::v1::CONTAINER_PHASE_RUNNING,
                          state::v1::CONTAINER_PHASE_STOPPING));
}

}  // namespace
}  // namespace berth::cri
