#include "oci/init/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fs/copy_tree.h"
#include "base/strings.h"
#include "base/sys/file.h"
#include "base/sys/mount.h"
#include "base/sys/mount_table.h"
#include "base/sys/namespace.h"
#include "oci/init/proc_mount.h"

namespace berth::oci {
namespace {

constexpr MountAttributes kReadOnlyAttribute = {MOUNT_ATTR_RDONLY, 0};

StatusOr<bool> IsDirectory(int fd) {
  ASSIGN_OR_RETURN(const struct stat st, StatFd(fd));
  return S_ISDIR(st.st_mode);
}

bool IsNullDevice(const struct stat& st) {
  return S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
}

// These have one superblock for many mounts: "ro" is each mount's own.
bool SharesSuperblock(const std::string& type) {
  return type == "proc" || type == "sysfs" || type == "tmpfs" ||
         type == "mqueue" || type == "devpts" || type == "cgroup2";
}

mode_t FileType(const DeviceNode& node) {
  return node.type == 'b' ? S_IFBLK : node.type == 'p' ? S_IFIFO : S_IFCHR;
}

bool IsSameDevice(const DeviceNode& node, const struct stat& st) {
  if ((st.st_mode & S_IFMT) != FileType(node)) return false;
  return node.type == 'p' ||
         st.st_rdev == makedev(static_cast<unsigned>(node.major),
                               static_cast<unsigned>(node.minor));
}

// The mount that `path` is on must not be shared when the root is attached
// and pivoted to (pivot_root(2)), or the host would see it.
Status MakeParentPrivate(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string table,
                   ReadFile("/proc/self/mountinfo", 64 << 20));
  std::string parent;
  for (const MountEntry& entry : ParseMountTable(table)) {
    const std::string& point = entry.point;
    const bool covers =
        point == "/" || path == point || StartsWith(path, point + "/");
    if (covers && point.size() >= parent.size()) parent = point;
  }
  if (mount(nullptr, parent.c_str(), nullptr, MS_PRIVATE, nullptr) != 0) {
    return Errno(errno, "make " + Quoted(parent) + " private");
  }
  return OkStatus();
}

// Whatever /proc and /sys the mount namespace has outside of `root`. Chroot
// only hides them, and the kernel lets a user namespace mount a procfs without
// its masks where there is such a one (mount_too_revealing in fs/namespace.c).
Status RemoveKernelFilesystems(const std::string& root) {
  ASSIGN_OR_RETURN(const std::string table,
                   ReadFile("/proc/self/mountinfo", 64 << 20));
  for (const MountEntry& entry : ParseMountTable(table)) {
    const std::string& point = entry.point;
    const bool kernels = entry.type == "proc" || entry.type == "sysfs";
    if (!kernels || StartsWith(point, root + "/")) continue;
    if (mount(nullptr, point.c_str(), nullptr, MS_SLAVE | MS_REC, nullptr) !=
        0) {
      // Below another one that is gone by now.
      if (errno == EINVAL || errno == ENOENT) continue;
      return Errno(errno, "make a slave of " + Quoted(point));
    }
    if (umount2(point.c_str(), MNT_DETACH) == 0) continue;
    // Locked, in a user namespace of ours: it can be covered still.
    if (errno != EINVAL && errno != EPERM) {
      return Errno(errno, "unmount " + Quoted(point));
    }
    if (mount("tmpfs", point.c_str(), "tmpfs", MS_RDONLY, nullptr) != 0) {
      return Errno(errno, "cover " + Quoted(point));
    }
  }
  return OkStatus();
}

// A copy of the mount there; of a link that is to be copied, the link itself.
StatusOr<UniqueFd> OpenSource(const MountStep& step) {
  if (step.options.copy_symlink) {
    ASSIGN_OR_RETURN(UniqueFd link, OpenFile(step.source, O_PATH | O_NOFOLLOW));
    ASSIGN_OR_RETURN(const struct stat st, StatFd(link.get()));
    if (S_ISLNK(st.st_mode)) return link;
  }
  return CloneMount(AT_FDCWD, step.source, step.options.recursive,
                    !step.options.source_nofollow);
}

StatusOr<std::string> TextOfLink(int link) {
  char text[PATH_MAX];
  const ssize_t n = readlinkat(link, "", text, sizeof(text));
  if (n < 0) return Errno(errno, "readlink");
  return std::string(text, static_cast<size_t>(n));
}

StatusOr<UniqueFd> PrepareProc(const MountStep& step) {
  ASSIGN_OR_RETURN(const UniqueFd pids,
                   OpenNamespace(step.pid_namespace, CLONE_NEWPID));
  return MountProcOf(pids.get(), {step.source, step.options.superblock,
                                  step.options.data, step.options.top.set});
}

// fsetxattr(2) takes no descriptor of a mount (O_PATH).
Status LabelRoot(const UniqueFd& mount, const std::string& label) {
  ASSIGN_OR_RETURN(const UniqueFd root,
                   OpenFileAt(mount.get(), ".", O_RDONLY | O_DIRECTORY));
  if (fsetxattr(root.get(), "security.selinux", label.c_str(), label.size() + 1,
                0) == 0 ||
      errno == ENOTSUP) {
    return OkStatus();
  }
  return Errno(errno, "set SELinux label " + Quoted(label));
}

}  // namespace

