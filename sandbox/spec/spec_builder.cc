#include "sandbox/spec/spec_builder.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "base/strings.h"
#include "base/sys/id_mapped.h"
#include "sandbox/apparmor/default_profile.h"
#include "sandbox/record/files.h"
#include "sandbox/spec/cdi_step.h"
#include "sandbox/spec/id_maps.h"
#include "sandbox/spec/limits.h"
#include "sandbox/spec/nri_step.h"
#include "sandbox/spec/security.h"

namespace berth::sandbox {
namespace {

using ::berth::state::v1::ContainerConfig;
using ::berth::state::v1::ContainerSecurity;
using ::berth::state::v1::SecurityProfile;

constexpr char kDefaultPath[] =
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

template <typename Strings>
std::vector<std::string> ToVector(const Strings& strings) {
  return {strings.begin(), strings.end()};
}

// An environment in the making: one entry for each name, where the name came
// first. All in linear time, as a client may bring thousands.
class Variables {
 public:
  explicit Variables(const std::vector<std::string>& entries) {
    for (const std::string& entry : entries) Set(entry);
  }

  void Set(const std::string& entry) {
    const auto [it, added] =
        places_.try_emplace(NameIn(entry), entries_.size());
    if (added) {
      entries_.emplace_back(entry);
    } else {
      entries_[it->second] = entry;
    }
  }
  void Unset(const std::string& name) {
    const auto it = places_.find(name);
    if (it == places_.end()) return;
    entries_[it->second].reset();
    places_.erase(it);
  }
  bool Has(const std::string& name) const { return places_.count(name) > 0; }

  std::vector<std::string> Take() && {
    std::vector<std::string> taken;
    for (std::optional<std::string>& entry : entries_) {
      if (entry) taken.push_back(*std::move(entry));
    }
    return taken;
  }

 private:
  static std::string NameIn(const std::string& entry) {
    return entry.substr(0, entry.find('='));
  }

