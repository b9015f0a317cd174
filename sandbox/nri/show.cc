#include "sandbox/nri/show.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace berth::sandbox {
namespace {

namespace api = nri::api;
using namespace ::berth::state::v1;

template <typename From, typename To>
void Copy(const From& from, To* to) {
  to->Assign(from.begin(), from.end());
}

void AddNamespace(const char* type, const std::string& path,
                  api::LinuxPodSandbox& pod) {
  if (path.empty()) return;
  api::LinuxNamespace& entry = *pod.add_namespaces();
  entry.set_type(type);
  entry.set_path(path);
}

// Limits of a pod are for its cgroup, which the kubelet makes and we do not.
api::LinuxResources ShowLimits(const state::v1::Resources& limits) {
  oci::Resources resources;
  if (limits.cpu_shares() > 0) resources.cpu.shares = limits.cpu_shares();
  if (limits.cpu_quota() != 0) resources.cpu.quota = limits.cpu_quota();
  if (limits.cpu_period() > 0) resources.cpu.period = limits.cpu_period();
  if (limits.memory_limit() != 0) {
    resources.memory.limit = limits.memory_limit();
  }
  return ShowResources(resources);
}

api::ContainerState StateOf(ContainerPhase phase, bool paused) {
  switch (phase) {
    case CONTAINER_PHASE_CREATING:
    case CONTAINER_PHASE_CREATED:
    case CONTAINER_PHASE_STARTING:
      return api::CONTAINER_CREATED;
    case CONTAINER_PHASE_RUNNING:
    case CONTAINER_PHASE_STOPPING:
      return paused ? api::CONTAINER_PAUSED : api::CONTAINER_RUNNING;
    case CONTAINER_PHASE_EXITED:
    case CONTAINER_PHASE_REMOVING:
      return api::CONTAINER_STOPPED;
    default:
      return api::CONTAINER_UNKNOWN;
  }
}

void ShowMount(const oci::MountSpec& mount, api::Mount& shown) {
  shown.set_destination(mount.destination);
  shown.set_type(mount.type);
  shown.set_source(mount.source);
  Copy(mount.options, shown.mutable_options());
}

void ShowHooks(const std::vector<oci::Hook>& hooks,
               google::protobuf::RepeatedPtrField<api::Hook>& shown) {
  for (const oci::Hook& hook : hooks) {
    api::Hook& entry = *shown.Add();
    entry.set_path(hook.path);
    Copy(hook.args, entry.mutable_args());
    Copy(hook.env, entry.mutable_env());
    if (hook.timeout) entry.mutable_timeout()->set_value(*hook.timeout);
  }
}

void ShowHooks(const oci::Hooks& hooks, api::Hooks& shown) {
  ShowHooks(hooks.prestart, *shown.mutable_prestart());
  ShowHooks(hooks.create_runtime, *shown.mutable_create_runtime());
  ShowHooks(hooks.create_container, *shown.mutable_create_container());
  ShowHooks(hooks.start_container, *shown.mutable_start_container());
  ShowHooks(hooks.poststart, *shown.mutable_poststart());
  ShowHooks(hooks.poststop, *shown.mutable_poststop());
}

void ShowDevice(const oci::DeviceNode& node, api::LinuxDevice& shown) {
  shown.set_path(node.path);
  shown.set_type(std::string(1, node.type));
  shown.set_major(node.major);
  shown.set_minor(node.minor);
  if (node.file_mode) shown.mutable_file_mode()->set_value(*node.file_mode);
  if (node.uid) shown.mutable_uid()->set_value(*node.uid);
  if (node.gid) shown.mutable_gid()->set_value(*node.gid);
}

void ShowSeccomp(const oci::Seccomp& seccomp, api::LinuxSeccomp& shown) {
  shown.set_default_action(seccomp.default_action);
  if (seccomp.default_errno_ret) {
    shown.mutable_default_errno()->set_value(*seccomp.default_errno_ret);
  }
  Copy(seccomp.architectures, shown.mutable_architectures());
  if (seccomp.flags) Copy(*seccomp.flags, shown.mutable_flags());
  shown.set_listener_path(seccomp.listener_path);
  shown.set_listener_metadata(seccomp.listener_metadata);
  for (const oci::SeccompRule& rule : seccomp.syscalls) {
    api::LinuxSyscall& entry = *shown.add_syscalls();
    Copy(rule.names, entry.mutable_names());
    entry.set_action(rule.action);
    if (rule.errno_ret) entry.mutable_errno_ret()->set_value(*rule.errno_ret);
    for (const oci::SeccompArg& arg : rule.args) {
      api::LinuxSeccompArg& one = *entry.add_args();
      one.set_index(arg.index);
      one.set_value(arg.value);
      one.set_value_two(arg.value_two);
      one.set_op(arg.op);
    }
  }
}

void ShowProfile(const SecurityProfile& profile, api::SecurityProfile& shown) {
  switch (profile.type()) {
    case SecurityProfile::RUNTIME_DEFAULT:
      shown.set_profile_type(api::SecurityProfile::RUNTIME_DEFAULT);
      break;
    case SecurityProfile::LOCALHOST:
      shown.set_profile_type(api::SecurityProfile::LOCALHOST);
      shown.set_localhost_ref(profile.localhost_ref());
      break;
    default:
      shown.set_profile_type(api::SecurityProfile::UNCONFINED);
  }
}

void ShowProcess(const oci::ProcessSpec& process, api::Container& shown) {
  Copy(process.args, shown.mutable_args());
  Copy(process.env, shown.mutable_env());
  for (const oci::Rlimit& limit : process.rlimits) {
    api::POSIXRlimit& entry = *shown.add_rlimits();
    entry.set_type(limit.type);
    entry.set_soft(limit.soft);
    entry.set_hard(limit.hard);
  }
  api::User& user = *shown.mutable_user();
  user.set_uid(process.user.uid);
  user.set_gid(process.user.gid);
  for (const gid_t gid : process.user.additional_gids) {
    user.add_additional_gids(gid);
  }
  if (process.oom_score_adj) {
    shown.mutable_linux()->mutable_oom_score_adj()->set_value(
        *process.oom_score_adj);
  }
}

void ShowLinux(const ContainerRecord& container, const oci::Linux& linux,
               api::LinuxContainer& shown) {
  for (const oci::NamespaceSpec& one : linux.namespaces) {
    api::LinuxNamespace& entry = *shown.add_namespaces();
    entry.set_type(oci::NamespaceTypeName(one.type));
    entry.set_path(one.path);
  }
  for (const oci::DeviceNode& node : linux.devices) {
    ShowDevice(node, *shown.add_devices());
  }
  if (linux.resources) {
    *shown.mutable_resources() = ShowResources(*linux.resources);
  }
  shown.set_cgroups_path(linux.cgroups_path.empty() ? container.cgroup()
                                                    : linux.cgroups_path);
  ShowProfile(container.config().security().seccomp(),
              *shown.mutable_seccomp_profile());
  if (linux.seccomp) {
    ShowSeccomp(*linux.seccomp, *shown.mutable_seccomp_policy());
  }
  shown.mutable_sysctl()->insert(linux.sysctl.begin(), linux.sysctl.end());
}

}  // namespace

