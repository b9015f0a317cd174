#ifndef SANDBOX_CONTAINER_FILES_H_
#define SANDBOX_CONTAINER_FILES_H_

#include <optional>
#include <utility>

#include "base/context.h"
#include "base/fs/rooted_path.h"
#include "base/keyed_mutex.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "sandbox/ids.h"

namespace berth::sandbox {

class World;

// A container's file system, mounted where no path leads to: its root file
// system and the volumes and other binds of its configuration, but not what its
// processes have mounted themselves, nor /proc, /sys and tmpfs. Gone with this
// object, whatever happens to the daemon.
//
// The container's processes may change it meanwhile and may be hostile: each
// path goes through `root`. Devices in it cannot be opened. Movable;
// thread-compatible.
class ContainerTree {
 public:
  ContainerTree(UniqueFd mount_namespace, RootedPath root,
                std::optional<KeyedMutex::Lock> lock)
      : namespace_(std::move(mount_namespace)),
        root_(std::move(root)),
        lock_(std::move(lock)) {}

  const RootedPath& root() const { return root_; }
  // Lets the container be started all the same: of a tree that is only read.
  void Unlock() { lock_.reset(); }

 private:
  UniqueFd namespace_;  // keeps the mounts alive
  RootedPath root_;
  std::optional<KeyedMutex::Lock> lock_;
};

// The files of containers, whether they run or not. NOT_FOUND for an unknown
// one. A value: copies act on the same World, which must outlive them.
// Thread-safe.
class ContainerFiles {
 public:
  explicit ContainerFiles(World& world) : world_(&world) {}

  // For reading. The container may be started, stopped and removed meanwhile.
  StatusOr<ContainerTree> Look(const Context& ctx, const ContainerId& id) const;
  // The same without volumes and binds: what the image has and what the
  // container has written.
  StatusOr<ContainerTree> LookAtRoot(const Context& ctx,
                                     const ContainerId& id) const;
  // For writing. Holds the lock of a container that does not run, so that it
  // cannot be started until the tree is given up: use it with a limit of time.
  // What the configuration mounts or keeps read-only is read-only here.
  StatusOr<ContainerTree> Change(const Context& ctx,
                                 const ContainerId& id) const;

 private:
  World* world_;
};

}  // namespace berth::sandbox

#endif  // SANDBOX_CONTAINER_FILES_H_
