#include <algorithm>

#include "base/strings.h"
#include "cri/convert.h"

namespace berth::cri {
namespace {

using state::v1::ContainerRecord;

v1::MountPropagation ToPropagation(state::v1::MountPropagation propagation) {
  switch (propagation) {
    case state::v1::MOUNT_PROPAGATION_HOST_TO_CONTAINER:
      return v1::PROPAGATION_HOST_TO_CONTAINER;
    case state::v1::MOUNT_PROPAGATION_BIDIRECTIONAL:
      return v1::PROPAGATION_BIDIRECTIONAL;
    default:
      return v1::PROPAGATION_PRIVATE;
  }
}

v1::ContainerMetadata ToMetadata(const ContainerRecord& record) {
  v1::ContainerMetadata metadata;
  metadata.set_name(record.config().name());
  metadata.set_attempt(record.config().attempt());
  return metadata;
}

// What a status, a list entry and the statistics say alike.
template <typename Message>
void FillAttributes(const ContainerRecord& record, Message& message) {
  message.set_id(record.id());
  *message.mutable_metadata() = ToMetadata(record);
  *message.mutable_labels() = record.config().labels();
  *message.mutable_annotations() = record.config().annotations();
}

// What a status and a list entry say alike.
template <typename Message>
void FillSummary(const ContainerRecord& record, Message& message) {
  FillAttributes(record, message);
  message.set_state(ToState(record.phase()));
  message.set_created_at(record.created_at());
  const state::v1::ContainerConfig& config = record.config();
  message.mutable_image()->set_image(config.image());
  message.mutable_image()->set_user_specified_image(
      config.user_specified_image());
  message.set_image_ref(config.image_ref());
  message.set_image_id(config.image_id());
}

v1::LinuxContainerUser ToUser(const state::v1::ContainerUser& ours) {
  v1::LinuxContainerUser user;
  user.set_uid(ours.uid());
  user.set_gid(ours.gid());
  for (const uint32_t group : ours.supplemental_groups()) {
    user.add_supplemental_groups(group);
  }
  std::sort(user.mutable_supplemental_groups()->begin(),
            user.mutable_supplemental_groups()->end());
  return user;
}

}  // namespace

v1::Mount ToMount(const state::v1::Mount& ours) {
  v1::Mount mount;
  mount.set_container_path(ours.container_path());
  mount.set_host_path(ours.host_path());
  mount.set_readonly(ours.readonly());
  mount.set_recursive_read_only(ours.recursive_readonly());
  mount.set_propagation(ToPropagation(ours.propagation()));
  mount.set_selinux_relabel(ours.selinux_relabel());
  ToMappings(ours.uid_mappings(), *mount.mutable_uidmappings());
  ToMappings(ours.gid_mappings(), *mount.mutable_gidmappings());
  *mount.mutable_mount_options() = ours.options();
  if (ours.type() == state::v1::MOUNT_TYPE_IMAGE) {
    mount.mutable_image()->set_image(ours.image());
    mount.mutable_image()->set_image_ref(ours.image_ref());
    mount.set_image_sub_path(ours.image_sub_path());
  }
  return mount;
}

v1::ContainerState ToState(state::v1::ContainerPhase phase) {
  switch (phase) {
    case state::v1::CONTAINER_PHASE_CREATED:
    case state::v1::CONTAINER_PHASE_STARTING:
      return v1::CONTAINER_CREATED;
    case state::v1::CONTAINER_PHASE_RUNNING:
    case state::v1::CONTAINER_PHASE_STOPPING:
      return v1::CONTAINER_RUNNING;
    case state::v1::CONTAINER_PHASE_EXITED:
    case state::v1::CONTAINER_PHASE_REMOVING:
      return v1::CONTAINER_EXITED;
    default:
      return v1::CONTAINER_UNKNOWN;
  }
}

v1::ContainerStatus ToContainerStatus(const ContainerRecord& record) {
  v1::ContainerStatus status;
  FillSummary(record, status);
  // kubelet asks for an image by its id, and shows this name to its user.
  const std::string& written = record.config().user_specified_image();
  if (!written.empty()) status.mutable_image()->set_image(written);
  status.set_started_at(record.started_at());
  status.set_finished_at(record.finished_at());
  if (status.state() == v1::CONTAINER_EXITED) {
    status.set_exit_code(record.exit_code());
  }
  status.set_reason(record.reason());
  status.set_message(record.message());
  for (const state::v1::Mount& mount : record.config().mounts()) {
    *status.add_mounts() = ToMount(mount);
  }
  status.set_log_path(record.log_path());
  *status.mutable_resources()->mutable_linux() =
      ToResources(record.config().resources());
  if (record.has_user()) {
    *status.mutable_user()->mutable_linux() = ToUser(record.user());
  }
  status.set_stop_signal(ToSignal(record.stop_signal()));
  return status;
}

v1::Container ToContainer(const ContainerRecord& record) {
  v1::Container container;
  FillSummary(record, container);
  container.set_pod_sandbox_id(record.sandbox_id());
  return container;
}

v1::ContainerAttributes ToAttributes(const ContainerRecord& record) {
  v1::ContainerAttributes attributes;
  FillAttributes(record, attributes);
  return attributes;
}

sandbox::ContainerFilter FromFilter(const v1::ContainerFilter& filter) {
  using namespace state::v1;
  sandbox::ContainerFilter ours;
  ours.kind = SANDBOX_KIND_POD;
  ours.id_or_prefix = filter.id();
  ours.sandbox_id_or_prefix = filter.pod_sandbox_id();
  ours.labels = {filter.label_selector().begin(),
                 filter.label_selector().end()};
  if (!filter.has_state()) return ours;
  for (int phase = 0; phase <= ContainerPhase_MAX; ++phase) {
    const auto candidate = static_cast<ContainerPhase>(phase);
    if (ToState(candidate) == filter.state().state()) {
      ours.phases.push_back(candidate);
    }
  }
  return ours;
}

sandbox::ContainerFilter FromFilter(const v1::ContainerStatsFilter& filter) {
  sandbox::ContainerFilter ours;
  ours.kind = state::v1::SANDBOX_KIND_POD;
  ours.id_or_prefix = filter.id();
  ours.sandbox_id_or_prefix = filter.pod_sandbox_id();
  ours.labels = {filter.label_selector().begin(),
                 filter.label_selector().end()};
  ours.phases = {state::v1::CONTAINER_PHASE_RUNNING,
                 state::v1::CONTAINER_PHASE_STOPPING};
  return ours;
}

}  // namespace berth::cri
