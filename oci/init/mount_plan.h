// From config.json to the list of things to do in the container's root, as
// values: nothing here looks at a file or the kernel. rootfs.h carries it out.
#ifndef OCI_INIT_MOUNT_PLAN_H_
#define OCI_INIT_MOUNT_PLAN_H_

#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/sys/id_mapped.h"
#include "base/sys/mount_options.h"
#include "oci/cgroup/cgroup_host.h"
#include "oci/spec/spec.h"

namespace berth::oci {

struct MountStep {
  enum class Kind {
    kFilesystem,  // a new one of `type`
    kBind,        // `source` of the host
    kSymlink,     // `source` is what the link says
    kRemount,     // what is mounted there gets other attributes and options
  };

  Kind kind = Kind::kFilesystem;
  std::string target;  // absolute, clean, seen from the container's root
  std::string type;
  std::string source;
  MountOptions options;
  // A source or file system that is not there is passed over.
  bool optional = false;
  // kFilesystem: bound from this host path if the kernel refuses (EPERM): a
  // user namespace that does not own the network namespace gets no sysfs.
  std::string fallback;
  // SELinux's, of the file system's root, for one that takes no "context".
  std::string root_label;
  // proc and sysfs: neither the target nor what is above may be a link
  // (CVE-2019-19921, CVE-2023-27561).
  bool no_links = false;
  // Made read-only when all is in place: a tmpfs that is still to be filled.
  bool seal_last = false;

  // kBind: the ids that the mount shows, if any are mapped: by these lines, or
  // as in the user namespace at this path.
  IdMaps id_maps;
  std::string id_namespace;

  // A procfs: whose processes it shows, the path of a pid namespace; empty:
  // of that which the new process is born in.
  std::string pid_namespace;

  bool maps_ids() const { return !id_maps.empty() || !id_namespace.empty(); }
  bool operator==(const MountStep&) const = default;
};

struct MountPlan {
  // MS_* flags for "/" before anything is mounted, so that nothing of ours
  // reaches the host (or that it does, if asked for).
  unsigned long initial_propagation = 0;
  // MS_* flags for "/" after the pivot; 0 for none.
  unsigned long final_propagation = 0;
  std::vector<MountStep> steps;
  std::vector<DeviceNode> devices;  // in order, defaults first
  // Those in /dev.
  std::vector<MountStep> links;
  // Without a mount namespace all mounts are made in the runtime's, on the root
  // file system's directory, which the container is then held to by chroot(2).
  bool own_namespace = true;
  bool readonly_root = false;
  std::vector<std::string> masked_paths;
  std::vector<std::string> readonly_paths;

  bool operator==(const MountPlan&) const = default;
};

// What of the host the plan depends on.
struct MountPlanHost {
  std::string bundle;  // absolute: where relative bind sources start
  const CgroupHost* cgroups = nullptr;  // null: the "cgroup" type is refused
  // Of the container, in each hierarchy; empty: it has none, and is shown that
  // of its maker.
  std::string cgroup_path;
};

// INVALID_ARGUMENT or UNIMPLEMENTED naming the mount or option that cannot be.
StatusOr<MountPlan> PlanMounts(const Spec& spec, const MountPlanHost& host);

// "/a/../b//c" -> "/b/c": ".." stops at the root. A relative path starts there.
std::string CleanPath(const std::string& path);

// Whether a mount may be put at this clean path of a procfs: only files that
// carry no power over the host (list of runc and crun).
bool MayMountOnProc(const std::string& path_in_proc);

}  // namespace berth::oci

#endif  // OCI_INIT_MOUNT_PLAN_H_
