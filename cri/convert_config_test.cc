// What comes in goes out again as it came.
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include "base/testing/status_matchers.h"
#include "cri/convert.h"

namespace berth::cri {
namespace {

using google::protobuf::util::MessageDifferencer;

template <typename Context>
void FillSecurity(Context& context) {
  context.set_privileged(true);
  context.set_readonly_rootfs(true);
  context.add_supplemental_groups(7);
  context.mutable_run_as_user()->set_value(1000);
  context.mutable_run_as_group()->set_value(1001);
  context.mutable_seccomp()->set_profile_type(v1::SecurityProfile::Localhost);
  context.mutable_seccomp()->set_localhost_ref("/profiles/a.json");
  context.mutable_apparmor()->set_profile_type(v1::SecurityProfile::Unconfined);
  context.mutable_selinux_options()->set_level("s0:c1");
  context.mutable_namespace_options()->set_pid(v1::CONTAINER);
}

TEST(ToPodConfigTest, GivesBackWhatCame) {
  v1::PodSandboxConfig config;
  config.mutable_metadata()->set_name("p");
  config.mutable_metadata()->set_namespace_("n");
  config.mutable_metadata()->set_uid("u");
  config.mutable_metadata()->set_attempt(2);
  config.set_hostname("h");
  config.set_log_directory("/logs");
  config.mutable_dns_config()->add_servers("10.0.0.1");
  config.mutable_dns_config()->add_searches("example.com");
  config.mutable_dns_config()->add_options("ndots:5");
  v1::PortMapping& port = *config.add_port_mappings();
  port.set_protocol(v1::UDP);
  port.set_container_port(53);
  port.set_host_port(1053);
  port.set_host_ip("127.0.0.1");
  (*config.mutable_labels())["l"] = "1";
  (*config.mutable_annotations())["a"] = "2";
  v1::LinuxPodSandboxConfig& linux_part = *config.mutable_linux();
  linux_part.set_cgroup_parent("/pods/p");
  (*linux_part.mutable_sysctls())["net.ipv4.ip_forward"] = "1";
  FillSecurity(*linux_part.mutable_security_context());
  linux_part.mutable_overhead()->set_cpu_quota(5);
  linux_part.mutable_resources()->set_cpu_shares(6);
  const auto ours = FromPodConfig(config, "");
  ASSERT_OK(ours);
  const v1::PodSandboxConfig back = ToPodConfig(*ours);
  EXPECT_TRUE(MessageDifferencer::Equals(back, config))
      << back.DebugString() << config.DebugString();
}

TEST(ToContainerConfigTest, GivesBackWhatCame) {
  v1::ContainerConfig config;
  config.mutable_metadata()->set_name("c");
  config.mutable_metadata()->set_attempt(1);
  config.mutable_image()->set_image("sha256:abc");
  config.mutable_image()->set_user_specified_image("busybox:1");
  config.add_command("sh");
  config.add_args("-c");
  config.set_working_dir("/w");
  config.add_envs()->set_key("K");
  config.mutable_envs(0)->set_value("V");
  v1::Mount& mount = *config.add_mounts();
  mount.set_container_path("/m");
  mount.set_host_path("/h");
  mount.set_readonly(true);
  mount.set_propagation(v1::PROPAGATION_HOST_TO_CONTAINER);
  v1::Device& device = *config.add_devices();
  device.set_host_path("/dev/a");
  device.set_container_path("/dev/b");
  device.set_permissions("rw");
  config.add_cdi_devices()->set_name("v.com/c=1");
  (*config.mutable_labels())["l"] = "1";
  (*config.mutable_annotations())["a"] = "2";
  config.set_log_path("c/0.log");
  config.set_stdin(true);
  config.set_stdin_once(true);
  config.set_tty(true);
  config.set_stop_signal(v1::SIGNAL_SIGHUP);
  config.mutable_linux()->mutable_resources()->set_cpu_shares(512);
  v1::LinuxContainerSecurityContext& context =
      *config.mutable_linux()->mutable_security_context();
  FillSecurity(context);
  context.set_no_new_privs(true);
  context.add_masked_paths("/proc/kcore");
  context.add_readonly_paths("/proc/sys");
  context.set_supplemental_groups_policy(v1::Strict);
  context.mutable_capabilities()->add_add_capabilities("NET_ADMIN");
  context.mutable_capabilities()->add_drop_capabilities("ALL");
  context.mutable_capabilities()->add_add_ambient_capabilities("CHOWN");
  const auto ours = FromContainerConfig(config, [](const std::string& name) {
    return StatusOr<ImageNames>(ImageNames{name, name});
  });
  ASSERT_OK(ours);
  v1::ContainerConfig back = ToContainerConfig(*ours);
  // The status shows each field of resources, set or not.
  EXPECT_EQ(back.linux().resources().cpu_shares(), 512);
  *back.mutable_linux()->mutable_resources() = config.linux().resources();
  EXPECT_TRUE(MessageDifferencer::Equals(back, config))
      << back.DebugString() << config.DebugString();
}

}  // namespace
}  // namespace berth::cri