Rootfs::Rootfs(const MountPlan& plan, UniqueFd tree, const std::string& path)
    : plan_(plan), root_(std::move(tree)), path_(path) {}

StatusOr<uint64_t> MountNumber(const std::string& path) {
  struct statx st = {};
  if (statx(AT_FDCWD, path.c_str(), AT_STATX_DONT_SYNC, STATX_MNT_ID, &st) !=
      0) {
    return Errno(errno, "statx " + Quoted(path));
  }
  return st.stx_mnt_id;
}

Status RemoveMounts(const std::string& rootfs, uint64_t number) {
  const auto now = MountNumber(rootfs);
  if (IsNotFound(now.status())) return OkStatus();
  RETURN_IF_ERROR(now.status());
  if (*now != number) return OkStatus();
  return IgnoreNotFound(Unmount(rootfs, MNT_DETACH | UMOUNT_NOFOLLOW));
}

StatusOr<std::vector<UniqueFd>> PrepareMounts(const MountPlan& plan) {
  std::vector<UniqueFd> mounts(plan.steps.size());
  // Most often all of them are mapped alike.
  UniqueFd user;
  const MountStep* maker = nullptr;
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    const MountStep& step = plan.steps[i];
    const std::string doing = "mount " + Quoted(step.target);
    // Of who is not root the process itself, which is root of its namespace.
    if (!step.pid_namespace.empty() && geteuid() == 0) {
      ASSIGN_OR_RETURN_AS(mounts[i], PrepareProc(step), doing);
    }
    if (!step.maps_ids()) continue;
    if (maker == nullptr || maker->id_maps != step.id_maps ||
        maker->id_namespace != step.id_namespace) {
      ASSIGN_OR_RETURN_AS(user,
                          step.id_maps.empty()
                              ? OpenNamespace(step.id_namespace, CLONE_NEWUSER)
                              : MakeUserNamespace(step.id_maps),
                          doing);
      maker = &step;
    }
    StatusOr<UniqueFd> mapped =
        CloneMappedMount(step.source, step.options.recursive, user.get(),
                         step.options.id_mapped_tree);
    if (mapped.status().code() == StatusCode::kUnimplemented &&
        !step.id_maps.empty()) {
      mapped =
          CloneGivenMount(step.source, step.options.recursive, step.id_maps);
    }
    ASSIGN_OR_RETURN_AS(mounts[i], std::move(mapped), doing);
    // As if it had been copied after the namespace was made.
    RETURN_IF_ERROR_AS(
        SetPropagation(mounts[i].get(), plan.initial_propagation), doing);
  }
  return mounts;
}

