#include "base/sys/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/strings.h"
#include "base/sys/id_mapped.h"
#include "base/sys/overlay_mount.h"

namespace berth {
namespace {

// The kernel explains a refused option in text that is read from the context.
std::string Explanation(int context) {
  char text[512];
  std::string all;
  for (int i = 0; i < 8; ++i) {
    const ssize_t n = read(context, text, sizeof(text));
    if (n <= 0) break;
    std::string line(text, static_cast<size_t>(n));
    if (line.size() > 2 && line[1] == ' ') line.erase(0, 2);
    while (!line.empty() && line.back() == '\n') line.pop_back();
    all += (all.empty() ? " (" : "; ") + line;
  }
  return all.empty() ? all : all + ")";
}

constexpr struct {
  uint64_t attribute;
  unsigned long flag;
} kMountFlags[] = {
    {MOUNT_ATTR_RDONLY, MS_RDONLY},
    {MOUNT_ATTR_NOSUID, MS_NOSUID},
    {MOUNT_ATTR_NODEV, MS_NODEV},
    {MOUNT_ATTR_NOEXEC, MS_NOEXEC},
    {MOUNT_ATTR_NODIRATIME, MS_NODIRATIME},
    {MOUNT_ATTR_NOATIME, MS_NOATIME},
    {MOUNT_ATTR_STRICTATIME, MS_STRICTATIME},
};

Status ConfigError(int context, const std::string& type,
                   const std::string& what) {
  const int error = errno;
  return Errno(error, "configure " + type + ", " + what + Explanation(context));
}

Status SetOption(int context, const std::string& type,
                 const std::string& option) {
  const size_t equals = option.find('=');
  const int result =
      equals == std::string::npos
          ? fsconfig(context, FSCONFIG_SET_FLAG, option.c_str(), nullptr, 0)
          : fsconfig(context, FSCONFIG_SET_STRING,
                     option.substr(0, equals).c_str(),
                     option.c_str() + equals + 1, 0);
  if (result != 0) {
    return ConfigError(context, type, "option " + Quoted(option));
  }
  return OkStatus();
}

// `user_namespace`: whose ids the mount shows, or -1.
Status BindAt(const Mount& request, const MountOptions& options,
              int user_namespace) {
  ASSIGN_OR_RETURN(const UniqueFd tree,
                   user_namespace < 0
                       ? CloneMount(AT_FDCWD, request.source, options.recursive)
                       : CloneMappedMount(request.source, options.recursive,
                                          user_namespace, options.recursive));
  if (!options.top.empty()) {
    RETURN_IF_ERROR(SetMountAttributes(tree.get(), options.top, false));
  }
  if (!options.tree.empty()) {
    RETURN_IF_ERROR(SetMountAttributes(tree.get(), options.tree, true));
  }
  if (move_mount(tree.get(), "", AT_FDCWD, request.target.c_str(),
                 MOVE_MOUNT_F_EMPTY_PATH) != 0) {
    return Errno(errno, "move_mount");
  }
  return OkStatus();
}

Status MountPlain(const Mount& request, int user_namespace) {
  const MountOptions options = ParseMountOptions(request.options);
  if (options.bind) {
    RETURN_IF_ERROR(BindAt(request, options, user_namespace));
  } else if (request.type == "overlay" &&
             MountData(options.data).size() > kMaxMountData) {
    RETURN_IF_ERROR(MountLongOverlay(request));
  } else if (mount(request.source.c_str(), request.target.c_str(),
                   request.type.c_str(), MountFlags(options),
                   MountData(options.data).c_str()) != 0) {
    return Errno(errno, "mount");
  }
  for (const unsigned long propagation : options.propagation) {
    if (mount(nullptr, request.target.c_str(), nullptr, propagation, nullptr) !=
        0) {
      return Errno(errno, "set propagation");
    }
  }
  return OkStatus();
}

Status MountMapped(const Mount& request, const IdMaps& maps) {
  ASSIGN_OR_RETURN(const UniqueFd user, MakeUserNamespace(maps));
  if (ParseMountOptions(request.options).bind) {
    return MountPlain(request, user.get());
  }
  if (request.type != "overlay") {
    return Unimplemented("map the ids of a new " + request.type);
  }
  RETURN_IF_ERROR(GiveUpperDirectory(request.options, maps));
  Mount mapped = request;
  ASSIGN_OR_RETURN(const MappedLayers layers,
                   MappedLayers::Map(mapped.options, user.get(),
                                     request.target + ".layers"));
  return MountPlain(mapped, -1);
}

}  // namespace

unsigned long MountFlags(const MountOptions& options) {
  unsigned long flags = 0;
  for (const auto& entry : kMountFlags) {
    if (options.top.set & entry.attribute) flags |= entry.flag;
  }
  for (const std::string& name : options.superblock) {
    if (name == "sync") flags |= MS_SYNCHRONOUS;
    if (name == "dirsync") flags |= MS_DIRSYNC;
    if (name == "lazytime") flags |= MS_LAZYTIME;
    if (name == "silent") flags |= MS_SILENT;
  }
  return flags;
}

Status MountAt(const Mount& request) {
  Mount plain = request;
  const auto run = [&]() -> Status {
    ASSIGN_OR_RETURN(const IdMaps maps, TakeIdMapOptions(plain.options));
    return maps.empty() ? MountPlain(plain, -1) : MountMapped(plain, maps);
  };
  const bool bind = ParseMountOptions(plain.options).bind;
  RETURN_IF_ERROR_AS(run(), "mount " + (bind ? plain.source : plain.type) +
                                " on " + Quoted(plain.target));
  return OkStatus();
}

Status Unmount(const std::string& target, int flags) {
  if (umount2(target.c_str(), flags) == 0) return OkStatus();
  const int error = errno;
  // EINVAL: not a mount point (umount(2)).
  return Errno(error == EINVAL ? ENOENT : error, "unmount " + Quoted(target));
}

StatusOr<UniqueFd> NewFilesystem(const std::string& type,
                                 const std::string& source,
                                 const std::vector<std::string>& superblock,
                                 const std::vector<std::string>& data,
                                 uint64_t attributes) {
  UniqueFd context(fsopen(type.c_str(), FSOPEN_CLOEXEC));
  if (!context.valid()) return Errno(errno, "fsopen " + Quoted(type));
  if (!source.empty() && fsconfig(context.get(), FSCONFIG_SET_STRING, "source",
                                  source.c_str(), 0) != 0) {
    return ConfigError(context.get(), type, "source " + Quoted(source));
  }
  for (const std::string& option : superblock) {
    RETURN_IF_ERROR(SetOption(context.get(), type, option));
  }
  for (const std::string& option : data) {
    RETURN_IF_ERROR(SetOption(context.get(), type, option));
  }
  if (fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    return ConfigError(context.get(), type, "create");
  }
  UniqueFd mounted(fsmount(context.get(), FSMOUNT_CLOEXEC,
                           static_cast<unsigned>(attributes)));
  if (!mounted.valid()) return ConfigError(context.get(), type, "fsmount");
  return mounted;
}

StatusOr<UniqueFd> CloneMount(int dir, const std::string& path, bool recursive,
                              bool follow) {
  const unsigned flags =
      (follow ? 0u : static_cast<unsigned>(AT_SYMLINK_NOFOLLOW)) |
      OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC |
      (recursive ? static_cast<unsigned>(AT_RECURSIVE) : 0u) |
      (path.empty() ? static_cast<unsigned>(AT_EMPTY_PATH) : 0u);
  UniqueFd tree(open_tree(dir, path.c_str(), flags));
  if (!tree.valid()) return Errno(errno, "open_tree " + Quoted(path));
  return tree;
}

Status Reconfigure(int mount, const std::vector<std::string>& options) {
  const UniqueFd context(fspick(mount, "", FSPICK_CLOEXEC | FSPICK_EMPTY_PATH));
  if (!context.valid()) return Errno(errno, "fspick");
  for (const std::string& option : options) {
    RETURN_IF_ERROR(SetOption(context.get(), "a mount", option));
  }
  if (fsconfig(context.get(), FSCONFIG_CMD_RECONFIGURE, nullptr, nullptr, 0) !=
      0) {
    return ConfigError(context.get(), "a mount", "reconfigure");
  }
  return OkStatus();
}

Status SetMountAttributes(int mount, const MountAttributes& attributes,
                          bool recursive) {
  struct mount_attr attr = {};
  attr.attr_set = attributes.set;
  attr.attr_clr = attributes.clear;
  if (mount_setattr(mount, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0),
                    &attr, sizeof(attr)) != 0) {
    return Errno(errno, "mount_setattr");
  }
  return OkStatus();
}

