#include "sandbox/container_mounts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "base/error/word.h"
#include "base/fs/copy_tree.h"
#include "base/fs/foreign_path.h"
#include "base/fs/rooted_path.h"
#include "base/strings.h"
#include "base/sys/file.h"
#include "base/sys/id_mapped.h"
#include "base/sys/mount.h"
#include "sandbox/container_end.h"
#include "sandbox/record/files.h"
#include "sandbox/record/name_index.h"
#include "sandbox/selinux/labels.h"
#include "sandbox/selinux/relabel.h"
#include "sandbox/spec/id_maps.h"
#include "sandbox/spec/mounts.h"

namespace berth::sandbox {
namespace {

using namespace ::berth::state::v1;

constexpr size_t kMaxImageVolumes = 1024;

std::string ImageRoot(const Core& core, const std::string& id, int index) {
  return core.paths.ContainerState(id) + "/images/" + std::to_string(index);
}

// All steps of a root file system, on `target`.
Status MountRootfs(const image::Rootfs& rootfs, const std::string& target) {
  RETURN_IF_ERROR(MakeDirectories(target, 0700));
  for (::berth::Mount mount : rootfs.mounts) {
    mount.target = mount.target.empty() ? target : target + "/" + mount.target;
    const Status mounted = MountAt(mount);
    if (mounted.ok()) continue;
    LogFailure("unmount " + Quoted(target),
               IgnoreNotFound(DetachMounts(target)));
    return mounted;
  }
  return OkStatus();
}

bool IsEmpty(const std::string& path) {
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir(path.c_str()),
                                                closedir);
  if (!dir) return false;
  while (const dirent* entry = readdir(dir.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") return false;
  }
  return true;
}

// A directory that begins as a copy.
struct Fill {
  std::string container_path;
  std::string host_path;
};

// `root` is the container's root file system. What the image has at the path,
// never what the host has there (CVE-2022-23648).
Status CopyContent(const std::string& root, const Fill& fill) {
  ASSIGN_OR_RETURN(const RootedPath rooted, RootedPath::Open(root));
  const StatusOr<UniqueFd> from =
      rooted.Open(fill.container_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (IsNotFound(from.status())) return OkStatus();
  RETURN_IF_ERROR(from.status());
  const UniqueFd to(open(fill.host_path.c_str(),
                         O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!to.valid()) return Errno(errno, "open " + Quoted(fill.host_path));
  return CopyTree(from->get(), to.get());
}

Status FillAll(Core& core, const ContainerRecord& container,
               const image::Rootfs& rootfs, const std::vector<Fill>& fills) {
  if (fills.empty()) return OkStatus();
  const std::string root =
      core.paths.ContainerState(container.id()) + "/content";
  RETURN_IF_ERROR(MountRootfs(rootfs, root));
  const absl::Cleanup unmount = [&] {
    LogFailure("unmount " + Quoted(root), DetachMounts(root));
    rmdir(root.c_str());
  };
  for (const Fill& fill : fills) {
    RETURN_IF_ERROR_AS(CopyContent(root, fill),
                       "fill volume " + Quoted(fill.container_path));
  }
  return OkStatus();
}

bool IsCovered(const ContainerConfig& config, const std::string& path) {
  return std::any_of(config.mounts().begin(), config.mounts().end(),
                     [&](const auto& mount) {
                       return CleanPath("/" + mount.container_path()) == path;
                     });
}

bool HasRoot(const state::v1::Mount& mount) {
  return mount.type() == MOUNT_TYPE_IMAGE || !mount.sub_path().empty();
}

std::string ImageMountKey(const ContainerRecord& container, int index) {
  return container.id() + "-image" + std::to_string(index);
}

// What a container can exchange for a link is opened once, and mounted from
// there (CVE-2017-1002101).
Status MountSubPath(const Context& ctx, const state::v1::Mount& mount,
                    const std::string& target) {
  // First by one that may be left behind: the volume's server may have died.
  ASSIGN_OR_RETURN(const PathFacts volume, InspectPath(ctx, mount.host_path()));
  ASSIGN_OR_RETURN(const RootedPath root, RootedPath::Open(volume.path));
  ASSIGN_OR_RETURN(const UniqueFd inside,
                   root.Open(mount.sub_path(), O_PATH | O_CLOEXEC));
  ASSIGN_OR_RETURN(const struct stat info, StatFd(inside.get()));
  ASSIGN_OR_RETURN(const UniqueFd tree,
                   CloneMount(inside.get(), "", !mount.non_recursive()));
  RETURN_IF_ERROR(SetPropagation(tree.get(), MS_PRIVATE | MS_REC));
  if (S_ISDIR(info.st_mode)) {
    RETURN_IF_ERROR(MakeDirectories(target, 0700));
  } else {
    RETURN_IF_ERROR(MakeDirectories(target.substr(0, target.rfind('/')), 0700));
    RETURN_IF_ERROR(WriteSmallFile(target, "", 0600));
  }
  ASSIGN_OR_RETURN(const UniqueFd at, OpenFile(target, O_PATH));
  return AttachMount(tree.get(), at.get());
}

StatusOr<std::vector<std::string>> MountEachImage(const Context& ctx,
                                                  Core& core,
                                                  const SandboxRecord& sandbox,
                                                  ContainerRecord& container) {
  std::vector<std::string> roots;
  // For a daemon of before, which goes by the record alone.
  container.clear_image_mount_keys();
  for (const std::string& key : ImageMountKeys(container)) {
    container.add_image_mount_keys(key);
  }
  for (const auto& mount : container.config().mounts()) {
    if (!HasRoot(mount)) continue;
    const std::string what = "mount " + Quoted(mount.container_path());
    const int index = static_cast<int>(roots.size());
    if (mount.type() == MOUNT_TYPE_BIND) {
      // A volume may not be mounted before the start: its directory stands for
      // what is in it until then.
      const bool ready = sandbox.phase() == SANDBOX_PHASE_READY;
      roots.push_back(ready ? ImageRoot(core, container.id(), index)
                            : mount.host_path());
      if (!ready) continue;
      RETURN_IF_ERROR(IgnoreNotFound(DetachMounts(roots.back())));
      RETURN_IF_ERROR_AS(MountSubPath(ctx, mount, roots.back()),
                         what + ": subpath " + Quoted(mount.sub_path()));
      continue;
    }
    const std::string key = ImageMountKey(container, index);
    ASSIGN_OR_RETURN_AS(
        image::Rootfs rootfs,
        core.parts.images.AcquireReadOnly(ctx, mount.image_id(), key), what);
    MapIds(sandbox, rootfs.mounts);
    LabelMounts(container.mount_label(), rootfs.mounts);
    roots.push_back(ImageRoot(core, container.id(), index));
    RETURN_IF_ERROR(IgnoreNotFound(DetachMounts(roots.back())));
    RETURN_IF_ERROR_AS(MountRootfs(rootfs, roots.back()), what);
  }
  return roots;
}

}  // namespace

StatusOr<image::Rootfs> AcquireRootfs(const Context& ctx, Core& core,
                                      const ContainerRecord& container) {
  return core.parts.images.Acquire(
      ctx, container.config().image_id(), container.snapshot_key(),
      container.config().volatile_rootfs() ? image::Persistence::kVolatile
                                           : image::Persistence::kDurable);
}

void MapIds(const SandboxRecord& sandbox, std::vector<::berth::Mount>& mounts) {
  const auto words = IdMapOptions(IdMapsOf(sandbox.config()));
  for (::berth::Mount& mount : mounts) {
    mount.options.insert(mount.options.end(), words.begin(), words.end());
  }
}

void LabelMounts(const std::string& label,
                 std::vector<::berth::Mount>& mounts) {
  for (::berth::Mount& mount : mounts) {
    if (label.empty() || mount.type != "overlay") continue;
    mount.options.push_back("context=" + label);
  }
}

Status RelabelSources(const Context& ctx, const ContainerRecord& container) {
  const std::string& label = container.mount_label();
  if (label.empty()) return OkStatus();
  // Docker's volumes may be used by others, too.
  const std::string of_volumes =
      IsStandalone(container) ? SharedLabel(label) : label;
  for (const ImageVolume& volume : container.image_volumes()) {
    ASSIGN_OR_RETURN(const PathFacts source,
                     InspectPath(ctx, volume.host_path()));
    RETURN_IF_ERROR(Relabel(ctx, source.path, of_volumes));
  }
  for (const auto& mount : container.config().mounts()) {
    if (mount.type() != MOUNT_TYPE_BIND) continue;
    const bool volume = !mount.volume().empty();
    if (!mount.selinux_relabel() && !volume) continue;
    ASSIGN_OR_RETURN_AS(const PathFacts source,
                        InspectPath(ctx, mount.host_path()), "selinux_relabel");
    const bool shared =
        mount.selinux_shared() || (volume && !mount.selinux_relabel());
    RETURN_IF_ERROR_AS(
        Relabel(ctx, source.path, shared ? SharedLabel(label) : label),
        "selinux_relabel");
  }
  return OkStatus();
}

StatusOr<std::vector<std::string>> MountImages(const Context& ctx, Core& core,
                                               const SandboxRecord& sandbox,
                                               ContainerRecord& container) {
  StatusOr<std::vector<std::string>> roots =
      MountEachImage(ctx, core, sandbox, container);
  if (!roots.ok()) return WithWord(roots.status(), kImageMountWord);
  return roots;
}

std::vector<std::string> ImageMountKeys(const ContainerRecord& container) {
  std::vector<std::string> keys;
  int index = 0;
  for (const auto& mount : container.config().mounts()) {
    if (!HasRoot(mount)) continue;
    if (mount.type() == MOUNT_TYPE_IMAGE) {
      keys.push_back(ImageMountKey(container, index));
    }
    ++index;
  }
  return keys;
}

Status UnmountImages(Core& core, const ContainerRecord& container) {
  int count = 0;
  for (const auto& mount : container.config().mounts()) {
    if (HasRoot(mount)) ++count;
  }
  for (int i = 0; i < count; ++i) {
    RETURN_IF_ERROR(
        IgnoreNotFound(DetachMounts(ImageRoot(core, container.id(), i))));
  }
  return OkStatus();
}

Status MakeVolumes(const Context& ctx, Core& core, ContainerRecord& container,
                   const image::Rootfs& rootfs) {
  std::vector<Fill> fills;
  const ContainerConfig& config = container.config();
  container.clear_image_volumes();
  if (!config.ignore_image_volumes()) {
    if (rootfs.config.volumes_size() > static_cast<int>(kMaxImageVolumes)) {
      return ResourceExhausted("volumes of the image: more than " +
                               std::to_string(kMaxImageVolumes));
    }
    // The copies look as in the image: nobody gets to them but by a mount.
    const std::string folder =
        core.paths.ContainerRoot(container.id()) + "/volumes";
    int number = 0;
    for (const std::string& volume : rootfs.config.volumes()) {
      const std::string path = CleanPath("/" + volume);
      if (path == "/" || IsCovered(config, path)) continue;
      if (number == 0) RETURN_IF_ERROR(MakeDirectories(folder, 0700));
      auto& entry = *container.add_image_volumes();
      entry.set_container_path(path);
      entry.set_host_path(folder + "/" + std::to_string(number++));
      RETURN_IF_ERROR(MakeDirectories(entry.host_path(), 0755));
      fills.push_back({path, entry.host_path()});
    }
  }
  for (const auto& mount : config.mounts()) {
    if (!mount.copy_image_content()) continue;
    // First by one that may be left behind: the volume's server may have died.
    RETURN_IF_ERROR(InspectPath(ctx, mount.host_path()).status());
    if (IsEmpty(mount.host_path())) {
      fills.push_back(
          {CleanPath("/" + mount.container_path()), mount.host_path()});
    }
  }
  return FillAll(core, container, rootfs, fills);
}

}  // namespace berth::sandbox
