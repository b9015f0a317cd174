#include <set>

#include "base/error/word.h"
#include "base/strings.h"
#include "cri/convert.h"

namespace berth::cri {
namespace {

using state::v1::ContainerConfig;

constexpr char kSecurity[] = "config.linux.security_context";

bool HoldsNul(const std::string& text) {
  return text.find('\0') != std::string::npos;
}

Status FromIdentity(const v1::ContainerConfig& config, ContainerConfig& ours) {
  if (config.metadata().name().empty()) {
    return InvalidArgument("config.metadata.name: is missing");
  }
  ours.set_name(config.metadata().name());
  ours.set_attempt(config.metadata().attempt());
  *ours.mutable_labels() = config.labels();
  *ours.mutable_annotations() = config.annotations();
  return OkStatus();
}

Status FromImage(const v1::ImageSpec& image, const ImageResolver& images,
                 ContainerConfig& ours) {
  if (image.image().empty()) {
    return InvalidArgument("config.image.image: is missing");
  }
  ASSIGN_OR_RETURN_AS(const ImageNames names, images(image.image()),
                      "config.image " + Quoted(image.image()));
  ours.set_image_id(names.id);
  ours.set_image_ref(names.reference);
  ours.set_image(image.image());
  ours.set_user_specified_image(image.user_specified_image());
  return OkStatus();
}

Status FromProcess(const v1::ContainerConfig& config, ContainerConfig& ours) {
  for (const auto* words : {&config.command(), &config.args()}) {
    for (const std::string& word : *words) {
      if (HoldsNul(word)) {
        return InvalidArgument("config.command or config.args: holds a NUL");
      }
    }
  }
  *ours.mutable_command() = config.command();
  *ours.mutable_args() = config.args();
  const std::string& dir = config.working_dir();
  if (!dir.empty() && (dir[0] != '/' || HoldsNul(dir))) {
    return InvalidArgument("config.working_dir: " + Quoted(dir) +
                           " is not an absolute path");
  }
  ours.set_working_dir(dir);
  for (const v1::KeyValue& env : config.envs()) {
    if (env.key().empty() || env.key().find('=') != std::string::npos ||
        HoldsNul(env.key()) || HoldsNul(env.value())) {
      return InvalidArgument("config.envs: " + Quoted(env.key()) +
                             " cannot be set");
    }
    state::v1::EnvVar& variable = *ours.add_env();
    variable.set_name(env.key());
    variable.set_value(env.value());
  }
  return OkStatus();
}

// The mount is an image's content (KEP 4639).
Status FromImageMount(const v1::Mount& mount, const ImageResolver& images,
                      const std::string& field, state::v1::Mount& ours) {
  if (!mount.host_path().empty()) {
    return InvalidArgument(field + ": has both an image and a host_path");
  }
  if (!mount.readonly()) {
    return InvalidArgument(field + ": an image can only be mounted readonly");
  }
  const StatusOr<ImageNames> names = images(mount.image().image());
  if (!names.ok()) {
    return WithWord(Annotate(names.status(),
                             field + ".image " + Quoted(mount.image().image())),
                    "ImageVolumeMountFailed");
  }
  ours.set_type(state::v1::MOUNT_TYPE_IMAGE);
  ours.set_image(mount.image().image());
  ours.set_image_id(names->id);
  ours.set_image_ref(names->id);
  ours.set_image_sub_path(mount.image_sub_path());
  return OkStatus();
}

Status FromPropagation(const v1::Mount& mount, const std::string& field,
                       state::v1::Mount& ours) {
  switch (mount.propagation()) {
    case v1::PROPAGATION_PRIVATE:
      ours.set_propagation(state::v1::MOUNT_PROPAGATION_PRIVATE);
      break;
    case v1::PROPAGATION_HOST_TO_CONTAINER:
      ours.set_propagation(state::v1::MOUNT_PROPAGATION_HOST_TO_CONTAINER);
      break;
    case v1::PROPAGATION_BIDIRECTIONAL:
      ours.set_propagation(state::v1::MOUNT_PROPAGATION_BIDIRECTIONAL);
      break;
    default:
      return InvalidArgument(field + ".propagation: unknown");
  }
  if (!mount.recursive_read_only()) return OkStatus();
  if (!mount.readonly() || mount.propagation() != v1::PROPAGATION_PRIVATE) {
    return InvalidArgument(field +
                           ".recursive_read_only: needs readonly and "
                           "private propagation");
  }
  ours.set_recursive_readonly(true);
  return OkStatus();
}

void FromMappings(
    const google::protobuf::RepeatedPtrField<v1::IDMapping>& from,
    google::protobuf::RepeatedPtrField<state::v1::IdMapping>& to) {
  for (const v1::IDMapping& line : from) {
    state::v1::IdMapping& ours = *to.Add();
    ours.set_container_id(line.container_id());
    ours.set_host_id(line.host_id());
    ours.set_size(line.length());
  }
}

StatusOr<state::v1::Mount> FromMount(const v1::Mount& mount,
                                     const ImageResolver& images) {
  const std::string field = "config.mounts " + Quoted(mount.container_path());
  if (mount.container_path().empty() || HoldsNul(mount.container_path())) {
    return InvalidArgument(field + ": has no container_path");
  }
  state::v1::Mount ours;
  ours.set_container_path(mount.container_path());
  ours.set_readonly(mount.readonly());
  if (mount.has_image() && !mount.image().image().empty()) {
    RETURN_IF_ERROR(FromImageMount(mount, images, field, ours));
  } else if (mount.host_path().empty() || mount.host_path()[0] != '/' ||
             HoldsNul(mount.host_path())) {
    return InvalidArgument(field + ".host_path: " + Quoted(mount.host_path()) +
                           " is not an absolute path");
  } else if (!mount.image_sub_path().empty()) {
    return InvalidArgument(field + ".image_sub_path: needs an image");
  }
  ours.set_host_path(mount.host_path());
  RETURN_IF_ERROR(FromPropagation(mount, field, ours));
  ours.set_selinux_relabel(mount.selinux_relabel());
  FromMappings(mount.uidmappings(), *ours.mutable_uid_mappings());
  FromMappings(mount.gidmappings(), *ours.mutable_gid_mappings());
  for (const std::string& option : mount.mount_options()) {
    if (option != "noexec" && option != "nodev" && option != "nosuid") {
      return InvalidArgument(field + ".mount_options: " + Quoted(option) +
                             " is not noexec, nodev or nosuid");
    }
    ours.add_options(option);
  }
  return ours;
}

Status FromDevices(const v1::ContainerConfig& config, ContainerConfig& ours) {
  for (const v1::Device& device : config.devices()) {
    const std::string field = "config.devices " + Quoted(device.host_path());
    if (device.host_path().empty() || device.host_path()[0] != '/') {
      return InvalidArgument(field + ": host_path is not absolute");
    }
    if (device.permissions().find_first_not_of("rwm") != std::string::npos) {
      return InvalidArgument(field +
                             ".permissions: " + Quoted(device.permissions()) +
                             " holds more than r, w and m");
    }
    state::v1::Device& node = *ours.add_devices();
    node.set_host_path(device.host_path());
    node.set_container_path(device.container_path().empty()
                                ? device.host_path()
                                : device.container_path());
    node.set_permissions(device.permissions());
  }
  for (const v1::CDIDevice& device : config.cdi_devices()) {
    if (device.name().empty()) {
      return InvalidArgument("config.CDI_devices: has no name");
    }
    ours.add_cdi_devices(device.name());
  }
  return OkStatus();
}

Status FromUser(const v1::LinuxContainerSecurityContext& context,
                state::v1::ContainerSecurity& ours) {
  if (context.has_run_as_user() && !context.run_as_username().empty()) {
    return InvalidArgument(std::string(kSecurity) +
                           ": has both run_as_user and run_as_username");
  }
  if (context.has_run_as_user()) {
    ours.set_run_as_user(context.run_as_user().value());
  }
  ours.set_run_as_username(context.run_as_username());
  if (context.has_run_as_group()) {
    if (!context.has_run_as_user() && context.run_as_username().empty()) {
      return InvalidArgument(std::string(kSecurity) +
                             ".run_as_group: needs run_as_user or "
                             "run_as_username");
    }
    ours.set_run_as_group(context.run_as_group().value());
  }
  *ours.mutable_supplemental_groups() = context.supplemental_groups();
  switch (context.supplemental_groups_policy()) {
    case v1::Merge:
      ours.set_groups_policy(state::v1::GROUPS_POLICY_MERGE);
      return OkStatus();
    case v1::Strict:
      ours.set_groups_policy(state::v1::GROUPS_POLICY_STRICT);
      return OkStatus();
    default:
      return InvalidArgument(std::string(kSecurity) +
                             ".supplemental_groups_policy: unknown");
  }
}

Status FromProfiles(const v1::LinuxContainerSecurityContext& context,
                    state::v1::ContainerSecurity& ours) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  const std::string& old_seccomp = context.seccomp_profile_path();
  const std::string& old_apparmor = context.apparmor_profile();
#pragma GCC diagnostic pop
  const std::string field = kSecurity;
  ASSIGN_OR_RETURN(
      *ours.mutable_seccomp(),
      FromProfile(ProfileOf::kSeccomp,
                  context.has_seccomp() ? &context.seccomp() : nullptr,
                  old_seccomp, field + ".seccomp"));
  ASSIGN_OR_RETURN(
      *ours.mutable_apparmor(),
      FromProfile(ProfileOf::kAppArmor,
                  context.has_apparmor() ? &context.apparmor() : nullptr,
                  old_apparmor, field + ".apparmor"));
  if (context.has_selinux_options()) {
    *ours.mutable_selinux() = FromSelinux(context.selinux_options());
  }
  return OkStatus();
}

StatusOr<state::v1::CgroupMount> FromCgroupMount(v1::CgroupMountMode mode) {
  switch (mode) {
    case v1::CGROUP_MOUNT_MODE_UNSPECIFIED:
      return state::v1::CGROUP_MOUNT_DEFAULT;
    case v1::CGROUP_MOUNT_MODE_READ_ONLY:
      return state::v1::CGROUP_MOUNT_READ_ONLY;
    case v1::CGROUP_MOUNT_MODE_READ_WRITE:
      return state::v1::CGROUP_MOUNT_READ_WRITE;
    default:
      return InvalidArgument(std::string(kSecurity) +
                             ".cgroup_mount_mode: unknown");
  }
}

Status FromSecurity(const v1::LinuxContainerSecurityContext& context,
                    state::v1::ContainerSecurity& ours) {
  ASSIGN_OR_RETURN(
      *ours.mutable_namespaces(),
      FromNamespaces(context.namespace_options(), true,
                     std::string(kSecurity) + ".namespace_options"));
  ours.set_privileged(context.privileged());
  ours.set_readonly_rootfs(context.readonly_rootfs());
  ours.set_no_new_privileges(context.no_new_privs());
  ASSIGN_OR_RETURN(const state::v1::CgroupMount mount,
                   FromCgroupMount(context.cgroup_mount_mode()));
  ours.set_cgroup_mount(mount);
  *ours.mutable_masked_paths() = context.masked_paths();
  *ours.mutable_readonly_paths() = context.readonly_paths();
  const v1::Capability& capabilities = context.capabilities();
  *ours.mutable_add_capabilities() = capabilities.add_capabilities();
  *ours.mutable_drop_capabilities() = capabilities.drop_capabilities();
  *ours.mutable_ambient_capabilities() =
      capabilities.add_ambient_capabilities();
  RETURN_IF_ERROR(FromUser(context, ours));
  return FromProfiles(context, ours);
}

Status FromLog(const v1::ContainerConfig& config, ContainerConfig& ours) {
  if (StartsWith(config.log_path(), "/")) {
    return InvalidArgument("config.log_path: must be relative");
  }
  for (const std::string& part : Split(config.log_path(), '/')) {
    if (part == "..") {
      return InvalidArgument("config.log_path: must not hold \"..\"");
    }
  }
  ours.mutable_log()->set_path(config.log_path());
  ours.mutable_log()->set_format(state::v1::LOG_FORMAT_CRI);
  return OkStatus();
}

}  // namespace

