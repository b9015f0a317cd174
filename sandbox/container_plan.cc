#include "sandbox/container_plan.h"

#include <errno.h>
#include <signal.h>
#include <sys/stat.h>

#include <utility>

#include "base/fs/foreign_path.h"
#include "base/strings.h"
#include "base/sys/process.h"
#include "base/sys/user.h"
#include "nri/messages.h"
#include "oci/spec/parse.h"
#include "oci/spec/serialize.h"
#include "oci/spec/validate.h"
#include "sandbox/apparmor/default_profile.h"
#include "sandbox/cdi/cdi_devices.h"
#include "sandbox/record/files.h"
#include "sandbox/resource/cgroup_parent.h"
#include "sandbox/selinux/labels.h"
#include "sandbox/spec/security.h"
#include "sandbox/spec/user.h"

namespace berth::sandbox {
namespace {

using namespace ::berth::state::v1;

// What a sandbox will have once it is started, for looking for errors before.
SandboxRecord Imagined(const SandboxRecord& sandbox) {
  SandboxRecord imagined = sandbox;
  imagined.mutable_namespaces()->set_pid("/proc/self/ns/pid");
  imagined.mutable_directory()->set_root_path("/");
  return imagined;
}

// The pid namespace of the container that is to be joined.
StatusOr<std::string> TargetPidNamespace(const Core& core,
                                         const SandboxRecord& sandbox,
                                         const ContainerConfig& config,
                                         bool started) {
  const auto& options = config.security().namespaces();
  if (options.pid() != NAMESPACE_MODE_TARGET) return std::string();
  if (!started) return std::string("/proc/self/ns/pid");
  const ContainerStatus target =
      core.inventory.FindContainer(ContainerId(options.target_id()));
  if (!target || target->phase() != CONTAINER_PHASE_RUNNING) {
    return InvalidArgument("namespaces.target_id " +
                           Quoted(options.target_id()) +
                           ": not a running container");
  }
  if (sandbox.config().kind() == SANDBOX_KIND_POD &&
      target->sandbox_id() != sandbox.id()) {
    return InvalidArgument("namespaces.target_id " +
                           Quoted(options.target_id()) +
                           ": in another sandbox");
  }
  return "/proc/" + std::to_string(target->pid()) + "/ns/pid";
}

StatusOr<int> StopSignal(const ContainerConfig& config,
                         const ImageConfig& image) {
  if (config.stop_signal() > 0) return config.stop_signal();
  if (image.stop_signal().empty()) return SIGTERM;
  // An image with a signal that is none is run all the same.
  const StatusOr<int> signal = ParseSignal(image.stop_signal());
  return signal.ok() ? *signal : SIGTERM;
}

std::string LogPath(const SandboxRecord& sandbox,
                    const ContainerConfig& config) {
  const std::string& path = config.log().path();
  if (path.empty() || StartsWith(path, "/")) return path;
  const std::string& directory = sandbox.config().log_directory();
  return directory.empty() ? "" : directory + "/" + path;
}

// Ours was loaded when the daemon started, and is again when it is used.
Status CheckAppArmor(const Core& core, const std::string& profile) {
  const Status& ours = core.settings.apparmor_default;
  const bool is_ours = profile == kDefaultProfile;
  if (profile.empty() || (is_ours && ours.ok())) return OkStatus();
  ASSIGN_OR_RETURN(const bool loaded, IsProfileLoaded(core.paths, profile));
  if (loaded) return OkStatus();
  return InvalidArgument("apparmor profile " + Quoted(profile) +
                         ": not loaded" +
                         (is_ours ? ": " + Message(ours) : ""));
}

StatusOr<DeviceSet> Devices(const Context& ctx, const Core& core,
                            const SandboxRecord& sandbox,
                            const ContainerConfig& config) {
  ASSIGN_OR_RETURN(DeviceSet devices, RequestedDevices(ctx, config));
  if (!config.security().privileged()) return devices;
  const auto runtime =
      core.settings.runtimes.find(sandbox.config().runtime_handler());
  if (runtime != core.settings.runtimes.end() &&
      runtime->second.privileged_without_host_devices) {
    return devices;
  }
  return HostDevices(core.paths.dev);
}

StatusOr<nri::api::ContainerAdjustment> SavedAdjustment(
    const ContainerRecord& container) {
  nri::api::ContainerAdjustment adjustment;
  if (adjustment.ParseFromString(container.plan().adjustment())) {
    return adjustment;
  }
  return DataLoss("adjustment of container " + container.id() +
                  ": it cannot be read");
}

// The CDI devices of the request, and those that plugins want.
ContainerConfig WithDevicesOf(const nri::api::ContainerAdjustment& adjustment,
                              const ContainerRecord& container) {
  ContainerConfig config;
  *config.mutable_cdi_devices() = container.config().cdi_devices();
  for (const auto& device : adjustment.cdi_devices()) {
    config.add_cdi_devices(device.name());
  }
  return config;
}

// Without the profile that can be made again from the rest: it is longer than
// all else together.
void SavePlan(const oci::Spec& spec, ContainerRecord& container) {
  const SecurityProfile& wanted = container.config().security().seccomp();
  const bool is_default =
      spec.linux.seccomp && wanted.type() == SecurityProfile::RUNTIME_DEFAULT;
  ContainerPlan& plan = *container.mutable_plan();
  plan.set_default_seccomp(is_default);
  if (!is_default) {
    plan.set_spec(oci::SerializeSpec(spec));
    return;
  }
  oci::Spec without = spec;
  without.linux.seccomp.reset();
  plan.set_spec(oci::SerializeSpec(without));
}

}  // namespace

StatusOr<std::string> ReadUserFile(Core& core, const ContainerRecord& container,
                                   const std::string& path) {
  StatusOr<std::string> text = core.parts.images.ReadFile(
      container.snapshot_key(), path, kMaxUserFileBytes);
  if (IsNotFound(text.status())) return std::string();
  return text;
}

StatusOr<oci::Spec> PlanContainer(Core& core, const SandboxRecord& sandbox,
                                  ContainerRecord& container,
                                  const ImageConfig& image) {
  const ContainerConfig& config = container.config();
  ASSIGN_OR_RETURN(const std::vector<std::string> argv,
                   CommandLine(config, image));
  container.mutable_argv()->Assign(argv.begin(), argv.end());
  ASSIGN_OR_RETURN(const int signal, StopSignal(config, image));
  container.set_stop_signal(signal);
  container.set_log_path(LogPath(sandbox, config));

  ASSIGN_OR_RETURN(const std::string passwd,
                   ReadUserFile(core, container, "/etc/passwd"));
  ASSIGN_OR_RETURN(const std::string group,
                   ReadUserFile(core, container, "/etc/group"));
  ASSIGN_OR_RETURN(const ResolvedUser user,
                   ResolveUser(config.security(), image.user(), passwd, group));
  *container.mutable_user() = user.ids;

  ASSIGN_OR_RETURN(
      oci::Spec spec,
      PlanSpec({sandbox, container, image, core.host, user.home, {}, {}, {}}));
  const std::string& apparmor = spec.process->apparmor_profile;
  RETURN_IF_ERROR(CheckAppArmor(core, apparmor));
  if (core.host.apparmor) {
    container.set_apparmor_profile(apparmor.empty() ? "unconfined" : apparmor);
  }
  for (const std::string& label :
       {spec.process->selinux_label, spec.linux.mount_label}) {
    RETURN_IF_ERROR(CheckLabel(core.paths.sys, label));
  }
  container.set_process_label(spec.process->selinux_label);
  container.set_mount_label(spec.linux.mount_label);
  SavePlan(spec, container);
  return spec;
}

StatusOr<oci::Spec> BindPlan(const Context& ctx, Core& core,
                             const SandboxRecord& sandbox,
                             ContainerRecord& container, oci::Spec plan,
                             const std::vector<std::string>& image_roots) {
  const bool started = sandbox.phase() == SANDBOX_PHASE_READY;
  const SandboxRecord imagined = started ? SandboxRecord() : Imagined(sandbox);
  ASSIGN_OR_RETURN(const nri::api::ContainerAdjustment adjustment,
                   SavedAdjustment(container));
  container.set_cgroup(adjustment.linux().cgroups_path().empty()
                           ? ContainerCgroup(sandbox.cgroup(), container.id())
                           : adjustment.linux().cgroups_path());
  SpecInputs inputs{started ? sandbox : imagined,
                    container,
                    ImageConfig::default_instance(),
                    core.host,
                    {},
                    {},
                    {},
                    {}};
  ASSIGN_OR_RETURN(const HostMounts host_mounts,
                   HostMounts::Read(core.paths.proc, container.config()));
  ASSIGN_OR_RETURN(inputs.mounts, RequestedMounts(ctx, sandbox, container,
                                                  image_roots, host_mounts));
  ASSIGN_OR_RETURN(
      inputs.target_pid_namespace,
      TargetPidNamespace(core, sandbox, container.config(), started));
  ASSIGN_OR_RETURN(inputs.devices,
                   Devices(ctx, core, sandbox, container.config()));
  ASSIGN_OR_RETURN(inputs.cdi,
                   FindCdiDevices(ctx, core.settings.cdi_spec_dirs,
                                  WithDevicesOf(adjustment, container)));
  inputs.adjustment = &adjustment;
  RETURN_IF_ERROR(BindSpec(inputs, plan));
  RETURN_IF_ERROR(oci::Validate(plan));
  return plan;
}

Status KeepProfile(const Context& ctx, const Core& core,
                   const oci::ProcessSpec& process) {
  if (process.apparmor_profile != kDefaultProfile) return OkStatus();
  return KeepDefaultProfile(ctx, core.paths);
}

StatusOr<oci::Spec> SavedPlan(const ContainerRecord& container) {
  const ContainerPlan& plan = container.plan();
  if (plan.spec().empty()) return NotFound("no plan was saved");
  ASSIGN_OR_RETURN_AS(oci::Spec spec, oci::ParseSpec(plan.spec()),
                      "plan of container " + container.id());
  if (!spec.process || !spec.process->capabilities) {
    return DataLoss("plan of container " + container.id() + ": no process");
  }
  if (plan.default_seccomp()) {
    spec.linux.seccomp =
        DefaultSeccompProfile(spec.process->capabilities->bounding);
  }
  return spec;
}

oci::Spec KnownSpec(const Core& core, const ContainerRecord& container) {
  const StatusOr<std::string> text =
      ReadSmallFile(core.paths.ContainerState(container.id()) + "/config.json",
                    oci::kMaxSpecBytes);
  StatusOr<oci::Spec> spec =
      text.ok() ? oci::ParseSpec(*text) : SavedPlan(container);
  return spec.ok() ? *std::move(spec) : oci::Spec();
}

Status PlanNewLimits(const Core& core, ContainerRecord& container) {
  if (container.plan().spec().empty()) return OkStatus();
  ASSIGN_OR_RETURN(oci::Spec spec, SavedPlan(container));
  RETURN_IF_ERROR(PlanLimits({SandboxRecord::default_instance(),
                              container,
                              ImageConfig::default_instance(),
                              core.host,
                              {},
                              {},
                              {},
                              {}},
                             spec));
  SavePlan(spec, container);
  return OkStatus();
}

StatusOr<shim::Stdio> PlanStdio(const Context& ctx, Core& core,
                                const ContainerRecord& container) {
  const ContainerConfig& config = container.config();
  shim::Stdio stdio;
  stdio.terminal = config.tty();
  if (!container.log_path().empty()) {
    const std::string& path = container.log_path();
    RETURN_IF_ERROR_AS(MakePath(ctx, path.substr(0, path.rfind('/')), 0755),
                       "log");
    stdio.out = "berth-log://" + path;
    if (config.log().format() == LOG_FORMAT_JSON_FILE) {
      stdio.out += "?format=json-file";
      if (config.log().max_size() > 0) {
        stdio.out += "&max-size=" + std::to_string(config.log().max_size()) +
                     "&max-file=" + std::to_string(config.log().max_files());
        if (config.log().compress()) stdio.out += "&compress=1";
      }
      // In order, so that two processes' logs are one.
      const auto& tags = config.log().tags();
      for (const auto& [name, value] : std::map(tags.begin(), tags.end())) {
        stdio.out += "&attr=" + HexEncode(name) + ":" + HexEncode(value);
      }
      if (!config.log().forward().empty()) {
        stdio.out += "&" + config.log().forward();
      }
    } else {
      stdio.out += "?format=cri";
    }
    stdio.out += "&line=" + std::to_string(core.settings.log_line);
    if (!config.tty()) stdio.err = stdio.out;
  } else if (!config.tty()) {
    // Read all the same: someone may attach.
    stdio.out = stdio.err = "file:///dev/null";
  }
  if (config.stdin()) {
    stdio.in = core.paths.ContainerState(container.id()) + "/stdin";
    if (mkfifo(stdio.in.c_str(), 0600) != 0 && errno != EEXIST) {
      return Errno(errno, "mkfifo " + Quoted(stdio.in));
    }
  }
  return stdio;
}

}  // namespace berth::sandbox