api::PodSandbox ShowPod(const SandboxRecord& sandbox) {
  const SandboxConfig& config = sandbox.config();
  api::PodSandbox shown;
  shown.set_id(sandbox.id());
  shown.set_name(config.metadata().name());
  shown.set_uid(config.metadata().uid());
  shown.set_namespace_(config.metadata().namespace_());
  shown.mutable_labels()->insert(config.labels().begin(),
                                 config.labels().end());
  shown.mutable_annotations()->insert(config.annotations().begin(),
                                      config.annotations().end());
  shown.set_runtime_handler(config.runtime_handler());
  shown.set_pid(static_cast<uint32_t>(std::max(sandbox.pod_pid(), 0)));
  for (const PodIp& ip : sandbox.network().ips()) shown.add_ips(ip.address());
  api::LinuxPodSandbox& linux = *shown.mutable_linux();
  *linux.mutable_pod_overhead() = ShowLimits(config.overhead());
  *linux.mutable_pod_resources() = ShowLimits(config.resources());
  linux.set_cgroup_parent(config.cgroup_parent().empty()
                              ? sandbox.cgroup().path()
                              : config.cgroup_parent());
  linux.set_cgroups_path(sandbox.cgroup().pod_path());
  AddNamespace("network", sandbox.namespaces().network(), linux);
  AddNamespace("ipc", sandbox.namespaces().ipc(), linux);
  AddNamespace("uts", sandbox.namespaces().uts(), linux);
  AddNamespace("pid", sandbox.namespaces().pid(), linux);
  AddNamespace("user", sandbox.namespaces().user(), linux);
  return shown;
}

api::Container ShowContainer(const ContainerRecord& container,
                             const oci::Spec& spec) {
  const ContainerConfig& config = container.config();
  api::Container shown;
  shown.set_id(container.id());
  shown.set_pod_sandbox_id(container.sandbox_id());
  shown.set_name(config.name());
  shown.set_state(StateOf(container.phase(), container.paused()));
  shown.mutable_labels()->insert(config.labels().begin(),
                                 config.labels().end());
  shown.mutable_annotations()->insert(config.annotations().begin(),
                                      config.annotations().end());
  shown.mutable_annotations()->insert(spec.annotations.begin(),
                                      spec.annotations.end());
  if (spec.process) ShowProcess(*spec.process, shown);
  for (const oci::MountSpec& mount : spec.mounts) {
    ShowMount(mount, *shown.add_mounts());
  }
  ShowHooks(spec.hooks, *shown.mutable_hooks());
  ShowLinux(container, spec.linux, *shown.mutable_linux());
  shown.set_pid(static_cast<uint32_t>(std::max(container.pid(), 0)));
  shown.set_created_at(container.created_at());
  shown.set_started_at(container.started_at());
  shown.set_finished_at(container.finished_at());
  shown.set_exit_code(container.exit_code());
  shown.set_status_reason(container.reason());
  shown.set_status_message(container.message());
  for (const std::string& device : config.cdi_devices()) {
    shown.add_cdi_devices()->set_name(device);
  }
  shown.mutable_image()->set_name(config.user_specified_image().empty()
                                      ? config.image()
                                      : config.user_specified_image());
  shown.mutable_image()->set_digest(config.image_ref());
  shown.mutable_image()->set_config_digest(config.image_id());
  return shown;
}