StatusOr<Rootfs> Rootfs::Open(const MountPlan& plan, const std::string& path,
                              bool user_namespace,
                              std::vector<UniqueFd>& prepared) {
  if (plan.own_namespace &&
      mount(nullptr, "/", nullptr, plan.initial_propagation, nullptr) != 0) {
    return Errno(errno, "set propagation of the host's root");
  }
  const bool shared =
      plan.own_namespace && (plan.initial_propagation & MS_SHARED) != 0;
  if (shared) RETURN_IF_ERROR(MakeParentPrivate(path));
  ASSIGN_OR_RETURN(UniqueFd tree, CloneMount(AT_FDCWD, path, true));
  // Nor is what we mount in somebody's namespace to go on from there.
  const bool alone = shared || !plan.own_namespace;
  if (alone) RETURN_IF_ERROR(SetPropagation(tree.get(), MS_PRIVATE));
  if (move_mount(tree.get(), "", AT_FDCWD, path.c_str(),
                 MOVE_MOUNT_F_EMPTY_PATH) != 0) {
    return Errno(errno, "mount the root file system on " + Quoted(path));
  }
  // What is mounted below a shared mount has become shared by that.
  if (!plan.own_namespace) {
    RETURN_IF_ERROR(SetPropagation(tree.get(), MS_REC | MS_PRIVATE));
  }
  Rootfs rootfs(plan, std::move(tree), path);
  RETURN_IF_ERROR(rootfs.OpenSources(user_namespace, prepared));
  return rootfs;
}

Status Rootfs::OpenSources(bool user_namespace,
                           std::vector<UniqueFd>& prepared) {
  for (size_t i = 0; i < plan_.steps.size(); ++i) {
    const MountStep& step = plan_.steps[i];
    UniqueFd source = std::move(prepared[i]);
    if (!source.valid() && !step.pid_namespace.empty()) {
      ASSIGN_OR_RETURN_AS(source, PrepareProc(step),
                          "mount " + Quoted(step.target));
    }
    if (!source.valid() && step.kind == MountStep::Kind::kBind) {
      auto tree = OpenSource(step);
      if (tree.ok()) {
        source = *std::move(tree);
      } else if (!step.optional || !IsNotFound(tree.status())) {
        return Annotate(tree.status(), "mount " + Quoted(step.source) + " on " +
                                           Quoted(step.target));
      }
    }
    sources_.push_back(std::move(source));
  }
  if (user_namespace) {
    for (const DeviceNode& node : plan_.devices) {
      if (node.type == 'p') continue;
      ASSIGN_OR_RETURN_AS(UniqueFd device,
                          CloneMount(AT_FDCWD, node.path, false),
                          "bind device " + Quoted(node.path));
      devices_.emplace(node.path, std::move(device));
    }
  }
  if (plan_.masked_paths.empty()) return OkStatus();
  ASSIGN_OR_RETURN(null_, CloneMount(AT_FDCWD, "/dev/null", false));
  ASSIGN_OR_RETURN(const struct stat st, StatFd(null_.get()));
  if (!IsNullDevice(st)) {
    return FailedPrecondition("the host's /dev/null is not the null device");
  }
  return OkStatus();
}

Status Rootfs::Build() {
  for (size_t i = 0; i < plan_.steps.size(); ++i) {
    const MountStep& step = plan_.steps[i];
    RETURN_IF_ERROR_AS(
        Apply(i, step),
        "mount " + (step.source.empty() ? step.type : Quoted(step.source)) +
            " on " + Quoted(step.target));
  }
  for (const DeviceNode& node : plan_.devices) {
    RETURN_IF_ERROR_AS(MakeDevice(node), "make device " + Quoted(node.path));
  }
  for (const MountStep& link : plan_.links) {
    RETURN_IF_ERROR_AS(MakeLink(link), "make link " + Quoted(link.target));
  }
  return OkStatus();
}

Status Rootfs::Apply(size_t index, const MountStep& step) {
  switch (step.kind) {
    case MountStep::Kind::kFilesystem:
      return ApplyFilesystem(step, std::move(sources_[index]));
    case MountStep::Kind::kBind:
      return ApplyBind(step, sources_[index]);
    case MountStep::Kind::kSymlink:
      return MakeLink(step);
    case MountStep::Kind::kRemount:
      return Remount(step);
  }
  return Internal("unknown mount step");
}

StatusOr<UniqueFd> Rootfs::MakeFilesystem(const MountStep& step) {
  std::vector<std::string> superblock = step.options.superblock;
  if (step.options.read_only && !SharesSuperblock(step.type)) {
    superblock.push_back("ro");
  }
  auto made = NewFilesystem(step.type, step.source, superblock,
                            step.options.data, step.options.top.set);
  const bool refused = !made.ok() && ErrnoOf(made.status()) == EPERM;
  if (!refused || step.fallback.empty()) return made;
  made = CloneMount(AT_FDCWD, step.fallback, true);
  if (made.ok()) {
    RETURN_IF_ERROR(SetMountAttributes(made->get(), step.options.top, false));
  }
  return made;
}