Status MapMountIds(int mount, int user_namespace, bool recursive) {
  struct mount_attr attr = {};
  attr.attr_set = MOUNT_ATTR_IDMAP;
  attr.userns_fd = static_cast<uint64_t>(user_namespace);
  if (mount_setattr(mount, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0),
                    &attr, sizeof(attr)) != 0) {
    return Errno(errno, "mount_setattr idmap");
  }
  return OkStatus();
}

Status SetPropagation(int mount, unsigned long propagation) {
  struct mount_attr attr = {};
  attr.propagation = propagation & ~static_cast<unsigned long>(MS_REC);
  const int recursive = (propagation & MS_REC) != 0 ? AT_RECURSIVE : 0;
  if (mount_setattr(mount, "", AT_EMPTY_PATH | recursive, &attr,
                    sizeof(attr)) != 0) {
    return Errno(errno, "mount_setattr propagation");
  }
  return OkStatus();
}

Status AttachMount(int mount, int target) {
  if (move_mount(mount, "", target, "",
                 MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0) {
    return Errno(errno, "move_mount");
  }
  return OkStatus();
}

Status PivotRoot(int new_root) {
  const UniqueFd old_root(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!old_root.valid()) return Errno(errno, "open the old root");
  if (fchdir(new_root) != 0) return Errno(errno, "fchdir to the new root");
  // The old root lands on top of the new one (pivot_root(2), the example).
  if (syscall(SYS_pivot_root, ".", ".") != 0) return Errno(errno, "pivot_root");
  // mount(2), unlike umount2(2), would take "." for the new root beneath.
  if (fchdir(old_root.get()) != 0)
    return Errno(errno, "fchdir to the old root");
  // What is unmounted here must not be unmounted on the host as well.
  if (mount(nullptr, ".", nullptr, MS_SLAVE | MS_REC, nullptr) != 0) {
    return Errno(errno, "make the old root a slave");
  }
  if (umount2(".", MNT_DETACH) != 0) return Errno(errno, "detach the old root");
  if (chdir("/") != 0) return Errno(errno, "chdir to the new root");
  return OkStatus();
}

Status EnterEmptyRoot() {
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return Errno(errno, "make the mounts private");
  }
  ASSIGN_OR_RETURN(
      const UniqueFd root,
      NewFilesystem("tmpfs", "tmpfs", {}, {"nr_blocks=1", "nr_inodes=1"},
                    MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
                        MOUNT_ATTR_NOEXEC));
  const UniqueFd place(open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!place.valid()) return Errno(errno, "open /proc");
  RETURN_IF_ERROR(AttachMount(root.get(), place.get()));
  return PivotRoot(root.get());
}

}  // namespace berth
