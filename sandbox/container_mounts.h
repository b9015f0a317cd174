// What berthd itself mounts or fills for a container before its runtime does
// the rest: images used as volumes, and directories that begin as copies of
// what the image has there.
#ifndef SANDBOX_CONTAINER_MOUNTS_H_
#define SANDBOX_CONTAINER_MOUNTS_H_

#include <string>
#include <vector>

#include "api/state/v1/image.pb.h"
#include "base/context.h"
#include "base/status.h"
#include "image/rootfs_provider.h"
#include "sandbox/core.h"
#include "sandbox/inventory.h"

namespace berth::sandbox {

// The container's root file system, the same one every time.
StatusOr<image::Rootfs> AcquireRootfs(const Context& ctx, Core& core,
                                      const ContainerRecord& container);

// What mounts of an image show belongs to the sandbox's user namespace.
void MapIds(const SandboxRecord& sandbox, std::vector<::berth::Mount>& mounts);

// The SELinux label of all files in new file systems among them; none if empty.
void LabelMounts(const std::string& label, std::vector<::berth::Mount>& mounts);
// Gives what is mounted from the host the label that the request wants
// (`selinux_relabel`), and the volumes of the image the container's.
Status RelabelSources(const Context& ctx, const ContainerRecord& container);

// Mounts the container's image mounts, and what it binds of the inside of a
// directory, below its state directory (again, if they are there already: the
// same), and notes the keys of images in the record. Returns the places, in the
// order of these mounts.
StatusOr<std::vector<std::string>> MountImages(const Context& ctx, Core& core,
                                               const SandboxRecord& sandbox,
                                               ContainerRecord& container);
// The keys that MountImages acquires images by, whether or not it has come to
// them.
std::vector<std::string> ImageMountKeys(const ContainerRecord& container);
// OK if there are none. Their keys stay acquired.
Status UnmountImages(Core& core, const ContainerRecord& container);

// A directory of our own for each volume that the image declares and the
// request does not cover; noted in the record. Fills new ones, and empty bind
// sources that ask for it, with what the image has there.
Status MakeVolumes(const Context& ctx, Core& core, ContainerRecord& container,
                   const image::Rootfs& rootfs);

}  // namespace berth::sandbox

#endif  // SANDBOX_CONTAINER_MOUNTS_H_