Status Rootfs::ApplyFilesystem(const MountStep& step, UniqueFd prepared) {
  UniqueFd mount = std::move(prepared);
  if (!mount.valid()) {
    ASSIGN_OR_RETURN(mount, MakeFilesystem(step));
  }
  if (!step.root_label.empty()) {
    RETURN_IF_ERROR(LabelRoot(mount, step.root_label));
  }
  if (step.options.copy_up) RETURN_IF_ERROR(CopyUp(step, mount));
  RETURN_IF_ERROR(Attach(step, mount, true));
  if (step.seal_last) unsealed_.push_back(std::move(mount));
  return OkStatus();
}

// tmpcopyup: the new file system begins with what it will hide.
Status Rootfs::CopyUp(const MountStep& step, const UniqueFd& mount) {
  const auto from = root_.Open(step.target, O_RDONLY | O_DIRECTORY);
  if (IsNotFound(from.status())) return OkStatus();
  RETURN_IF_ERROR(from.status());
  ASSIGN_OR_RETURN(const UniqueFd to,
                   OpenFileAt(mount.get(), ".", O_RDONLY | O_DIRECTORY));
  return CopyTree(from->get(), to.get());
}

Status Rootfs::Remount(const MountStep& step) {
  ASSIGN_OR_RETURN(const UniqueFd mount, root_.Open(step.target, O_PATH));
  if (!step.options.top.empty()) {
    RETURN_IF_ERROR(SetMountAttributes(mount.get(), step.options.top, false));
  }
  if (!step.options.tree.empty()) {
    RETURN_IF_ERROR(SetMountAttributes(mount.get(), step.options.tree, true));
  }
  for (const unsigned long propagation : step.options.propagation) {
    RETURN_IF_ERROR(SetPropagation(mount.get(), propagation));
  }
  std::vector<std::string> options = step.options.superblock;
  options.insert(options.end(), step.options.data.begin(),
                 step.options.data.end());
  if (step.options.bind || options.empty()) return OkStatus();
  return Reconfigure(mount.get(), options);
}

// One that says the same may be there already.
Status Rootfs::CopyLink(const MountStep& step, const std::string& text) {
  ASSIGN_OR_RETURN(const RootedPath::Place place,
                   root_.ResolveParent(step.target));
  if (symlinkat(text.c_str(), place.directory.get(), place.name.c_str()) == 0) {
    return OkStatus();
  }
  if (errno != EEXIST) return Errno(errno, "symlink");
  char there[PATH_MAX];
  const ssize_t n = readlinkat(place.directory.get(), place.name.c_str(), there,
                               sizeof(there));
  if (n >= 0 && text == std::string_view(there, static_cast<size_t>(n))) {
    return OkStatus();
  }
  return AlreadyExists("copy-symlink: something else has this name");
}

Status Rootfs::ApplyBind(const MountStep& step, const UniqueFd& tree) {
  if (!tree.valid()) return OkStatus();  // optional, and not there
  if (step.options.copy_symlink) {
    const auto text = TextOfLink(tree.get());
    if (text.ok()) return CopyLink(step, *text);
  }
  if (!step.options.top.empty()) {
    RETURN_IF_ERROR(SetMountAttributes(tree.get(), step.options.top, false));
  }
  ASSIGN_OR_RETURN(const bool directory, IsDirectory(tree.get()));
  return Attach(step, tree, directory);
}

Status Rootfs::Attach(const MountStep& step, const UniqueFd& mount,
                      bool directory) {
  if (!step.options.tree.empty()) {
    RETURN_IF_ERROR(SetMountAttributes(mount.get(), step.options.tree, true));
  }
  ASSIGN_OR_RETURN(const UniqueFd target, OpenTarget(step, directory));
  RETURN_IF_ERROR(CheckProcTarget(step, target.get(), mount.get()));
  RETURN_IF_ERROR(AttachMount(mount.get(), target.get()));
  for (const unsigned long propagation : step.options.propagation) {
    RETURN_IF_ERROR(SetPropagation(mount.get(), propagation));
  }
  return OkStatus();
}

