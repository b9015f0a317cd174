// Our configurations back in the form in which the CRI brought them.
#include "cri/convert.h"

namespace berth::cri {
namespace {

v1::SecurityProfile ToProfile(const state::v1::SecurityProfile& ours) {
  v1::SecurityProfile profile;
  profile.set_localhost_ref(ours.localhost_ref());
  switch (ours.type()) {
    case state::v1::SecurityProfile::RUNTIME_DEFAULT:
      profile.set_profile_type(v1::SecurityProfile::RuntimeDefault);
      break;
    case state::v1::SecurityProfile::LOCALHOST:
      profile.set_profile_type(v1::SecurityProfile::Localhost);
      break;
    case state::v1::SecurityProfile::OCI:
      profile.set_profile_type(v1::SecurityProfile::OCI);
      profile.set_oci_ref(ours.oci_ref());
      if (!ours.base_localhost_ref().empty()) {
        v1::SecurityProfileBase& base = *profile.mutable_base_profile();
        base.set_type(v1::SecurityProfileBase::Localhost);
        base.set_localhost_ref(ours.base_localhost_ref());
      }
      break;
    default:
      profile.set_profile_type(v1::SecurityProfile::Unconfined);
  }
  return profile;
}

v1::Protocol ToProtocol(state::v1::Protocol ours) {
  switch (ours) {
    case state::v1::PROTOCOL_UDP:
      return v1::UDP;
    case state::v1::PROTOCOL_SCTP:
      return v1::SCTP;
    default:
      return v1::TCP;
  }
}

// What the security of a sandbox and of a container say alike.
template <typename Ours, typename Context>
void FillSecurity(const Ours& ours, Context& context) {
  context.set_privileged(ours.privileged());
  context.set_readonly_rootfs(ours.readonly_rootfs());
  *context.mutable_supplemental_groups() = ours.supplemental_groups();
  if (ours.has_run_as_user()) {
    context.mutable_run_as_user()->set_value(ours.run_as_user());
  }
  if (ours.has_run_as_group()) {
    context.mutable_run_as_group()->set_value(ours.run_as_group());
  }
  if (ours.seccomp().type() != state::v1::SecurityProfile::UNSET) {
    *context.mutable_seccomp() = ToProfile(ours.seccomp());
  }
  if (ours.apparmor().type() != state::v1::SecurityProfile::UNSET) {
    *context.mutable_apparmor() = ToProfile(ours.apparmor());
  }
  if (ours.has_selinux()) {
    v1::SELinuxOption& selinux = *context.mutable_selinux_options();
    selinux.set_user(ours.selinux().user());
    selinux.set_role(ours.selinux().role());
    selinux.set_type(ours.selinux().type());
    selinux.set_level(ours.selinux().level());
  }
}

v1::LinuxPodSandboxConfig ToLinux(const state::v1::SandboxConfig& ours) {
  v1::LinuxPodSandboxConfig linux_part;
  linux_part.set_cgroup_parent(ours.cgroup_parent());
  *linux_part.mutable_sysctls() = ours.sysctls();
  v1::LinuxSandboxSecurityContext& context =
      *linux_part.mutable_security_context();
  *context.mutable_namespace_options() = ToNamespaces(ours.namespaces());
  FillSecurity(ours.security(), context);
  if (ours.has_overhead()) {
    *linux_part.mutable_overhead() = ToResources(ours.overhead());
  }
  if (ours.has_resources()) {
    *linux_part.mutable_resources() = ToResources(ours.resources());
  }
  return linux_part;
}

v1::LinuxContainerConfig ToLinux(const state::v1::ContainerConfig& ours) {
  v1::LinuxContainerConfig linux_part;
  *linux_part.mutable_resources() = ToResources(ours.resources());
  const state::v1::ContainerSecurity& security = ours.security();
  v1::LinuxContainerSecurityContext& context =
      *linux_part.mutable_security_context();
  *context.mutable_namespace_options() = ToNamespaces(security.namespaces());
  FillSecurity(security, context);
  context.set_run_as_username(security.run_as_username());
  context.set_no_new_privs(security.no_new_privileges());
  context.set_cgroup_mount_mode(
      static_cast<v1::CgroupMountMode>(security.cgroup_mount()));
  *context.mutable_masked_paths() = security.masked_paths();
  *context.mutable_readonly_paths() = security.readonly_paths();
  if (security.groups_policy() == state::v1::GROUPS_POLICY_STRICT) {
    context.set_supplemental_groups_policy(v1::Strict);
  }
  v1::Capability& capabilities = *context.mutable_capabilities();
  *capabilities.mutable_add_capabilities() = security.add_capabilities();
  *capabilities.mutable_drop_capabilities() = security.drop_capabilities();
  *capabilities.mutable_add_ambient_capabilities() =
      security.ambient_capabilities();
  return linux_part;
}

void FillDevices(const state::v1::ContainerConfig& ours,
                 v1::ContainerConfig& config) {
  for (const state::v1::Device& ours_device : ours.devices()) {
    v1::Device& device = *config.add_devices();
    device.set_host_path(ours_device.host_path());
    device.set_container_path(ours_device.container_path());
    device.set_permissions(ours_device.permissions());
  }
  for (const std::string& name : ours.cdi_devices()) {
    config.add_cdi_devices()->set_name(name);
  }
}

}  // namespace

v1::PodSandboxConfig ToPodConfig(const state::v1::SandboxConfig& ours) {
  v1::PodSandboxConfig config;
  v1::PodSandboxMetadata& metadata = *config.mutable_metadata();
  metadata.set_name(ours.metadata().name());
  metadata.set_uid(ours.metadata().uid());
  metadata.set_namespace_(ours.metadata().namespace_());
  metadata.set_attempt(ours.metadata().attempt());
  config.set_hostname(ours.hostname());
  config.set_log_directory(ours.log_directory());
  if (ours.has_dns()) {
    v1::DNSConfig& dns = *config.mutable_dns_config();
    *dns.mutable_servers() = ours.dns().servers();
    *dns.mutable_searches() = ours.dns().searches();
    *dns.mutable_options() = ours.dns().options();
  }
  for (const state::v1::PortMapping& port : ours.port_mappings()) {
    v1::PortMapping& mapping = *config.add_port_mappings();
    mapping.set_protocol(ToProtocol(port.protocol()));
    mapping.set_container_port(static_cast<int32_t>(port.container_port()));
    mapping.set_host_port(static_cast<int32_t>(port.host_port()));
    mapping.set_host_ip(port.host_ip());
  }
  *config.mutable_labels() = ours.labels();
  *config.mutable_annotations() = ours.annotations();
  *config.mutable_linux() = ToLinux(ours);
  return config;
}

v1::ContainerConfig ToContainerConfig(const state::v1::ContainerConfig& ours) {
  v1::ContainerConfig config;
  config.mutable_metadata()->set_name(ours.name());
  config.mutable_metadata()->set_attempt(ours.attempt());
  config.mutable_image()->set_image(ours.image());
  config.mutable_image()->set_user_specified_image(ours.user_specified_image());
  *config.mutable_command() = ours.command();
  *config.mutable_args() = ours.args();
  config.set_working_dir(ours.working_dir());
  for (const state::v1::EnvVar& variable : ours.env()) {
    v1::KeyValue& env = *config.add_envs();
    env.set_key(variable.name());
    env.set_value(variable.value());
  }
  for (const state::v1::Mount& mount : ours.mounts()) {
    *config.add_mounts() = ToMount(mount);
  }
  FillDevices(ours, config);
  *config.mutable_labels() = ours.labels();
  *config.mutable_annotations() = ours.annotations();
  config.set_log_path(ours.log().path());
  config.set_stdin(ours.stdin());
  config.set_stdin_once(ours.stdin_once());
  config.set_tty(ours.tty());
  *config.mutable_linux() = ToLinux(ours);
  if (ours.stop_signal() != 0) {
    config.set_stop_signal(ToSignal(ours.stop_signal()));
  }
  return config;
}

}  // namespace berth::cri
