#ifndef IMAGE_SNAPSHOT_SNAPSHOTTER_H_
#define IMAGE_SNAPSHOT_SNAPSHOTTER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/digest.h"
#include "base/status.h"
#include "image/rootfs_provider.h"

namespace berth::image {

// Makes root file systems out of unpacked layers. A seam: OverlaySnapshotter
// mounts the layers, CopySnapshotter copies them where overlayfs cannot be
// used.
//
// The caller records `number` (a name in the LayerStore's directory) and
// `chain` before Prepare, and may call it again after a crash. Thread-safe for
// different numbers.
class Snapshotter {
 public:
  virtual ~Snapshotter() = default;

  // A writable tree on top of a stack of layers (of none: an empty tree).
  // Again: the same, with what was written.
  virtual Status Prepare(uint64_t number, const Digest& chain) = 0;
  // The mounts of a prepared tree. They change nothing on the disk.
  virtual StatusOr<std::vector<Mount>> Mounts(
      uint64_t number, const Digest& chain, Persistence persistence) const = 0;
  // The mounts of a stack of layers that nobody writes to. `number` is a
  // prepared tree's where the layers have to be copied; the overlay needs
  // none.
  virtual StatusOr<std::vector<Mount>> ReadOnlyMounts(
      uint64_t number, const Digest& chain) const = 0;
  // The layers that make up the tree, topmost first, for LayerStack.
  virtual StatusOr<std::vector<std::string>> Directories(
      uint64_t number, const Digest& chain) const = 0;
  // What was written on top of the layers.
  virtual StatusOr<DiskUsage> Usage(uint64_t number) const = 0;
  // OK if it is not there.
  virtual Status Remove(uint64_t number) = 0;
};

}  // namespace berth::image

#endif  // IMAGE_SNAPSHOT_SNAPSHOTTER_H_
