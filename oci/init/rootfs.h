#ifndef OCI_INIT_ROOTFS_H_
#define OCI_INIT_ROOTFS_H_

#include <map>
#include <string>
#include <vector>

#include "base/fs/rooted_path.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "oci/init/mount_plan.h"

namespace berth::oci {

// Mounts that only the runtime itself can make, before any namespace is
// entered, by step; invalid for the others. They are: binds whose ids are
// mapped, since the kernel lets only the owner of a file system do that; and a
// procfs of a pid namespace that others live in, which the new process comes
// to when all else is done (entry.h).
StatusOr<std::vector<UniqueFd>> PrepareMounts(const MountPlan& plan);

// Which mount a path leads to (statx(2), stx_mnt_id).
StatusOr<uint64_t> MountNumber(const std::string& path);
// Unmounts what a container without a mount namespace has left at the path of
// its root file system, and below: the mount of this number, if the path leads
// to it. One that another container has covered since stays.
Status RemoveMounts(const std::string& rootfs, uint64_t number);

// The root file system of a container in the making: carries a MountPlan out,
// in the new process, in its new mount namespace. Steps, in this order:
//
//   Open    what is needed from the host is opened, as the host's root
//   Build   mounts, devices, links, below the root as it will be
//   (hooks, console)
//   Enter   the root becomes "/", the host's tree is gone
//   Seal    read-only and masked paths
//
// No path of the container is ever resolved but within its root, and what is
// mounted goes onto the very object that was looked at (move_mount on fds):
// CVE-2021-30465, CVE-2019-19921, CVE-2025-31133, CVE-2025-52565.
//
// Single-threaded.
class Rootfs {
 public:
  // `path` is the directory of the host; the plan must outlive the object.
  // `user_namespace`: device nodes are bound from the host, not made.
  // `prepared`: of PrepareMounts, and taken.
  static StatusOr<Rootfs> Open(const MountPlan& plan, const std::string& path,
                               bool user_namespace,
                               std::vector<UniqueFd>& prepared);

  Status Build();
  // Makes the slave of the container's terminal /dev/console.
  Status AttachConsole(int slave);
  Status Enter(bool no_pivot);
  Status Seal();

  const RootedPath& root() const { return root_; }

 private:
  Rootfs(const MountPlan& plan, UniqueFd tree, const std::string& path);

  Status OpenSources(bool user_namespace, std::vector<UniqueFd>& prepared);
  Status Apply(size_t index, const MountStep& step);
  Status ApplyFilesystem(const MountStep& step, UniqueFd prepared);
  StatusOr<UniqueFd> MakeFilesystem(const MountStep& step);
  Status CopyUp(const MountStep& step, const UniqueFd& mount);
  Status Remount(const MountStep& step);
  Status CopyLink(const MountStep& step, const std::string& text);
  Status ApplyBind(const MountStep& step, const UniqueFd& tree);
  Status Attach(const MountStep& step, const UniqueFd& mount, bool directory);
  StatusOr<UniqueFd> OpenTarget(const MountStep& step, bool directory);
  Status CheckProcTarget(const MountStep& step, int target, int mount);
  Status BindDevice(const DeviceNode& node, const UniqueFd& host);
  Status MakeDevice(const DeviceNode& node);
  Status MakeLink(const MountStep& link);
  Status Mask(const std::string& path);
  Status MakeReadOnly(const std::string& path);

  const MountPlan& plan_;
  RootedPath root_;                // the mount that becomes "/"
  const std::string path_;         // of it, while the host's tree is there
  std::vector<UniqueFd> sources_;  // by step; invalid for most
  std::map<std::string, UniqueFd> devices_;  // by path, to be bound
  std::vector<UniqueFd> unsealed_;
  UniqueFd null_;  // the host's /dev/null, detached until first used
  bool null_attached_ = false;
  UniqueFd empty_;  // a read-only tmpfs to cover directories with
};

}  // namespace berth::oci

#endif  // OCI_INIT_ROOTFS_H_
