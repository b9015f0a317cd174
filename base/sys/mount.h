// Mounting: the calls of the new mount API (fds, not paths), and one classic
// mount(8)-like call for trusted paths.
//
// Source: fsopen(2) .. mount_setattr(2) (Linux 5.12), mount(2), pivot_root(2).
#ifndef BASE_SYS_MOUNT_H_
#define BASE_SYS_MOUNT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/sys/mount_options.h"
#include "base/unique_fd.h"

namespace berth {

// One step as /etc/fstab would say it.
struct Mount {
  std::string type;  // "overlay"; ignored for binds
  std::string source;
  std::string target;
  std::vector<std::string> options;

  bool operator==(const Mount&) const = default;
};

// Does it. `target` is followed as a path: only for one that no container can
// write to. The options "uidmap=" and "gidmap=" (id_mapped.h) map a bind, or
// the lower directories of an overlay.
Status MountAt(const Mount& mount);

// The flags of mount(2) that the options stand for. Pure.
unsigned long MountFlags(const MountOptions& options);

// umount2(2). NOT_FOUND if nothing is mounted there, or there is no such path.
Status Unmount(const std::string& target, int flags);

// A new file system, not attached anywhere yet: fsopen, fsconfig, fsmount.
// `attributes` are bits of MOUNT_ATTR_*. Dropping the fd drops it.
StatusOr<UniqueFd> NewFilesystem(const std::string& type,
                                 const std::string& source,
                                 const std::vector<std::string>& superblock,
                                 const std::vector<std::string>& data,
                                 uint64_t attributes);

// A copy of what is mounted at `path` (a directory, a file or, with an empty
// path, the object that `dir` itself is open on), not attached yet. `follow`:
// if the last name is a link, what that leads to.
StatusOr<UniqueFd> CloneMount(int dir, const std::string& path, bool recursive,
                              bool follow = true);

// Sets the options of the file system that `mount` is open on again, as
// mount(8) with "remount" does: fspick(2).
Status Reconfigure(int mount, const std::vector<std::string>& options);

// mount_setattr(2) on the mount that `mount` is open on.
Status SetMountAttributes(int mount, const MountAttributes& attributes,
                          bool recursive);
// Maps the ids of a detached mount by a user namespace.
Status MapMountIds(int mount, int user_namespace, bool recursive);
// `propagation` is MS_SHARED or its like, with MS_REC for the tree below.
Status SetPropagation(int mount, unsigned long propagation);

// move_mount(2): onto exactly the object that `target` is open on.
Status AttachMount(int mount, int target);

// Makes `new_root` (which must be a mount point, and the working directory of
// nobody else) the root of the calling mount namespace, and the old one's
// mounts disappear.
Status PivotRoot(int new_root);

// Leaves the calling mount namespace, one of the caller's own, with nothing
// but an empty read-only root.
Status EnterEmptyRoot();

}  // namespace berth

#endif  // BASE_SYS_MOUNT_H_