StatusOr<ContainerConfig> FromContainerConfig(const v1::ContainerConfig& config,
                                              const ImageResolver& images) {
  ContainerConfig ours;
  // A pod's container never starts a second time.
  ours.set_volatile_rootfs(true);
  if (config.has_windows()) {
    return Unimplemented("config.windows: this is a Linux runtime");
  }
  RETURN_IF_ERROR(FromIdentity(config, ours));
  RETURN_IF_ERROR(FromProcess(config, ours));
  RETURN_IF_ERROR(FromLog(config, ours));
  RETURN_IF_ERROR(FromDevices(config, ours));
  ours.set_stdin(config.stdin());
  ours.set_stdin_once(config.stdin_once());
  ours.set_tty(config.tty());
  ASSIGN_OR_RETURN(const int signal,
                   FromSignal(config.stop_signal(), "config.stop_signal"));
  ours.set_stop_signal(signal);
  if (config.linux().has_resources()) {
    ASSIGN_OR_RETURN(
        *ours.mutable_resources(),
        FromResources(config.linux().resources(), "config.linux.resources"));
  }
  RETURN_IF_ERROR(FromSecurity(config.linux().security_context(),
                               *ours.mutable_security()));
  RETURN_IF_ERROR(FromImage(config.image(), images, ours));
  for (const v1::Mount& mount : config.mounts()) {
    ASSIGN_OR_RETURN(*ours.add_mounts(), FromMount(mount, images));
  }
  return ours;
}

}  // namespace berth::cri