StatusOr<UniqueFd> Rootfs::OpenTarget(const MountStep& step, bool directory) {
  if (step.options.target_nofollow) {
    ASSIGN_OR_RETURN(const RootedPath::Place place,
                     root_.ResolveParent(step.target));
    auto there =
        OpenFileAt(place.directory.get(), place.name, O_PATH | O_NOFOLLOW);
    if (!IsNotFound(there.status())) return there;
  }
  if (!directory) return root_.MakeFile(step.target, 0644);
  ASSIGN_OR_RETURN(UniqueFd made, root_.MakeDirectories(step.target, 0755));
  if (!step.no_links) return made;
  return root_.OpenNoLinks(step.target, O_PATH | O_DIRECTORY);
}

// A link in the image may have led a harmless destination into /proc, where a
// mount would hide or fake what the runtime and others rely on.
Status Rootfs::CheckProcTarget(const MountStep& step, int target, int mount) {
  struct statfs fs;
  if (step.target == "/proc") {
    if (fstatfs(mount, &fs) != 0) return Errno(errno, "fstatfs");
    ASSIGN_OR_RETURN(const struct stat st, StatFd(mount));
    // The root of a procfs is inode 1 (PROC_ROOT_INO).
    if (fs.f_type == PROC_SUPER_MAGIC && st.st_ino == 1) return OkStatus();
    return InvalidArgument("only procfs can be mounted on /proc");
  }
  if (fstatfs(target, &fs) != 0) return Errno(errno, "fstatfs");
  if (fs.f_type != PROC_SUPER_MAGIC) return OkStatus();
  ASSIGN_OR_RETURN(const std::string full, PathOfFd(target));
  const std::string proc = path_ + "/proc/";
  if (StartsWith(full, proc) && MayMountOnProc(full.substr(proc.size()))) {
    return OkStatus();
  }
  return InvalidArgument("the destination is inside a procfs");
}

Status Rootfs::BindDevice(const DeviceNode& node, const UniqueFd& host) {
  ASSIGN_OR_RETURN(const UniqueFd target, root_.MakeFile(node.path, 0666));
  return AttachMount(host.get(), target.get());
}

Status Rootfs::MakeDevice(const DeviceNode& node) {
  const auto host = devices_.find(node.path);
  if (host != devices_.end()) {
    return BindDevice(node, host->second);
  }
  ASSIGN_OR_RETURN(const RootedPath::Place place,
                   root_.ResolveParent(node.path));
  const dev_t device = node.type == 'p'
                           ? 0
                           : makedev(static_cast<unsigned>(node.major),
                                     static_cast<unsigned>(node.minor));
  if (mknodat(place.directory.get(), place.name.c_str(),
              FileType(node) | node.file_mode.value_or(0666), device) != 0) {
    // Root of a user namespace that the runtime itself is in.
    if (errno == EPERM && node.type != 'p') {
      ASSIGN_OR_RETURN(const UniqueFd own,
                       CloneMount(AT_FDCWD, node.path, false));
      return BindDevice(node, own);
    }
    if (errno != EEXIST) return Errno(errno, "mknod");
    ASSIGN_OR_RETURN(const struct stat st,
                     StatAt(place.directory.get(), place.name));
    if (!IsSameDevice(node, st)) {
      return AlreadyExists("something else has this name");
    }
  }
  if (!node.uid && !node.gid) return OkStatus();
  if (fchownat(place.directory.get(), place.name.c_str(),
               node.uid.value_or(static_cast<uid_t>(-1)),
               node.gid.value_or(static_cast<gid_t>(-1)),
               AT_SYMLINK_NOFOLLOW) != 0) {
    return Errno(errno, "chown");
  }
  return OkStatus();
}

Status Rootfs::MakeLink(const MountStep& link) {
  if (link.source == "/proc/kcore" && access("/proc/kcore", F_OK) != 0) {
    return OkStatus();
  }
  ASSIGN_OR_RETURN(const RootedPath::Place place,
                   root_.ResolveParent(link.target));
  // An image's own /dev/ptmx would lead to the host's terminals.
  if (link.target == "/dev/ptmx") {
    unlinkat(place.directory.get(), place.name.c_str(), 0);
  }
  if (symlinkat(link.source.c_str(), place.directory.get(),
                place.name.c_str()) != 0 &&
      errno != EEXIST) {
    return Errno(errno, "symlink");
  }
  return OkStatus();
}

