#include "oci/init/mount_plan.h"

#include <linux/mount.h>
#include <sys/mount.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "base/strings.h"
#include "oci/init/id_mapping_option.h"

namespace berth::oci {
namespace {

constexpr const char* kSafeOnProc[] = {"cpuinfo",
                                       "diskstats",
                                       "meminfo",
                                       "stat",
                                       "swaps",
                                       "uptime",
                                       "loadavg",
                                       "slabinfo",
                                       "sys/kernel/ns_last_pid",
                                       "sys/crypto/fips_enabled"};

constexpr struct {
  const char* name;
  unsigned long flag;
} kPropagation[] = {{"shared", MS_SHARED},
                    {"slave", MS_SLAVE},
                    {"private", MS_PRIVATE},
                    {"unbindable", MS_UNBINDABLE}};

StatusOr<unsigned long> ParsePropagation(const std::string& text) {
  const bool recursive = text.size() > 1 && text[0] == 'r';
  const std::string name = recursive ? text.substr(1) : text;
  for (const auto& entry : kPropagation) {
    if (name == entry.name) return entry.flag | (recursive ? MS_REC : 0);
  }
  return InvalidArgument("linux.rootfsPropagation: unknown value " +
                         Quoted(text));
}

// What "/" becomes first and last. A shared root must not be cut off from the
// host before its mounts are bound; all else is cut off at once.
Status PlanPropagation(const Spec& spec, MountPlan& plan) {
  plan.initial_propagation = MS_SLAVE | MS_REC;
  if (spec.linux.rootfs_propagation.empty()) return OkStatus();
  ASSIGN_OR_RETURN(const unsigned long wanted,
                   ParsePropagation(spec.linux.rootfs_propagation));
  if (wanted & MS_SHARED) {
    plan.initial_propagation = MS_SHARED | MS_REC;
    plan.final_propagation = wanted;
  } else if (wanted & MS_UNBINDABLE) {
    plan.final_propagation = wanted;
  } else {
    // MS_REC: also what lies below "/" on the host must not see our mounts.
    plan.initial_propagation = wanted | MS_REC;
  }
  return OkStatus();
}

std::string AbsoluteSource(const std::string& source,
                           const std::string& bundle) {
  return StartsWith(source, "/") ? source : bundle + "/" + source;
}

Status CheckTarget(const MountSpec& mount, const std::string& target) {
  if (target == "/") {
    return InvalidArgument("mount " + Quoted(mount.destination) +
                           ": the root itself");
  }
  if (target == "/proc") {
    if (mount.type == "proc" || mount.type == "bind" || mount.type.empty() ||
        mount.type == "none") {
      return OkStatus();  // a bind is looked at when its source is open
    }
    return InvalidArgument("mount " + Quoted(mount.destination) +
                           ": only procfs can be mounted on /proc");
  }
  if (StartsWith(target, "/proc/") && !MayMountOnProc(target.substr(6))) {
    return InvalidArgument("mount " + Quoted(mount.destination) +
                           ": inside /proc");
  }
  return OkStatus();
}

// Of cgroup v2: what the container's cgroup namespace shows. With the host's,
// the whole tree, as a copy of the host's mount: a new one would take the
// tree's own options back (nsdelegate). In a user namespace only its own part,
// or that of its maker if it has none.
void PlanUnified(const MountStep& base, const MountPlanHost& host,
                 const Linux& linux, const MountAttributes& attributes,
                 MountPlan& plan) {
  MountStep step = base;
  step.options.top = attributes;
  std::string tree;
  std::string own = host.cgroup_path;
  for (const CgroupHierarchy& hierarchy : host.cgroups->hierarchies) {
    if (!hierarchy.v2) continue;
    tree = hierarchy.mount_point;
    if (own.empty()) own = hierarchy.own_path;
  }
  if (linux.Find(NamespaceType::kCgroup) != nullptr) {
    step.kind = MountStep::Kind::kFilesystem;
    step.type = "cgroup2";
    step.source = "cgroup";
    step.options.data.clear();
    step.fallback = tree + own;
  } else {
    const bool user = linux.Find(NamespaceType::kUser) != nullptr;
    step.kind = MountStep::Kind::kBind;
    step.source = user ? tree + own : tree;
  }
  plan.steps.push_back(step);
}

// v1: a tmpfs with one directory for each hierarchy, the container's own
// group in it.
void PlanCgroup(const MountStep& base, const MountPlanHost& host,
                const Linux& linux, MountPlan& plan) {
  const MountAttributes attributes{base.options.top.set | MOUNT_ATTR_NOSUID |
                                       MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
                                   0};
  if (host.cgroups->version == CgroupVersion::kV2) {
    return PlanUnified(base, host, linux, attributes, plan);
  }
  MountStep tmpfs = base;
  tmpfs.kind = MountStep::Kind::kFilesystem;
  tmpfs.type = "tmpfs";
  tmpfs.source = "tmpfs";
  tmpfs.options.top = attributes;
  tmpfs.options.top.set &= ~static_cast<uint64_t>(MOUNT_ATTR_RDONLY);
  tmpfs.options.data = {"mode=755"};
  tmpfs.seal_last = base.options.read_only;
  plan.steps.push_back(tmpfs);
  std::vector<MountStep> links;
  for (const CgroupHierarchy& hierarchy : host.cgroups->hierarchies) {
    const std::string name =
        hierarchy.mount_point.substr(hierarchy.mount_point.rfind('/') + 1);
    MountStep step;
    step.kind = MountStep::Kind::kBind;
    step.target = base.target + "/" + name;
    step.source =
        hierarchy.mount_point +
        (host.cgroup_path.empty() ? hierarchy.own_path : host.cgroup_path);
    step.options.bind = true;
    step.options.top = attributes;
    step.optional = true;  // hierarchies that the container did not join
    plan.steps.push_back(step);
    for (const std::string& controller : hierarchy.controllers) {
      if (hierarchy.v2 || controller == name || StartsWith(controller, "name="))
        continue;
      MountStep link;
      link.kind = MountStep::Kind::kSymlink;
      link.target = base.target + "/" + controller;
      link.source = name;
      links.push_back(link);
    }
  }
  plan.steps.insert(plan.steps.end(), links.begin(), links.end());
}

Status CheckOptions(const MountSpec& mount, const MountOptions& options,
                    bool bind) {
  const std::string where = "mount " + Quoted(mount.destination) + ": ";
  if (!bind && (options.id_mapped || !mount.uid_mappings.empty())) {
    return InvalidArgument(where + "id mappings need a bind mount");
  }
  if (!bind && (options.copy_symlink || options.source_nofollow)) {
    return InvalidArgument(where +
                           "copy-symlink and src-nofollow need a bind "
                           "mount");
  }
  if (bind && !options.data.empty()) {
    return InvalidArgument(where + "option " + Quoted(options.data.front()) +
                           " on a bind mount");
  }
  if (options.copy_up && mount.type != "tmpfs") {
    return InvalidArgument(where + "tmpcopyup needs tmpfs");
  }
  return OkStatus();
}

std::vector<IdRange> RangesOf(const std::vector<IdMapping>& mappings) {
  std::vector<IdRange> ranges;
  for (const IdMapping& m : mappings) {
    ranges.push_back({m.container_id, m.host_id, m.size});
  }
  return ranges;
}

// The mount's own lines or, asked for by "idmap" alone, the container's.
Status PlanIds(const Spec& spec, const MountSpec& mount, MountStep& step) {
  if (!mount.uid_mappings.empty()) {
    step.id_maps = {RangesOf(mount.uid_mappings), RangesOf(mount.gid_mappings)};
    return OkStatus();
  }
  if (!step.options.id_mapped) return OkStatus();
  if (!step.options.id_mapping.empty()) {
    ASSIGN_OR_RETURN_AS(step.id_maps,
                        ParseIdMapping(step.options.id_mapping, spec.linux),
                        "mount " + Quoted(mount.destination));
    return OkStatus();
  }
  const NamespaceSpec* user = spec.linux.Find(NamespaceType::kUser);
  if (user == nullptr) {
    return InvalidArgument("mount " + Quoted(mount.destination) +
                           ": idmap without mappings or a user namespace");
  }
  if (user->path.empty()) {
    step.id_maps = {RangesOf(spec.linux.uid_mappings),
                    RangesOf(spec.linux.gid_mappings)};
  } else {
    step.id_namespace = user->path;
  }
  return OkStatus();
}

// Where a user namespace may not have a new one, the host's is what it would
// show, if what it shows is the host's.
std::string FallbackOf(const std::string& type, const Linux& linux) {
  if (type == "sysfs") return "/sys";
  const auto shares = [&](NamespaceType namespaces) {
    return linux.Find(namespaces) == nullptr;
  };
  if (type == "mqueue" && shares(NamespaceType::kIpc)) return "/dev/mqueue";
  if (type == "proc" && shares(NamespaceType::kPid)) return "/proc";
  return "";
}

bool WantsLabel(const std::string& type) {
  return type != "proc" && type != "sysfs" && type != "mqueue" &&
         type != "cgroup" && type != "cgroup2";
}

Status PlanMount(const Spec& spec, const MountSpec& mount,
                 const MountPlanHost& host, MountPlan& plan) {
  MountStep step;
  step.target = CleanPath(mount.destination);
  step.options = ParseMountOptions(mount.options);
  const bool bind = step.options.bind || mount.type == "bind";
  RETURN_IF_ERROR(CheckTarget(mount, step.target));
  RETURN_IF_ERROR(CheckOptions(mount, step.options, bind));
  if (step.options.remount) {
    step.kind = MountStep::Kind::kRemount;
    plan.steps.push_back(step);
    return OkStatus();
  }
  if (bind) {
    if (mount.source.empty()) {
      return InvalidArgument("mount " + Quoted(mount.destination) +
                             ": a bind mount needs a source");
    }
    step.kind = MountStep::Kind::kBind;
    step.options.bind = true;
    step.source = AbsoluteSource(mount.source, host.bundle);
    RETURN_IF_ERROR(PlanIds(spec, mount, step));
    plan.steps.push_back(step);
    return OkStatus();
  }
  if (mount.type == "cgroup" || mount.type == "cgroup2") {
    if (host.cgroups == nullptr) {
      return FailedPrecondition("mount " + Quoted(mount.destination) +
                                ": no cgroups on this host");
    }
    PlanCgroup(step, host, spec.linux, plan);
    return OkStatus();
  }
  if (mount.type.empty() || mount.type == "none") {
    return InvalidArgument("mount " + Quoted(mount.destination) + ": no type");
  }
  step.type = mount.type;
  step.source = mount.source.empty() ? mount.type : mount.source;
  step.no_links = mount.type == "proc" || mount.type == "sysfs";
  if (mount.type == "proc") {
    const NamespaceSpec* pids = spec.linux.Find(NamespaceType::kPid);
    if (pids != nullptr) step.pid_namespace = pids->path;
  }
  step.fallback = FallbackOf(mount.type, spec.linux);
  if (mount.type == "tmpfs" && step.options.read_only) {
    step.options.top.set &= ~static_cast<uint64_t>(MOUNT_ATTR_RDONLY);
    step.seal_last = true;
  }
  if (!spec.linux.mount_label.empty() && WantsLabel(mount.type)) {
    step.options.data.push_back(spec.linux.mount_label_option + "=" +
                                spec.linux.mount_label);
  }
  if (mount.type == "mqueue") step.root_label = spec.linux.mount_label;
  plan.steps.push_back(step);
  return OkStatus();
}

// /dev is left alone when it is bound from elsewhere: not ours to fill.
bool DevIsBound(const Spec& spec) {
  bool bound = false;
  for (const MountSpec& mount : spec.mounts) {
    if (CleanPath(mount.destination) != "/dev") continue;
    const MountOptions options = ParseMountOptions(mount.options);
    bound = options.bind || mount.type == "bind";
  }
  return bound;
}

void PlanDevices(const Spec& spec, MountPlan& plan) {
  if (DevIsBound(spec)) return;
  constexpr struct {
    const char* path;
    int major;
    int minor;
  } kDefaults[] = {{"/dev/null", 1, 3},    {"/dev/zero", 1, 5},
                   {"/dev/full", 1, 7},    {"/dev/random", 1, 8},
                   {"/dev/urandom", 1, 9}, {"/dev/tty", 5, 0}};
  for (const auto& d : kDefaults) {
    DeviceNode node;
    node.path = d.path;
    node.major = d.major;
    node.minor = d.minor;
    node.file_mode = 0666;
    plan.devices.push_back(node);
  }
  constexpr const char* kLinks[][2] = {
      {"/dev/fd", "/proc/self/fd"},       {"/dev/stdin", "/proc/self/fd/0"},
      {"/dev/stdout", "/proc/self/fd/1"}, {"/dev/stderr", "/proc/self/fd/2"},
      {"/dev/core", "/proc/kcore"},       {"/dev/ptmx", "pts/ptmx"}};
  for (const auto& entry : kLinks) {
    MountStep link;
    link.kind = MountStep::Kind::kSymlink;
    link.target = entry[0];
    link.source = entry[1];
    plan.links.push_back(link);
  }
}

// Of several devices with one path, the last.
void KeepLast(std::vector<DeviceNode>& devices) {
  std::unordered_map<std::string, size_t> last;
  for (size_t i = 0; i < devices.size(); ++i) last[devices[i].path] = i;
  size_t index = 0;
  std::erase_if(devices, [&](const DeviceNode& device) {
    return last.at(device.path) != index++;
  });
}

// Each once: a mount on a mount on a mount costs more with each.
std::vector<std::string> CleanPaths(const std::vector<std::string>& paths) {
  std::vector<std::string> clean;
  std::unordered_set<std::string> seen;
  for (const std::string& path : paths) {
    std::string one = CleanPath(path);
    if (seen.insert(one).second) clean.push_back(std::move(one));
  }
  return clean;
}

}  // namespace

StatusOr<MountPlan> PlanMounts(const Spec& spec, const MountPlanHost& host) {
  MountPlan plan;
  RETURN_IF_ERROR(PlanPropagation(spec, plan));
  for (const MountSpec& mount : spec.mounts) {
    RETURN_IF_ERROR(PlanMount(spec, mount, host, plan));
  }
  PlanDevices(spec, plan);
  for (const DeviceNode& node : spec.linux.devices) {
    plan.devices.push_back(node);
    plan.devices.back().path = CleanPath(node.path);
  }
  KeepLast(plan.devices);
  plan.own_namespace = spec.linux.Find(NamespaceType::kMount) != nullptr;
  plan.readonly_root = spec.root.readonly;
  plan.masked_paths = CleanPaths(spec.linux.masked_paths);
  plan.readonly_paths = CleanPaths(spec.linux.readonly_paths);
  return plan;
}

std::string CleanPath(const std::string& path) {
  std::vector<std::string> parts;
  for (const std::string& part : Split(path, '/')) {
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      parts.push_back(part);
    } else if (!parts.empty()) {
      parts.pop_back();
    }
  }
  return "/" + Join(parts, "/");
}

bool MayMountOnProc(const std::string& path_in_proc) {
  return std::any_of(std::begin(kSafeOnProc), std::end(kSafeOnProc),
                     [&](const char* safe) { return path_in_proc == safe; });
}

}  // namespace berth::oci