  std::vector<std::optional<std::string>> entries_;
  std::unordered_map<std::string, size_t> places_;  // name -> its entry
};

// As containerd and dockerd do: a privileged container has a profile only if it
// names one.
StatusOr<std::string> AppArmor(const SpecInputs& in) {
  const ContainerSecurity& security = in.container.config().security();
  const SecurityProfile& profile = security.apparmor();
  const bool asked = profile.type() != SecurityProfile::UNSET;
  if (profile.type() == SecurityProfile::UNCONFINED) return std::string();
  if (!in.host.apparmor) {
    if (!asked) return std::string();
    return InvalidArgument("apparmor: the host does not have it");
  }
  if (profile.type() == SecurityProfile::LOCALHOST) {
    std::string name = profile.localhost_ref();
    if (StartsWith(name, "localhost/")) name.erase(0, 10);
    if (name.empty()) return InvalidArgument("apparmor.localhost_ref: missing");
    return name;
  }
  if (security.privileged()) return std::string();
  if (in.host.apparmor_default.ok()) return std::string(kDefaultProfile);
  if (!asked) return std::string();
  return FailedPrecondition("apparmor: RUNTIME_DEFAULT: " +
                            Message(in.host.apparmor_default));
}

// As containerd: what is privileged keeps the label of the runtime, but its
// files have the pod's.
void LabelForSelinux(const SpecInputs& in, oci::Spec& spec) {
  const ContainerSecurity& security = in.container.config().security();
  const SelinuxLabels labels = LabelsOf(
      in.host.selinux, security.selinux(),
      in.sandbox.config().security().selinux(), in.sandbox.selinux_level());
  if (!security.privileged()) spec.process->selinux_label = labels.process;
  spec.linux.mount_label = labels.mount;
}

std::vector<oci::IdMapping> MappingsOf(const std::vector<IdRange>& ranges) {
  std::vector<oci::IdMapping> mappings;
  for (const IdRange& range : ranges) {
    mappings.push_back({range.inside, range.outside, range.size});
  }
  return mappings;
}

// Joins `path`, or is new, or (with kNone) stays the host's.
void AddNamespace(oci::Linux& linux, oci::NamespaceType type,
                  const std::string& path) {
  linux.namespaces.push_back(oci::NamespaceSpec{type, path});
}

Status AddPidNamespace(const SpecInputs& in, oci::Linux& linux) {
  using oci::NamespaceType;
  switch (in.container.config().security().namespaces().pid()) {
    case state::v1::NAMESPACE_MODE_POD:
      if (in.sandbox.namespaces().pid().empty()) {
        return InvalidArgument(
            "namespaces.pid: POD, but the sandbox has no "
            "pid namespace to share");
      }
      AddNamespace(linux, NamespaceType::kPid, in.sandbox.namespaces().pid());
      return OkStatus();
    case state::v1::NAMESPACE_MODE_CONTAINER:
      AddNamespace(linux, NamespaceType::kPid, "");
      return OkStatus();
    case state::v1::NAMESPACE_MODE_NODE:
      return OkStatus();
    case state::v1::NAMESPACE_MODE_TARGET:
      if (in.target_pid_namespace.empty()) {
        return InvalidArgument("namespaces.target_id: not a running container");
      }
      AddNamespace(linux, NamespaceType::kPid, in.target_pid_namespace);
      return OkStatus();
    default:
      return InvalidArgument("namespaces.pid: not a mode of it");
  }
}

// Each once: a mount on a mount on a mount costs more with each.
void KeepFirst(std::vector<std::string>& paths) {
  std::unordered_set<std::string> seen;
  std::erase_if(paths, [&](const std::string& path) {
    return !seen.insert(path).second;
  });
}

Status AddPaths(const ContainerSecurity& security, oci::Linux& linux) {
  if (security.privileged()) return OkStatus();
  linux.masked_paths = security.default_paths()
                           ? DefaultMaskedPaths()
                           : ToVector(security.masked_paths());
  linux.readonly_paths = security.default_paths()
                             ? DefaultReadonlyPaths()
                             : ToVector(security.readonly_paths());
  for (auto* paths : {&linux.masked_paths, &linux.readonly_paths}) {
    KeepFirst(*paths);
    for (const std::string& path : *paths) {
      if (!StartsWith(path, "/")) {
        return InvalidArgument("masked or readonly path " + Quoted(path) +
                               ": not absolute");
      }
    }
  }
  return OkStatus();
}

// What foreign shims look for, and what a person sees in `berth-oci state`.
std::map<std::string, std::string> Annotations(const SpecInputs& in) {
  const auto& metadata = in.sandbox.config().metadata();
  std::map<std::string, std::string> annotations = {
      {"io.kubernetes.cri.container-type", "container"},
      {"io.kubernetes.cri.container-name", in.container.config().name()},
      {"io.kubernetes.cri.sandbox-id", in.sandbox.id()},
      {"io.kubernetes.cri.sandbox-name", metadata.name()},
      {"io.kubernetes.cri.sandbox-namespace", metadata.namespace_()},
      {"io.kubernetes.cri.sandbox-uid", metadata.uid()},
  };
  // A pod's are kubelet's own; those of docker's are for the runtime.
  if (in.sandbox.config().kind() == state::v1::SANDBOX_KIND_STANDALONE) {
    const auto& asked = in.container.config().annotations();
    annotations.insert(asked.begin(), asked.end());
  }
  return annotations;
}

// ---- The steps of a plan ----------------------------------------------------

Status ImageDefaults(const SpecInputs& in, oci::Spec& spec) {
  oci::ProcessSpec process;
  Variables env({kDefaultPath, "HOSTNAME=" + in.sandbox.hostname()});
  if (in.container.config().tty()) env.Set("TERM=xterm");
  for (const std::string& entry : in.image.env()) env.Set(entry);
  process.env = std::move(env).Take();
  process.cwd = CleanPath(in.image.working_dir());
  spec.process = std::move(process);
  return OkStatus();
}

Status Request(const SpecInputs& in, oci::Spec& spec) {
  const ContainerConfig& config = in.container.config();
  oci::ProcessSpec& process = *spec.process;
  process.args = ToVector(in.container.argv());
  process.terminal = config.tty();
  if (config.tty() && config.has_console_size()) {
    process.console_size = oci::ConsoleSize{config.console_size().width(),
                                            config.console_size().height()};
  }
  process.user.uid = in.container.user().uid();
  process.user.gid = in.container.user().gid();
  if (config.security().has_umask()) {
    process.user.umask = config.security().umask();
  }
  for (const uint32_t gid : in.container.user().supplemental_groups()) {
    process.user.additional_gids.push_back(gid);
  }
  if (!config.working_dir().empty()) {
    process.cwd = CleanPath(config.working_dir());
  }
  Variables env(process.env);
  for (const auto& var : config.env()) {
    if (var.unset()) {
      env.Unset(var.name());
    } else {
      env.Set(var.name() + "=" + var.value());
    }
  }
  if (!env.Has("HOME")) env.Set("HOME=" + in.home);
  process.env = std::move(env).Take();
  return OkStatus();
}

Status Security(const SpecInputs& in, oci::Spec& spec) {
  const ContainerSecurity& security = in.container.config().security();
  oci::ProcessSpec& process = *spec.process;
  ASSIGN_OR_RETURN(oci::Capabilities capabilities,
                   CapabilitySets(security, in.host.capabilities));
  ASSIGN_OR_RETURN(spec.linux.seccomp,
                   ResolveSeccomp(security, capabilities.bounding));
  process.capabilities = std::move(capabilities);
  process.no_new_privileges = security.no_new_privileges();
  ASSIGN_OR_RETURN(process.apparmor_profile, AppArmor(in));
  LabelForSelinux(in, spec);
  spec.root.readonly = security.readonly_rootfs();
  return AddPaths(security, spec.linux);
}

Status Limits(const SpecInputs& in, oci::Spec& spec) {
  const ContainerConfig& config = in.container.config();
  ASSIGN_OR_RETURN(oci::Resources resources,
                   ToOci(config.resources(), in.host.hugetlb));
  if (!in.host.cgroup_v2 && !resources.unified.empty()) {
    return InvalidArgument("resources.unified: only on cgroup v2");
  }
  if (spec.linux.resources) {
    resources.devices = std::move(spec.linux.resources->devices);
  }
  spec.linux.resources = std::move(resources);
  spec.process->rlimits.clear();
  for (const auto& limit : config.rlimits()) {
    spec.process->rlimits.push_back({limit.type(), limit.soft(), limit.hard()});
  }
  const int64_t score = config.resources().oom_score_adj();
  if (score < -1000 || score > 1000) {
    return InvalidArgument("oom_score_adj " + std::to_string(score) +
                           ": not between -1000 and 1000");
  }
  spec.process->oom_score_adj =
      std::max(static_cast<int>(score), in.host.min_oom_score_adj);
  return OkStatus();
}

// Its tree is safe with it only if the kernel takes its namespace for a border.
Status CheckCgroupMount(const SpecInputs& in, oci::Spec&) {
  const auto mode = in.container.config().security().cgroup_mount();
  if (mode != state::v1::CGROUP_MOUNT_READ_WRITE) return OkStatus();
  if (in.host.cgroup_v2 && in.host.delegates_cgroups) return OkStatus();
  return Unimplemented(
      "cgroup_mount_mode: READ_WRITE without cgroup v2, mounted with "
      "nsdelegate");
}

Status Devices(const SpecInputs& in, oci::Spec& spec) {
  spec.linux.devices = in.devices.nodes;
  // Nothing, then what is listed; the runtime adds what all may use.
  oci::DeviceRule none;
  none.allow = false;
  if (!spec.linux.resources) spec.linux.resources.emplace();
  auto& rules = spec.linux.resources->devices;
  rules = {none};
  rules.insert(rules.end(), in.devices.rules.begin(), in.devices.rules.end());
  return OkStatus();
}

Status DevicesElsewhere(const SpecInputs& in, oci::Spec& spec) {
  BindElsewhere(in.devices.elsewhere, spec);
  return OkStatus();
}

Status Namespaces(const SpecInputs& in, oci::Spec& spec) {
  using oci::NamespaceType;
  oci::Linux& linux = spec.linux;
  const auto& shared = in.sandbox.namespaces();
  AddNamespace(linux, NamespaceType::kMount, "");
  if (!shared.user().empty()) {
    AddNamespace(linux, NamespaceType::kUser, shared.user());
    const IdMaps maps = IdMapsOf(in.sandbox.config());
    linux.uid_mappings = MappingsOf(maps.uids);
    linux.gid_mappings = MappingsOf(maps.gids);
  }
  RETURN_IF_ERROR(AddPidNamespace(in, linux));
  if (!shared.network().empty()) {
    AddNamespace(linux, NamespaceType::kNetwork, shared.network());
  }
  if (!shared.ipc().empty()) {
    AddNamespace(linux, NamespaceType::kIpc, shared.ipc());
  }
  if (!shared.uts().empty()) {
    AddNamespace(linux, NamespaceType::kUts, shared.uts());
  }
  const auto& security = in.container.config().security();
  const auto cgroup = security.namespaces().cgroup();
  // Docker's default is a private one, of privileged containers too.
  const bool standalone =
      in.sandbox.config().kind() == state::v1::SANDBOX_KIND_STANDALONE;
  if (cgroup == state::v1::NAMESPACE_MODE_CONTAINER ||
      (cgroup == state::v1::NAMESPACE_MODE_POD && in.host.cgroup_v2 &&
       (standalone || !security.privileged()))) {
    AddNamespace(linux, NamespaceType::kCgroup, "");
  }
  return OkStatus();
}

Status Mounts(const SpecInputs& in, oci::Spec& spec) {
  spec.mounts =
      MergeMounts(StandardMounts(in.sandbox, in.container), in.mounts.mounts);
  spec.linux.rootfs_propagation = in.mounts.rootfs_propagation;
  return OkStatus();
}

// A name may change until the start.
Status Names(const SpecInputs& in, oci::Spec& spec) {
  spec.linux.cgroups_path = in.container.cgroup();
  spec.annotations = Annotations(in);
  return OkStatus();
}

constexpr uint64_t kMaxMountInfo = 16 << 20;

// proc(5), mountinfo: the options of a file system come last.
bool Delegates(const std::string& proc) {
  const StatusOr<std::string> mounts =
      ReadSmallFile(proc + "/self/mountinfo", kMaxMountInfo);
  if (!mounts.ok()) return false;
  for (const std::string& line : Split(*mounts, '\n')) {
    const size_t dash = line.find(" - cgroup2 ");
    if (dash == std::string::npos) continue;
    const std::string options = line.substr(line.rfind(' ') + 1);
    for (const std::string& option : Split(options, ',')) {
      if (option == "nsdelegate") return true;
    }
  }
  return false;
}

Status Take(StepTime time, const SpecInputs& in, oci::Spec& spec) {
  for (const PlanStep& step : PlanSteps()) {
    if (step.time == time) RETURN_IF_ERROR(step.apply(in, spec));
  }
  return OkStatus();
}

}  // namespace

HostFacts HostFacts::Detect(const std::string& proc, const std::string& sys,
                            const oci::CgroupHost& cgroups) {
  HostFacts facts;
  facts.cgroup_v2 = cgroups.version == oci::CgroupVersion::kV2;
  facts.delegates_cgroups = facts.cgroup_v2 && Delegates(proc);
  const oci::CgroupHierarchy* hugetlb = cgroups.Find("hugetlb");
  // On a hybrid machine the v2 tree may have it, where nobody looks.
  facts.hugetlb = hugetlb != nullptr && hugetlb->v2 == facts.cgroup_v2;
  const auto number = [](const StatusOr<std::string>& text, int otherwise) {
    if (!text.ok()) return otherwise;
    return static_cast<int>(ParseInt(Trim(*text)).value_or(otherwise));
  };
  const int last =
      number(ReadSmallFile(proc + "/sys/kernel/cap_last_cap", 64), 40);
  std::vector<std::string> all = AllCapabilities(last);
  bool can_lower_score = true;
  for (int i = 0; i < static_cast<int>(all.size()); ++i) {
    if (prctl(PR_CAPBSET_READ, i, 0, 0, 0) == 1) {
      facts.capabilities.push_back(all[i]);
    } else if (all[i] == "CAP_SYS_RESOURCE") {
      can_lower_score = false;
    }
  }
  if (!can_lower_score) {
    facts.min_oom_score_adj =
        number(ReadSmallFile(proc + "/self/oom_score_adj", 64), 0);
  }
  facts.selinux = SelinuxContexts::Detect(sys, "/etc");
  return facts;
}

const std::vector<PlanStep>& PlanSteps() {
  static const auto& steps = *new std::vector<PlanStep>{
      {"image defaults", StepTime::kCreate, ImageDefaults},
      {"request", StepTime::kCreate, Request},
      {"security", StepTime::kCreate, Security},
      {"limits", StepTime::kCreate, Limits},
      {"cgroup mount", StepTime::kCreate, CheckCgroupMount},
      {"devices", StepTime::kStart, Devices},
      {"namespaces", StepTime::kStart, Namespaces},
      {"mounts", StepTime::kStart, Mounts},
      {"devices elsewhere", StepTime::kStart, DevicesElsewhere},
      {"names", StepTime::kStart, Names},
      {"CDI devices", StepTime::kStart, CdiStep},
      {"NRI adjustment", StepTime::kStart, NriStep},
  };
  return steps;
}

StatusOr<oci::Spec> PlanSpec(const SpecInputs& in) {
  oci::Spec spec;
  spec.oci_version = "1.1.0";
  spec.root.path = "rootfs";
  RETURN_IF_ERROR(Take(StepTime::kCreate, in, spec));
  return spec;
}

Status PlanLimits(const SpecInputs& in, oci::Spec& spec) {
  return Limits(in, spec);
}

Status BindSpec(const SpecInputs& in, oci::Spec& spec) {
  return Take(StepTime::kStart, in, spec);
}

StatusOr<std::vector<std::string>> CommandLine(
    const ContainerConfig& config, const state::v1::ImageConfig& image) {
  std::vector<std::string> line = ToVector(config.command());
  std::vector<std::string> args = ToVector(config.args());
  if (line.empty()) {
    line = ToVector(image.entrypoint());
    if (args.empty()) args = ToVector(image.cmd());
  }
  line.insert(line.end(), args.begin(), args.end());
  if (line.empty() || line[0].empty()) {
    return InvalidArgument("command: none given, and the image has none");
  }
  return line;
}

std::vector<std::string> MergeEnv(const std::vector<std::string>& first,
                                  const std::vector<std::string>& second) {
  Variables merged(first);
  for (const std::string& entry : second) merged.Set(entry);
  return std::move(merged).Take();
}

}  // namespace berth::sandbox