Status Rootfs::AttachConsole(int slave) {
  ASSIGN_OR_RETURN(const UniqueFd tree, CloneMount(slave, "", false));
  ASSIGN_OR_RETURN(const RootedPath::Place place,
                   root_.ResolveParent("/dev/console"));
  const UniqueFd made(openat(place.directory.get(), place.name.c_str(),
                             O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!made.valid() && errno != EEXIST) {
    return Errno(errno, "make /dev/console");
  }
  ASSIGN_OR_RETURN(
      const UniqueFd target,
      OpenFileAt(place.directory.get(), place.name, O_PATH | O_NOFOLLOW));
  ASSIGN_OR_RETURN(const struct stat st, StatFd(target.get()));
  if (S_ISLNK(st.st_mode)) {
    return FailedPrecondition("/dev/console is a symbolic link");
  }
  RETURN_IF_ERROR_AS(AttachMount(tree.get(), target.get()),
                     "mount the terminal on /dev/console");
  return OkStatus();
}

Status Rootfs::Enter(bool no_pivot) {
  if (!plan_.own_namespace) {
    if (fchdir(root_.fd()) != 0) return Errno(errno, "fchdir to the root");
    if (chroot(".") != 0) return Errno(errno, "chroot");
    return OkStatus();
  }
  if (!no_pivot) {
    RETURN_IF_ERROR(PivotRoot(root_.fd()));
  } else {
    RETURN_IF_ERROR(RemoveKernelFilesystems(path_));
    if (fchdir(root_.fd()) != 0) return Errno(errno, "fchdir to the root");
    ASSIGN_OR_RETURN(const UniqueFd slash, OpenFile("/", O_PATH));
    RETURN_IF_ERROR(AttachMount(root_.fd(), slash.get()));
    if (chroot(".") != 0) return Errno(errno, "chroot");
    if (chdir("/") != 0) return Errno(errno, "chdir to the root");
  }
  if (plan_.final_propagation != 0) {
    RETURN_IF_ERROR(SetPropagation(root_.fd(), plan_.final_propagation));
  }
  return OkStatus();
}

Status Rootfs::Seal() {
  for (const UniqueFd& mount : unsealed_) {
    RETURN_IF_ERROR(SetMountAttributes(mount.get(), kReadOnlyAttribute, false));
  }
  if (plan_.readonly_root) {
    RETURN_IF_ERROR_AS(
        SetMountAttributes(root_.fd(), kReadOnlyAttribute, false),
        "make the root read-only");
  }
  for (const std::string& path : plan_.readonly_paths) {
    RETURN_IF_ERROR_AS(MakeReadOnly(path), "make read-only " + Quoted(path));
  }
  for (const std::string& path : plan_.masked_paths) {
    RETURN_IF_ERROR_AS(Mask(path), "mask " + Quoted(path));
  }
  return OkStatus();
}

Status Rootfs::MakeReadOnly(const std::string& path) {
  const auto target = root_.Open(path, O_PATH);
  if (IsNotFound(target.status())) return OkStatus();
  RETURN_IF_ERROR(target.status());
  ASSIGN_OR_RETURN(const UniqueFd tree, CloneMount(target->get(), "", true));
  RETURN_IF_ERROR(SetMountAttributes(tree.get(), kReadOnlyAttribute, true));
  return AttachMount(tree.get(), target->get());
}

// One null device and one tmpfs serve all: the first use attaches the mount,
// later ones attach copies of it (only an attached mount can be copied).
Status Rootfs::Mask(const std::string& path) {
  const auto target = root_.Open(path, O_PATH);
  if (IsNotFound(target.status()) || ErrnoOf(target.status()) == ENOTDIR) {
    return OkStatus();
  }
  RETURN_IF_ERROR(target.status());
  ASSIGN_OR_RETURN(const bool directory, IsDirectory(target->get()));
  if (directory && !empty_.valid()) {
    ASSIGN_OR_RETURN(empty_, NewFilesystem("tmpfs", "tmpfs", {},
                                           {"nr_blocks=1", "nr_inodes=1"},
                                           MOUNT_ATTR_RDONLY));
    return AttachMount(empty_.get(), target->get());
  }
  if (!directory && !null_attached_) {
    null_attached_ = true;
    return AttachMount(null_.get(), target->get());
  }
  ASSIGN_OR_RETURN(
      const UniqueFd copy,
      CloneMount(directory ? empty_.get() : null_.get(), "", false));
  return AttachMount(copy.get(), target->get());
}

}  // namespace berth::oci
