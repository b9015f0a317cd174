// All that sandbox/ sees of images: the root file system of a container.
#ifndef IMAGE_ROOTFS_PROVIDER_H_
#define IMAGE_ROOTFS_PROVIDER_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "api/state/v1/image.pb.h"
#include "base/context.h"
#include "base/status.h"
#include "base/sys/mount.h"

namespace berth::image {

struct DiskUsage {
  uint64_t bytes = 0;
  uint64_t inodes = 0;
};

// Whether what a container writes must outlive a loss of power. If not, nothing
// of it is flushed, by fsync(2) from inside neither, and unmounting it does not
// wait for the disk (overlayfs's "volatile"); after a loss of power such a root
// file system may be removed, but not used.
enum class Persistence { kDurable, kVolatile };

// A container's root file system, ready to be mounted, and what the image says
// about running it.
struct Rootfs {
  std::string image_id;  // "sha256:<hex>"
  // In this order; a target is relative to the root, and empty for the root.
  std::vector<Mount> mounts;
  state::v1::ImageConfig config;
};

// A seam: ImageService, and a fake in the tests of sandbox/.
//
// `key` names the root file system and is the caller's choice: a container id.
// It outlives this process, and the image: removing an image that is in use
// takes its names away, not its layers. Calls for one key wait for each other,
// until their context ends: DEADLINE_EXCEEDED or CANCELLED.
//
// Thread-safe.
class RootfsProvider {
 public:
  virtual ~RootfsProvider() = default;

  // A writable root file system made from an image. Asked again with the same
  // key: the same one. `image_id` is a full id, with or without "sha256:".
  // NOT_FOUND: no such image; ALREADY_EXISTS: the key belongs to another image.
  virtual StatusOr<Rootfs> Acquire(const Context& ctx,
                                   std::string_view image_id,
                                   const std::string& key,
                                   Persistence persistence) = 0;
  // The same without a writable layer: an image mounted as a volume.
  virtual StatusOr<Rootfs> AcquireReadOnly(const Context& ctx,
                                           std::string_view image_id,
                                           const std::string& key) = 0;

  // A regular file of the root file system, as a process in it would see it
  // (links lead nowhere outside), whether it is mounted or not: /etc/passwd
  // and /etc/group. NOT_FOUND: no such file or key; RESOURCE_EXHAUSTED: longer
  // than `limit` bytes; FAILED_PRECONDITION: not a regular file.
  virtual StatusOr<std::string> ReadFile(const std::string& key,
                                         std::string_view path,
                                         uint64_t limit) = 0;

  // Mounts that show the root file system of a key, and let nobody change it.
  // They write nothing to the disk and may stand beside the writable mount of
  // it; what is written there afterwards may or may not be seen. NOT_FOUND.
  virtual StatusOr<std::vector<Mount>> Look(const std::string& key) = 0;

  // What the container wrote itself.
  virtual StatusOr<DiskUsage> Usage(const std::string& key) = 0;

  // Deletes it. OK if there is none.
  virtual Status Release(const Context& ctx, const std::string& key) = 0;
};

}  // namespace berth::image

#endif  // IMAGE_ROOTFS_PROVIDER_H_
