#include "base/strings.h"
#include "cri/convert.h"

namespace berth::cri {
namespace {

using state::v1::SandboxConfig;
using state::v1::SandboxRecord;

constexpr int kMaxPort = 65535;

Status FromMetadata(const v1::PodSandboxMetadata& metadata,
                    state::v1::SandboxMetadata& ours) {
  for (const auto& [field, value] :
       {std::pair("name", metadata.name()),
        std::pair("namespace", metadata.namespace_()),
        std::pair("uid", metadata.uid())}) {
    if (value.empty()) {
      return InvalidArgument("config.metadata." + std::string(field) +
                             ": is missing");
    }
  }
  ours.set_name(metadata.name());
  ours.set_namespace_(metadata.namespace_());
  ours.set_uid(metadata.uid());
  ours.set_attempt(metadata.attempt());
  return OkStatus();
}

StatusOr<state::v1::Protocol> FromProtocol(v1::Protocol protocol) {
  switch (protocol) {
    case v1::TCP:
      return state::v1::PROTOCOL_TCP;
    case v1::UDP:
      return state::v1::PROTOCOL_UDP;
    case v1::SCTP:
      return state::v1::PROTOCOL_SCTP;
    default:
      return InvalidArgument("config.port_mappings.protocol: unknown");
  }
}

Status FromPorts(const v1::PodSandboxConfig& config, SandboxConfig& ours) {
  for (const v1::PortMapping& mapping : config.port_mappings()) {
    if (mapping.container_port() < 1 || mapping.container_port() > kMaxPort ||
        mapping.host_port() < 0 || mapping.host_port() > kMaxPort) {
      return InvalidArgument("config.port_mappings: port out of range");
    }
    ASSIGN_OR_RETURN(const state::v1::Protocol protocol,
                     FromProtocol(mapping.protocol()));
    state::v1::PortMapping& port = *ours.add_port_mappings();
    port.set_protocol(protocol);
    port.set_container_port(static_cast<uint32_t>(mapping.container_port()));
    port.set_host_port(static_cast<uint32_t>(mapping.host_port()));
    port.set_host_ip(mapping.host_ip());
  }
  return OkStatus();
}

Status FromSecurity(const v1::LinuxSandboxSecurityContext& context,
                    SandboxConfig& ours) {
  const std::string field = "config.linux.security_context";
  ASSIGN_OR_RETURN(*ours.mutable_namespaces(),
                   FromNamespaces(context.namespace_options(), false,
                                  field + ".namespace_options"));
  state::v1::SandboxSecurity& security = *ours.mutable_security();
  security.set_privileged(context.privileged());
  security.set_readonly_rootfs(context.readonly_rootfs());
  // supplemental_groups_policy asks what the groups of an image are worth; a
  // sandbox has no image.
  *security.mutable_supplemental_groups() = context.supplemental_groups();
  if (context.has_run_as_user()) {
    security.set_run_as_user(context.run_as_user().value());
  }
  if (context.has_run_as_group()) {
    if (!context.has_run_as_user()) {
      return InvalidArgument(field + ".run_as_group: needs run_as_user");
    }
    security.set_run_as_group(context.run_as_group().value());
  }
  if (context.has_selinux_options()) {
    *security.mutable_selinux() = FromSelinux(context.selinux_options());
  }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  const std::string& old_seccomp = context.seccomp_profile_path();
#pragma GCC diagnostic pop
  ASSIGN_OR_RETURN(
      *security.mutable_seccomp(),
      FromProfile(ProfileOf::kSeccomp,
                  context.has_seccomp() ? &context.seccomp() : nullptr,
                  old_seccomp, field + ".seccomp"));
  ASSIGN_OR_RETURN(
      *security.mutable_apparmor(),
      FromProfile(ProfileOf::kAppArmor,
                  context.has_apparmor() ? &context.apparmor() : nullptr, "",
                  field + ".apparmor"));
  return OkStatus();
}

Status FromLinux(const v1::LinuxPodSandboxConfig& config, SandboxConfig& ours) {
  ours.set_cgroup_parent(config.cgroup_parent());
  RETURN_IF_ERROR(FromSecurity(config.security_context(), ours));
  *ours.mutable_sysctls() = config.sysctls();
  if (config.has_overhead()) {
    ASSIGN_OR_RETURN(*ours.mutable_overhead(),
                     FromResources(config.overhead(), "config.linux.overhead"));
  }
  if (config.has_resources()) {
    ASSIGN_OR_RETURN(
        *ours.mutable_resources(),
        FromResources(config.resources(), "config.linux.resources"));
  }
  return OkStatus();
}

v1::PodSandboxMetadata ToMetadata(const SandboxRecord& record) {
  const state::v1::SandboxMetadata& ours = record.config().metadata();
  v1::PodSandboxMetadata metadata;
  metadata.set_name(ours.name());
  metadata.set_uid(ours.uid());
  metadata.set_namespace_(ours.namespace_());
  metadata.set_attempt(ours.attempt());
  return metadata;
}

// What a status, a list entry and the statistics say alike.
template <typename Message>
void FillAttributes(const SandboxRecord& record, Message& message) {
  message.set_id(record.id());
  *message.mutable_metadata() = ToMetadata(record);
  *message.mutable_labels() = record.config().labels();
  *message.mutable_annotations() = record.config().annotations();
}

}  // namespace

StatusOr<SandboxConfig> FromPodConfig(const v1::PodSandboxConfig& config,
                                      const std::string& runtime_handler) {
  SandboxConfig ours;
  ours.set_kind(state::v1::SANDBOX_KIND_POD);
  RETURN_IF_ERROR(FromMetadata(config.metadata(), *ours.mutable_metadata()));
  if (config.has_windows()) {
    return Unimplemented("config.windows: this is a Linux runtime");
  }
  if (!config.log_directory().empty() && config.log_directory()[0] != '/') {
    return InvalidArgument("config.log_directory: must be absolute");
  }
  ours.set_hostname(config.hostname());
  ours.set_log_directory(config.log_directory());
  if (config.has_dns_config()) {
    state::v1::DnsConfig& dns = *ours.mutable_dns();
    *dns.mutable_servers() = config.dns_config().servers();
    *dns.mutable_searches() = config.dns_config().searches();
    *dns.mutable_options() = config.dns_config().options();
  }
  RETURN_IF_ERROR(FromPorts(config, ours));
  *ours.mutable_labels() = config.labels();
  *ours.mutable_annotations() = config.annotations();
  RETURN_IF_ERROR(FromLinux(config.linux(), ours));
  ours.set_runtime_handler(runtime_handler);
  return ours;
}

v1::PodSandboxState ToState(state::v1::SandboxPhase phase) {
  return phase == state::v1::SANDBOX_PHASE_READY ? v1::SANDBOX_READY
                                                 : v1::SANDBOX_NOTREADY;
}

v1::PodSandboxStatus ToPodStatus(const SandboxRecord& record) {
  v1::PodSandboxStatus status;
  FillAttributes(record, status);
  status.set_state(ToState(record.phase()));
  status.set_created_at(record.created_at());
  status.set_runtime_handler(record.config().runtime_handler());
  *status.mutable_linux()->mutable_namespaces()->mutable_options() =
      ToNamespaces(record.config().namespaces());
  // Present even if empty: clients read through it.
  v1::PodSandboxNetworkStatus& network = *status.mutable_network();
  if (record.phase() != state::v1::SANDBOX_PHASE_READY) return status;
  bool primary = true;
  for (const state::v1::PodIp& ip : record.network().ips()) {
    if (primary) {
      network.set_ip(ip.address());
    } else {
      network.add_additional_ips()->set_ip(ip.address());
    }
    primary = false;
  }
  return status;
}

v1::PodSandbox ToPod(const SandboxRecord& record) {
  v1::PodSandbox pod;
  FillAttributes(record, pod);
  pod.set_state(ToState(record.phase()));
  pod.set_created_at(record.created_at());
  pod.set_runtime_handler(record.config().runtime_handler());
  return pod;
}

v1::PodSandboxAttributes ToAttributes(const SandboxRecord& record) {
  v1::PodSandboxAttributes attributes;
  FillAttributes(record, attributes);
  return attributes;
}

sandbox::SandboxFilter FromFilter(const v1::PodSandboxFilter& filter) {
  sandbox::SandboxFilter ours;
  ours.kind = state::v1::SANDBOX_KIND_POD;
  ours.id_or_prefix = filter.id();
  if (filter.has_state()) {
    ours.ready = filter.state().state() == v1::SANDBOX_READY;
  }
  ours.labels = {filter.label_selector().begin(),
                 filter.label_selector().end()};
  return ours;
}

sandbox::SandboxFilter FromFilter(const v1::PodSandboxStatsFilter& filter) {
  sandbox::SandboxFilter ours;
  ours.kind = state::v1::SANDBOX_KIND_POD;
  ours.id_or_prefix = filter.id();
  ours.labels = {filter.label_selector().begin(),
                 filter.label_selector().end()};
  return ours;
}

}  // namespace berth::cri
