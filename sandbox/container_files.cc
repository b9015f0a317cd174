#include "sandbox/container_files.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/fs/foreign_path.h"
#include "base/fs/rooted_path.h"
#include "base/strings.h"
#include "base/sys/file.h"
#include "base/sys/mount.h"
#include "base/sys/namespace.h"
#include "base/thread.h"
#include "sandbox/container_mounts.h"
#include "sandbox/core.h"
#include "sandbox/spec/mounts.h"

namespace berth::sandbox {
namespace {

using namespace ::berth::state::v1;

enum class Purpose { kLook, kLookAtRoot, kChange };

// One bind, cloned from the host and not attached yet.
struct Bind {
  std::string destination;
  UniqueFd mount;
  bool is_directory = false;
  bool read_only = false;
  bool whole_tree = false;  // read-only with the mounts below
};

// What a tree is made of.
struct Plan {
  UniqueFd running;  // a clone of the root that is mounted; else:
  std::vector<::berth::Mount> root;
  bool read_only_root = false;
  std::vector<Bind> binds;  // parents before what is in them
};

bool Runs(const ContainerRecord& container) {
  return container.phase() == CONTAINER_PHASE_RUNNING ||
         container.phase() == CONTAINER_PHASE_STOPPING;
}

// What is mounted on the copy must not appear on the original.
StatusOr<UniqueFd> ClonePrivately(int dir, const std::string& path,
                                  bool recursive) {
  ASSIGN_OR_RETURN(UniqueFd mount, CloneMount(dir, path, recursive));
  RETURN_IF_ERROR(SetPropagation(mount.get(), MS_PRIVATE | MS_REC));
  return mount;
}

// Nothing if the host has no such file (any more).
StatusOr<std::optional<Bind>> CloneBind(const Context& ctx,
                                        const oci::MountSpec& spec,
                                        const std::string& sub_path) {
  const StatusOr<PathFacts> found = InspectPath(ctx, spec.source);
  if (IsNotFound(found.status())) return std::optional<Bind>();
  RETURN_IF_ERROR(found.status());
  const auto has = [&](const char* option) {
    return std::find(spec.options.begin(), spec.options.end(), option) !=
           spec.options.end();
  };
  Bind bind;
  bind.destination = spec.destination;
  bind.is_directory = S_ISDIR(found->info.st_mode);
  UniqueFd inside;
  if (!sub_path.empty()) {
    ASSIGN_OR_RETURN(const RootedPath root, RootedPath::Open(found->path));
    StatusOr<UniqueFd> opened = root.Open(sub_path, O_PATH | O_CLOEXEC);
    if (IsNotFound(opened.status())) return std::optional<Bind>();
    RETURN_IF_ERROR(opened.status());
    inside = *std::move(opened);
    ASSIGN_OR_RETURN(const struct stat info, StatFd(inside.get()));
    bind.is_directory = S_ISDIR(info.st_mode);
  }
  bind.whole_tree = has("rro");
  bind.read_only = bind.whole_tree || has("ro");
  ASSIGN_OR_RETURN(bind.mount,
                   inside.valid()
                       ? ClonePrivately(inside.get(), "", has("rbind"))
                       : ClonePrivately(AT_FDCWD, found->path, has("rbind")));
  return std::optional<Bind>(std::move(bind));
}

std::vector<oci::MountSpec> RequestedBinds(const ContainerRecord& container) {
  std::vector<oci::MountSpec> binds;
  for (const auto& mount : container.config().mounts()) {
    if (mount.type() != MOUNT_TYPE_BIND) continue;
    oci::MountSpec& spec = binds.emplace_back();
    spec.destination = CleanPath("/" + mount.container_path());
    spec.source = mount.host_path();
    spec.options.emplace_back(mount.non_recursive() ? "bind" : "rbind");
    if (mount.readonly()) {
      spec.options.emplace_back(mount.recursive_readonly() ? "rro" : "ro");
    }
  }
  for (const auto& volume : container.image_volumes()) {
    oci::MountSpec& spec = binds.emplace_back();
    spec.destination = CleanPath(volume.container_path());
    spec.source = volume.host_path();
    spec.options.emplace_back("rbind");
  }
  return binds;
}

// The files of /etc that every container has, and what the request binds.
StatusOr<std::vector<Bind>> CloneBinds(const Context& ctx, const Core& core,
                                       const ContainerRecord& container) {
  std::vector<oci::MountSpec> standard;
  const SandboxStatus sandbox =
      core.inventory.FindSandbox(SandboxId(container.sandbox_id()));
  if (sandbox && !sandbox->directory().root_path().empty()) {
    standard = StandardMounts(*sandbox, container);
    std::erase_if(standard, [](const oci::MountSpec& mount) {
      return mount.type != "bind" || mount.destination == "/dev/shm";
    });
  }
  std::map<std::string, std::string> sub_paths;  // by destination
  for (const auto& mount : container.config().mounts()) {
    sub_paths[CleanPath("/" + mount.container_path())] = mount.sub_path();
  }
  std::vector<Bind> binds;
  for (const oci::MountSpec& spec :
       MergeMounts(std::move(standard), RequestedBinds(container))) {
    ASSIGN_OR_RETURN_AS(std::optional<Bind> bind,
                        CloneBind(ctx, spec, sub_paths[spec.destination]),
                        "mount " + Quoted(spec.destination));
    if (bind) binds.push_back(*std::move(bind));
  }
  return binds;
}

// The root as the shim has mounted it, without what is mounted on it.
StatusOr<UniqueFd> CloneRunningRoot(const ContainerRecord& container) {
  const std::string path = container.bundle() + "/rootfs";
  struct statx info = {};
  if (statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW, STATX_TYPE, &info) !=
      0) {
    return Errno(errno, "statx " + Quoted(path));
  }
  if ((info.stx_attributes & STATX_ATTR_MOUNT_ROOT) == 0) {
    return Unimplemented("the root file system of container " + container.id() +
                         " is not mounted on the host");
  }
  return ClonePrivately(AT_FDCWD, path, /*recursive=*/false);
}

StatusOr<std::vector<::berth::Mount>> StoppedRoot(
    const Context& ctx, Core& core, const ContainerRecord& container,
    Purpose purpose) {
  std::vector<::berth::Mount> mounts;
  if (purpose != Purpose::kChange) {
    ASSIGN_OR_RETURN(mounts, core.parts.images.Look(container.snapshot_key()));
  } else {
    ASSIGN_OR_RETURN(image::Rootfs rootfs, AcquireRootfs(ctx, core, container));
    mounts = std::move(rootfs.mounts);
  }
  const SandboxStatus sandbox =
      core.inventory.FindSandbox(SandboxId(container.sandbox_id()));
  if (sandbox) MapIds(*sandbox, mounts);
  return mounts;
}

StatusOr<UniqueFd> MountPoint(const RootedPath& root, const Bind& bind,
                              Purpose purpose) {
  if (purpose != Purpose::kChange) return root.Open(bind.destination, O_PATH);
  return bind.is_directory ? root.MakeDirectories(bind.destination, 0755)
                           : root.MakeFile(bind.destination, 0755);
}

Status AttachBinds(const Plan& plan, Purpose purpose, const RootedPath& root) {
  MountAttributes read_only;
  read_only.set = MOUNT_ATTR_RDONLY;
  for (const Bind& bind : plan.binds) {
    StatusOr<UniqueFd> place = MountPoint(root, bind, purpose);
    if (!place.ok()) return Annotate(place.status(), "mount a volume");
    RETURN_IF_ERROR_AS(AttachMount(bind.mount.get(), place->get()),
                       "mount " + Quoted(bind.destination));
    if (!bind.read_only) continue;
    RETURN_IF_ERROR(SetMountAttributes(bind.mount.get(), read_only,
                                       /*recursive=*/bind.whole_tree));
  }
  return OkStatus();
}

// In a thread of its own, which nobody else shares its working directory and
// mount namespace with: leaves the tree as the namespace's only one.
Status BuildTree(const Plan& plan, Purpose purpose, const std::string& place,
                 UniqueFd& mount_namespace, UniqueFd& top) {
  RETURN_IF_ERROR(UnshareNamespaces(CLONE_NEWNS));
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return Errno(errno, "make the mounts private");
  }
  ASSIGN_OR_RETURN(mount_namespace,
                   OpenFile("/proc/thread-self/ns/mnt", O_RDONLY));
  if (plan.running.valid()) {
    ASSIGN_OR_RETURN(const UniqueFd target,
                     OpenFile(place, O_PATH | O_DIRECTORY));
    RETURN_IF_ERROR(AttachMount(plan.running.get(), target.get()));
  }
  for (::berth::Mount step : plan.root) {
    step.target = step.target.empty() ? place : place + "/" + step.target;
    RETURN_IF_ERROR(MountAt(step));
  }
  ASSIGN_OR_RETURN(top, OpenFile(place, O_PATH | O_DIRECTORY));
  ASSIGN_OR_RETURN(UniqueFd again, OpenFile(place, O_PATH | O_DIRECTORY));
  RETURN_IF_ERROR(AttachBinds(plan, purpose, RootedPath(std::move(again))));
  MountAttributes guard;
  guard.set = MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC;
  if (purpose != Purpose::kChange) guard.set |= MOUNT_ATTR_RDONLY;
  RETURN_IF_ERROR(SetMountAttributes(top.get(), guard, /*recursive=*/true));
  if (plan.read_only_root) {
    guard.set |= MOUNT_ATTR_RDONLY;
    RETURN_IF_ERROR(SetMountAttributes(top.get(), guard, /*recursive=*/false));
  }
  return PivotRoot(top.get());
}