api::LinuxResources ShowResources(const oci::Resources& resources) {
  api::LinuxResources shown;
  api::LinuxMemory& memory = *shown.mutable_memory();
  const auto set = [](const auto& value, auto mutable_field) {
    if (value) mutable_field()->set_value(*value);
  };
  set(resources.memory.limit, [&] { return memory.mutable_limit(); });
  set(resources.memory.reservation,
      [&] { return memory.mutable_reservation(); });
  set(resources.memory.swap, [&] { return memory.mutable_swap(); });
  set(resources.memory.swappiness, [&] { return memory.mutable_swappiness(); });
  set(resources.memory.disable_oom_killer,
      [&] { return memory.mutable_disable_oom_killer(); });
  api::LinuxCPU& cpu = *shown.mutable_cpu();
  set(resources.cpu.shares, [&] { return cpu.mutable_shares(); });
  set(resources.cpu.quota, [&] { return cpu.mutable_quota(); });
  set(resources.cpu.period, [&] { return cpu.mutable_period(); });
  set(resources.cpu.realtime_runtime,
      [&] { return cpu.mutable_realtime_runtime(); });
  set(resources.cpu.realtime_period,
      [&] { return cpu.mutable_realtime_period(); });
  cpu.set_cpus(resources.cpu.cpus);
  cpu.set_mems(resources.cpu.mems);
  for (const oci::HugepageLimit& limit : resources.hugepages) {
    api::HugepageLimit& entry = *shown.add_hugepage_limits();
    entry.set_page_size(limit.page_size);
    entry.set_limit(limit.limit);
  }
  shown.mutable_unified()->insert(resources.unified.begin(),
                                  resources.unified.end());
  if (resources.pids_limit) {
    shown.mutable_pids()->set_limit(*resources.pids_limit);
  }
  for (const oci::DeviceRule& rule : resources.devices) {
    api::LinuxDeviceCgroup& entry = *shown.add_devices();
    entry.set_allow(rule.allow);
    entry.set_type(std::string(1, rule.type));
    if (rule.major) entry.mutable_major()->set_value(*rule.major);
    if (rule.minor) entry.mutable_minor()->set_value(*rule.minor);
    entry.set_access(rule.access);
  }
  return shown;
}

StatusOr<state::v1::Resources> LimitsOf(const api::LinuxResources& resources) {
  if (resources.has_blockio_class()) {
    return Unimplemented("linux.resources.blockio_class");
  }
  if (resources.has_rdt_class()) {
    return Unimplemented("linux.resources.rdt_class");
  }
  state::v1::Resources limits;
  const api::LinuxMemory& memory = resources.memory();
  limits.set_memory_limit(memory.limit().value());
  limits.set_memory_swap_limit(memory.swap().value());
  limits.set_memory_reservation(memory.reservation().value());
  if (memory.has_swappiness()) {
    limits.set_memory_swappiness(memory.swappiness().value());
  }
  limits.set_oom_kill_disable(memory.disable_oom_killer().value());
  const api::LinuxCPU& cpu = resources.cpu();
  limits.set_cpu_shares(static_cast<int64_t>(cpu.shares().value()));
  limits.set_cpu_quota(cpu.quota().value());
  limits.set_cpu_period(static_cast<int64_t>(cpu.period().value()));
  limits.set_cpu_realtime_runtime(cpu.realtime_runtime().value());
  limits.set_cpu_realtime_period(
      static_cast<int64_t>(cpu.realtime_period().value()));
  limits.set_cpuset_cpus(cpu.cpus());
  limits.set_cpuset_mems(cpu.mems());
  limits.set_pids_limit(resources.pids().limit());
  for (const api::HugepageLimit& limit : resources.hugepage_limits()) {
    HugepageLimit& entry = *limits.add_hugepage_limits();
    entry.set_page_size(limit.page_size());
    entry.set_limit(limit.limit());
  }
  limits.mutable_unified()->insert(resources.unified().begin(),
                                   resources.unified().end());
  return limits;
}

}  // namespace berth::sandbox
