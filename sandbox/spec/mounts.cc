#include "sandbox/spec/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <set>

#include "base/error/word.h"
#include "base/fs/foreign_path.h"
#include "base/fs/rooted_path.h"
#include "base/strings.h"
#include "base/sys/mount_table.h"
#include "sandbox/record/files.h"

namespace berth::sandbox {
namespace {

using ::berth::state::v1::ContainerRecord;
using ::berth::state::v1::Mount;
using ::berth::state::v1::SandboxRecord;

constexpr uint64_t kMaxMountinfoBytes = 64 << 20;

bool Covers(const std::string& mount_point, const std::string& path) {
  if (mount_point == "/" || mount_point == path) return true;
  return StartsWith(path, mount_point + "/");
}

// The real path of a bind's source; made as a directory if there is none.
StatusOr<std::string> ResolveHostPath(const Context& ctx, const Mount& mount) {
  const std::string& path = mount.host_path();
  if (!StartsWith(path, "/")) {
    return InvalidArgument("mount host_path " + Quoted(path) +
                           ": not absolute");
  }
  StatusOr<PathFacts> found = InspectPath(ctx, path);
  if (ErrnoOf(found.status()) == ENOENT && !mount.host_path_must_exist()) {
    const std::string cleaned = CleanPath(path);
    RETURN_IF_ERROR_AS(MakePath(ctx, cleaned, 0755), "mount host_path");
    found = InspectPath(ctx, cleaned);
  }
  if (!found.ok()) return Annotate(found.status(), "mount host_path");
  return found->path;
}

// The propagation's option; raises what the root must have for it.
StatusOr<std::string> Propagation(const Mount& mount, const std::string& source,
                                  const HostMounts& host,
                                  std::string& rootfs_propagation) {
  switch (mount.propagation()) {
    case state::v1::MOUNT_PROPAGATION_PRIVATE:
      return std::string("rprivate");
    case state::v1::MOUNT_PROPAGATION_HOST_TO_CONTAINER:
      if (!host.IsSharedOrSlave(source)) {
        return InvalidArgument("mount " + Quoted(source) +
                               ": HOST_TO_CONTAINER, but on the host it is "
                               "neither a shared nor a slave mount");
      }
      if (rootfs_propagation.empty()) rootfs_propagation = "rslave";
      return std::string("rslave");
    case state::v1::MOUNT_PROPAGATION_BIDIRECTIONAL:
      if (!host.IsShared(source)) {
        return InvalidArgument("mount " + Quoted(source) +
                               ": BIDIRECTIONAL, but on the host it is not a "
                               "shared mount");
      }
      rootfs_propagation = "rshared";
      return std::string("rshared");
    default:
      return InvalidArgument("mount " + Quoted(mount.container_path()) +
                             ": unknown propagation");
  }
}

Status CheckReadonly(const Mount& mount) {
  if (!mount.recursive_readonly()) return OkStatus();
  if (!mount.readonly()) {
    return InvalidArgument("mount " + Quoted(mount.container_path()) +
                           ": recursive_readonly without readonly");
  }
  if (mount.propagation() != state::v1::MOUNT_PROPAGATION_PRIVATE) {
    return InvalidArgument("mount " + Quoted(mount.container_path()) +
                           ": recursive_readonly needs PRIVATE propagation");
  }
  return OkStatus();
}

template <typename Lines>
std::vector<oci::IdMapping> ToOci(const Lines& lines) {
  std::vector<oci::IdMapping> mappings;
  for (const auto& line : lines) {
    mappings.push_back({line.container_id(), line.host_id(), line.size()});
  }
  return mappings;
}

void AddReadonly(const Mount& mount, std::vector<std::string>& options) {
  if (mount.recursive_readonly()) {
    options.push_back("rro");
  } else {
    options.push_back(mount.readonly() ? "ro" : "rw");
  }
  options.insert(options.end(), mount.options().begin(), mount.options().end());
}

StatusOr<oci::MountSpec> Bind(const Context& ctx, const Mount& mount,
                              const HostMounts& host,
                              std::string& rootfs_propagation) {
  RETURN_IF_ERROR(CheckReadonly(mount));
  oci::MountSpec spec;
  spec.destination = CleanPath("/" + mount.container_path());
  spec.type = "bind";
  ASSIGN_OR_RETURN(spec.source, ResolveHostPath(ctx, mount));
  spec.options.push_back(mount.non_recursive() ? "bind" : "rbind");
  ASSIGN_OR_RETURN(std::string propagation,
                   Propagation(mount, spec.source, host, rootfs_propagation));
  spec.options.push_back(std::move(propagation));
  AddReadonly(mount, spec.options);
  spec.uid_mappings = ToOci(mount.uid_mappings());
  spec.gid_mappings = ToOci(mount.gid_mappings());
  if (!spec.uid_mappings.empty()) {
    spec.options.push_back(mount.non_recursive() ? "idmap" : "ridmap");
  }
  return spec;
}

StatusOr<oci::MountSpec> Image(const Mount& mount, const std::string& root) {
  const std::string what = "mount " + Quoted(mount.container_path());
  if (!mount.host_path().empty()) {
    return InvalidArgument(what + ": both an image and a host path");
  }
  if (!mount.readonly()) {
    return InvalidArgument(what + ": an image must be mounted readonly");
  }
  oci::MountSpec spec;
  spec.destination = CleanPath("/" + mount.container_path());
  spec.type = "bind";
  spec.source = root;
  if (!mount.image_sub_path().empty()) {
    ASSIGN_OR_RETURN_AS(const RootedPath rooted, RootedPath::Open(root), what);
    ASSIGN_OR_RETURN_AS(const UniqueFd inside,
                        rooted.Open(mount.image_sub_path(), O_PATH | O_CLOEXEC),
                        what);
    ASSIGN_OR_RETURN_AS(spec.source, PathOfFd(inside.get()), what);
  }
  spec.options = {"rbind", "rprivate", "ro", "nosuid", "nodev"};
  spec.options.insert(spec.options.end(), mount.options().begin(),
                      mount.options().end());
  return spec;
}

oci::MountSpec Tmpfs(const Mount& mount) {
  oci::MountSpec spec;
  spec.destination = CleanPath("/" + mount.container_path());
  spec.type = "tmpfs";
  spec.source = "tmpfs";
  spec.options = {"nosuid", "nodev", "noexec"};
  AddReadonly(mount, spec.options);
  if (mount.tmpfs_size() > 0) {
    spec.options.push_back("size=" + std::to_string(mount.tmpfs_size()));
  }
  if (mount.tmpfs_mode() != 0) {
    char mode[32];
    std::snprintf(mode, sizeof(mode), "mode=%o", mount.tmpfs_mode());
    spec.options.push_back(mode);
  }
  return spec;
}

size_t Depth(const std::string& path) {
  return path == "/" ? 0 : std::count(path.begin(), path.end(), '/');
}

oci::MountSpec Make(const char* destination, const char* type,
                    const std::string& source,
                    std::vector<std::string> options) {
  oci::MountSpec spec;
  spec.destination = destination;
  spec.type = type;
  spec.source = source;
  spec.options = std::move(options);
  return spec;
}

}  // namespace

HostMounts::HostMounts(std::string_view mountinfo) {
  for (const MountEntry& mount : ParseMountTable(mountinfo)) {
    Entry entry;
    entry.mount_point = mount.point;
    for (const std::string& tag : mount.tags) {
      entry.shared |= StartsWith(tag, "shared:");
      entry.slave |= StartsWith(tag, "master:");
    }
    entries_.push_back(std::move(entry));
  }
}

StatusOr<HostMounts> HostMounts::Read(
    const std::string& proc, const state::v1::ContainerConfig& config) {
  const auto depends = [](const Mount& mount) {
    return mount.propagation() != state::v1::MOUNT_PROPAGATION_PRIVATE;
  };
  if (std::none_of(config.mounts().begin(), config.mounts().end(), depends)) {
    return HostMounts("");
  }
  ASSIGN_OR_RETURN(const std::string text,
                   ReadSmallFile(proc + "/self/mountinfo", kMaxMountinfoBytes));
  return HostMounts(text);
}

const HostMounts::Entry* HostMounts::Find(const std::string& path) const {
  const Entry* best = nullptr;
  for (const Entry& entry : entries_) {
    if (!Covers(entry.mount_point, path)) continue;
    if (best == nullptr ||
        entry.mount_point.size() >= best->mount_point.size()) {
      best = &entry;
    }
  }
  return best;
}

bool HostMounts::IsShared(const std::string& path) const {
  const Entry* entry = Find(path);
  return entry != nullptr && entry->shared;
}

bool HostMounts::IsSharedOrSlave(const std::string& path) const {
  const Entry* entry = Find(path);
  return entry != nullptr && (entry->shared || entry->slave);
}

StatusOr<MountPlan> RequestedMounts(const Context& ctx,
                                    const SandboxRecord& sandbox,
                                    const ContainerRecord& container,
                                    const std::vector<std::string>& image_roots,
                                    const HostMounts& host) {
  MountPlan plan;
  size_t images = 0;
  for (const Mount& mount : container.config().mounts()) {
    if (mount.container_path().empty()) {
      return InvalidArgument("mount container_path: missing");
    }
    if (mount.type() == state::v1::MOUNT_TYPE_IMAGE) {
      if (images >= image_roots.size()) {
        return Internal("mount image: not mounted on the host");
      }
      StatusOr<oci::MountSpec> spec = Image(mount, image_roots[images++]);
      if (!spec.ok()) return WithWord(spec.status(), kImageMountWord);
      plan.mounts.push_back(*std::move(spec));
    } else if (mount.type() == state::v1::MOUNT_TYPE_TMPFS) {
      plan.mounts.push_back(Tmpfs(mount));
    } else {
      Mount bind = mount;
      if (!mount.sub_path().empty()) {
        if (images >= image_roots.size()) {
          return Internal("mount sub_path: not mounted on the host");
        }
        bind.set_host_path(image_roots[images++]);
      }
      ASSIGN_OR_RETURN(oci::MountSpec spec,
                       Bind(ctx, bind, host, plan.rootfs_propagation));
      plan.mounts.push_back(std::move(spec));
    }
  }
  const auto& options = sandbox.config().namespaces();
  for (const auto& volume : container.image_volumes()) {
    oci::MountSpec spec =
        Make(CleanPath(volume.container_path()).c_str(), "bind",
             volume.host_path(), {"rbind", "rprivate", "rw"});
    // The disk has the image's owners.
    spec.uid_mappings = ToOci(options.uid_mappings());
    spec.gid_mappings = ToOci(options.gid_mappings());
    plan.mounts.push_back(std::move(spec));
  }
  return plan;
}

std::vector<oci::MountSpec> StandardMounts(const SandboxRecord& sandbox,
                                           const ContainerRecord& container) {
  const auto& security = container.config().security();
  const bool privileged = security.privileged();
  const std::string rw = privileged ? "rw" : "ro";
  const bool writes_cgroups =
      privileged ||
      security.cgroup_mount() == state::v1::CGROUP_MOUNT_READ_WRITE;
  std::vector<oci::MountSpec> mounts = {
      Make("/proc", "proc", "proc", {"nosuid", "noexec", "nodev"}),
      Make("/dev", "tmpfs", "tmpfs",
           {"nosuid", "strictatime", "mode=755", "size=65536k"}),
      Make("/dev/pts", "devpts", "devpts",
           {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620",
            "gid=5"}),
      Make("/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"}),
      Make("/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", rw}),
      Make("/sys/fs/cgroup", "cgroup", "cgroup",
           {"nosuid", "noexec", "nodev", "relatime",
            writes_cgroups ? "rw" : "ro"}),
  };
  const std::string& shm = sandbox.directory().shm_path();
  mounts.push_back(Make("/dev/shm", "bind", shm.empty() ? "/dev/shm" : shm,
                        {"rbind", "rprivate", "rw"}));
  const std::string& root = sandbox.directory().root_path();
  const std::string files = security.readonly_rootfs() ? "ro" : "rw";
  for (const char* name : {"hostname", "hosts", "resolv.conf"}) {
    mounts.push_back(Make((std::string("/etc/") + name).c_str(), "bind",
                          root + "/" + name, {"rbind", "rprivate", files}));
  }
  return mounts;
}

std::vector<oci::MountSpec> MergeMounts(
    std::vector<oci::MountSpec> standard,
    const std::vector<oci::MountSpec>& requested) {
  std::set<std::string> taken;
  for (const oci::MountSpec& mount : requested) taken.insert(mount.destination);
  // Who brings a /sys brings what is in it.
  if (taken.count("/sys") > 0) taken.insert("/sys/fs/cgroup");
  std::erase_if(standard, [&](const oci::MountSpec& mount) {
    return taken.count(mount.destination) > 0;
  });
  standard.insert(standard.end(), requested.begin(), requested.end());
  std::stable_sort(standard.begin(), standard.end(),
                   [](const oci::MountSpec& a, const oci::MountSpec& b) {
                     return Depth(a.destination) < Depth(b.destination);
                   });
  return standard;
}

std::string CleanPath(std::string_view path) {
  std::vector<std::string> parts;
  for (const std::string& part : Split(path, '/')) {
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      if (!parts.empty()) parts.pop_back();
    } else {
      parts.push_back(part);
    }
  }
  return "/" + Join(parts, "/");
}

}  // namespace berth::sandbox