StatusOr<ContainerTree> MakeTree(const Context& ctx, Core& core,
                                 const ContainerRecord& container,
                                 Purpose purpose,
                                 std::optional<KeyedMutex::Lock> lock) {
  Plan plan;
  plan.read_only_root = container.config().security().readonly_rootfs();
  if (Runs(container)) {
    ASSIGN_OR_RETURN(plan.running, CloneRunningRoot(container));
    lock.reset();
  } else {
    ASSIGN_OR_RETURN(plan.root, StoppedRoot(ctx, core, container, purpose));
  }
  if (purpose != Purpose::kLookAtRoot) {
    ASSIGN_OR_RETURN(plan.binds, CloneBinds(ctx, core, container));
  }
  UniqueFd mount_namespace;
  UniqueFd top;
  Status built = Internal("the thread ended early");
  ASSIGN_OR_RETURN(Thread thread, StartThread("container-tree", [&] {
                     built = BuildTree(plan, purpose, core.paths.state,
                                       mount_namespace, top);
                   }));
  thread.Join();
  RETURN_IF_ERROR(built);
  return ContainerTree(std::move(mount_namespace), RootedPath(std::move(top)),
                       std::move(lock));
}

StatusOr<ContainerTree> OpenTree(const Context& ctx, Core& core,
                                 const ContainerId& id, Purpose purpose) {
  const char* const verb = purpose == Purpose::kChange ? "change" : "read";
  ASSIGN_OR_RETURN(ContainerStatus now, core.records.Find(id, verb));
  std::optional<KeyedMutex::Lock> lock;
  if (!Runs(*now)) {
    ASSIGN_OR_RETURN(KeyedMutex::Lock taken,
                     core.container_locks.Acquire(ctx, id.str()));
    lock.emplace(std::move(taken));
    ASSIGN_OR_RETURN(now, core.records.Find(id, verb));
  }
  return MakeTree(ctx, core, *now, purpose, std::move(lock));
}

}  // namespace

StatusOr<ContainerTree> ContainerFiles::Look(const Context& ctx,
                                             const ContainerId& id) const {
  Core& core = world_->core();
  {
    StatusOr<ContainerTree> tree = OpenTree(ctx, core, id, Purpose::kLook);
    if (tree.ok()) tree->Unlock();
    if (ErrnoOf(tree.status()) != ENOENT) return tree;
  }
  // Before its first start a container lacks mount points.
  RETURN_IF_ERROR(OpenTree(ctx, core, id, Purpose::kChange).status());
  ASSIGN_OR_RETURN(ContainerTree tree, OpenTree(ctx, core, id, Purpose::kLook));
  tree.Unlock();
  return tree;
}

StatusOr<ContainerTree> ContainerFiles::LookAtRoot(
    const Context& ctx, const ContainerId& id) const {
  ASSIGN_OR_RETURN(ContainerTree tree,
                   OpenTree(ctx, world_->core(), id, Purpose::kLookAtRoot));
  tree.Unlock();
  return tree;
}

StatusOr<ContainerTree> ContainerFiles::Change(const Context& ctx,
                                               const ContainerId& id) const {
  return OpenTree(ctx, world_->core(), id, Purpose::kChange);
}

}  // namespace berth::sandbox
