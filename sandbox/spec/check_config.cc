#include "sandbox/spec/check_config.h"

#include <algorithm>
#include <set>
#include <string>

#include "base/strings.h"
#include "sandbox/cdi/cdi_file.h"
#include "sandbox/spec/id_maps.h"
#include "sandbox/spec/security.h"

namespace berth::sandbox {
namespace {

using ::berth::state::v1::ContainerConfig;
using ::berth::state::v1::NamespaceOptions;
using ::berth::state::v1::SandboxConfig;

// uname(2) has room for this much.
constexpr size_t kMaxHostname = 64;
constexpr int kMaxNetworks = 64;  // of one sandbox
constexpr size_t kMaxName = 4096;

bool HasControl(const std::string& text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
}

Status CheckName(const std::string& name, const std::string& field) {
  if (name.empty()) return InvalidArgument(field + ": missing");
  if (name.size() > kMaxName || HasControl(name)) {
    return InvalidArgument(field + " " + Quoted(name.substr(0, 64)) +
                           ": not a name");
  }
  return OkStatus();
}

Status CheckMetadata(const SandboxConfig& config) {
  const auto& metadata = config.metadata();
  RETURN_IF_ERROR(CheckName(metadata.name(), "metadata.name"));
  if (config.kind() != state::v1::SANDBOX_KIND_POD) return OkStatus();
  RETURN_IF_ERROR(CheckName(metadata.namespace_(), "metadata.namespace"));
  return CheckName(metadata.uid(), "metadata.uid");
}

Status CheckNamespaces(const NamespaceOptions& options) {
  using namespace ::berth::state::v1;
  if (options.network() == NAMESPACE_MODE_CONTAINER) {
    return InvalidArgument("namespaces.network: CONTAINER");
  }
  if (options.ipc() == NAMESPACE_MODE_CONTAINER ||
      options.ipc() == NAMESPACE_MODE_NONE) {
    return InvalidArgument("namespaces.ipc: CONTAINER or NONE");
  }
  if (options.pid() == NAMESPACE_MODE_TARGET ||
      options.pid() == NAMESPACE_MODE_NONE) {
    return InvalidArgument("namespaces.pid: TARGET or NONE for a sandbox");
  }
  if ((options.uid_mappings_size() > 0) != (options.gid_mappings_size() > 0)) {
    return InvalidArgument(
        "namespaces: uid_mappings or gid_mappings, not both");
  }
  // Its /sys and its sysctls would be the host's.
  if (options.uid_mappings_size() > 0 &&
      options.network() == NAMESPACE_MODE_NODE) {
    return Unimplemented(
        "namespaces.uid_mappings: a user namespace in the host's network");
  }
  return OkStatus();
}

Status CheckDns(const state::v1::DnsConfig& dns) {
  for (const auto* list : {&dns.servers(), &dns.searches(), &dns.options()}) {
    for (const std::string& item : *list) {
      if (item.empty() || HasControl(item) ||
          item.find(' ') != std::string::npos) {
        return InvalidArgument("dns " + Quoted(item) + ": not a word");
      }
    }
  }
  return OkStatus();
}

Status CheckPorts(const SandboxConfig& config) {
  for (const auto& port : config.port_mappings()) {
    if (port.container_port() > 65535 || port.host_port() > 65535 ||
        (port.host_port() > 0 && port.container_port() == 0)) {
      return InvalidArgument(
          "port_mappings: " + std::to_string(port.host_port()) + " to " +
          std::to_string(port.container_port()));
    }
  }
  return OkStatus();
}

Status CheckEnv(const ContainerConfig& config) {
  for (const auto& var : config.env()) {
    if (var.name().empty() || var.name().find('=') != std::string::npos ||
        var.name().find('\0') != std::string::npos ||
        var.value().find('\0') != std::string::npos) {
      return InvalidArgument("env " + Quoted(var.name()) + ": not a variable");
    }
  }
  return OkStatus();
}

Status CheckMounts(const ContainerConfig& config) {
  static const std::set<std::string> kKnown = {"noexec", "nodev", "nosuid"};
  for (const auto& mount : config.mounts()) {
    if (mount.selinux_relabel() && mount.host_path() == "/") {
      return InvalidArgument("mount selinux_relabel: of the host's root");
    }
    if (mount.type() == state::v1::MOUNT_TYPE_TMPFS) continue;
    for (const std::string& option : mount.options()) {
      if (kKnown.count(option) == 0) {
        return InvalidArgument("mount option " + Quoted(option) +
                               ": not known for a bind");
      }
    }
  }
  return OkStatus();
}

Status CheckContainerNamespaces(const ContainerConfig& config,
                                const SandboxConfig& sandbox) {
  using namespace ::berth::state::v1;
  const auto& own = config.security().namespaces();
  if (own.uid_mappings_size() > 0 || own.gid_mappings_size() > 0) {
    // All containers of a sandbox are in its user namespace.
    SandboxConfig same;
    *same.mutable_namespaces() = own;
    if (IdMapsOf(same) != IdMapsOf(sandbox)) {
      return InvalidArgument(
          "namespaces.uid_mappings: not those of the sandbox");
    }
  }
  if (own.pid() == NAMESPACE_MODE_TARGET && own.target_id().empty()) {
    return InvalidArgument("namespaces.target_id: missing");
  }
  const bool privileged = config.security().privileged();
  const auto cgroups = config.security().cgroup_mount();
  if (cgroups == CGROUP_MOUNT_READ_ONLY && privileged) {
    return InvalidArgument(
        "cgroup_mount_mode: READ_ONLY for a privileged container");
  }
  if (cgroups == CGROUP_MOUNT_READ_WRITE && !privileged &&
      own.cgroup() == NAMESPACE_MODE_NODE) {
    return InvalidArgument(
        "cgroup_mount_mode: READ_WRITE of the host's cgroup namespace");
  }
  if (own.pid() == NAMESPACE_MODE_NODE && sandbox.kind() == SANDBOX_KIND_POD &&
      sandbox.namespaces().pid() != NAMESPACE_MODE_NODE) {
    return InvalidArgument("namespaces.pid: NODE, but not the sandbox's");
  }
  return OkStatus();
}

}  // namespace

Status CheckSandboxConfig(const SandboxConfig& config) {
  RETURN_IF_ERROR(CheckMetadata(config));
  RETURN_IF_ERROR(CheckNamespaces(config.namespaces()));
  if (config.hostname().size() > kMaxHostname ||
      HasControl(config.hostname())) {
    return InvalidArgument("hostname " + Quoted(config.hostname()) +
                           ": longer than 64 bytes, or no name");
  }
  if (config.domainname().size() > kMaxHostname ||
      HasControl(config.domainname())) {
    return InvalidArgument("domainname " + Quoted(config.domainname()) +
                           ": longer than 64 bytes, or no name");
  }
  RETURN_IF_ERROR(CheckDns(config.dns()));
  RETURN_IF_ERROR(CheckPorts(config));
  if (config.networks_size() > kMaxNetworks) {
    return InvalidArgument("networks: more than 64");
  }
  if (config.shm_size() < 0) return InvalidArgument("shm_size: negative");
  const auto& security = config.security();
  if (security.has_run_as_group() && !security.has_run_as_user()) {
    return InvalidArgument("run_as_group: set without run_as_user");
  }
  return CheckSelinux(security.selinux());
}

Status CheckContainerConfig(const ContainerConfig& config,
                            const SandboxConfig& sandbox) {
  RETURN_IF_ERROR(CheckName(config.name(), "name"));
  if (config.image_id().empty()) return InvalidArgument("image_id: missing");
  for (const std::string& name : config.cdi_devices()) {
    RETURN_IF_ERROR(CheckCdiName(name));
  }
  if (config.security().privileged() && !sandbox.security().privileged()) {
    return InvalidArgument(
        "security.privileged: the sandbox does not permit it");
  }
  if (config.stop_signal() < 0 || config.stop_signal() > 64) {
    return InvalidArgument("stop_signal " +
                           std::to_string(config.stop_signal()) +
                           ": not a signal");
  }
  if (config.log().max_size() < 0) {
    return InvalidArgument("log.max_size: negative");
  }
  RETURN_IF_ERROR(CheckContainerNamespaces(config, sandbox));
  RETURN_IF_ERROR(CheckEnv(config));
  RETURN_IF_ERROR(CheckMounts(config));
  return CheckSelinux(config.security().selinux());
}

}  // namespace berth::sandbox
