#ifndef IMAGE_SNAPSHOT_SNAPSHOTTER_H_
#define IMAGE_SNAPSHOT_SNAPSHOTTER_H_

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/context.h"
#include "base/digest.h"
#include "base/status.h"
#include "base/store/metadata_store.h"
#include "image/layer/byte_source.h"
#include "image/layer/layer_stack.h"
#include "image/rootfs_provider.h"

namespace berth::image {

// How a tree is used. What is written to a volatile one need not outlive a loss
// of power (Persistence). kLook shows a writable tree to nobody's writing,
// while it may be mounted for writing as well.
enum class Access { kReadOnly, kDurable, kVolatile, kLook };

// The one owner of unpacked layers, and of what is written on top of them. A
// layer is shared by all images whose first layers are the same: its name is
// the chain id of that stack. It never changes once committed.
//
// A tree is a stack of layers and, unless it is read-only, room on top for what
// is written. Its name is a number, which the caller records with the chain
// before Prepare, in the table kRootfs, and which is never used again.
//
// Thread-safe; of one tree there is one caller at a time.
class Snapshotter {
 public:
  virtual ~Snapshotter() = default;

  // ---- Layers.

  // A layer's entries, written to the disk. Gone with this unless committed.
  class Unpacked {
   public:
    virtual ~Unpacked() = default;
  };
  // From a plain tar stream, which is read to its end.
  virtual StatusOr<std::unique_ptr<Unpacked>> Unpack(const Context& ctx,
                                                     ByteSource& tar) = 0;
  struct LayerName {
    Digest chain;
    Digest parent;  // the chain below; empty for a base layer
    Digest diff_id;
  };
  // Makes it a layer: takes from those below what a layer leaves to them.
  // NOT_FOUND without the parent; ALREADY_EXISTS.
  virtual Status Commit(Unpacked& layer, const LayerName& name) = 0;
  // Of one layer alone. NOT_FOUND.
  virtual StatusOr<DiskUsage> LayerUsage(const Digest& chain) const = 0;
  // After the file system was flushed, in the transaction that names an image:
  // other layers are dropped after the next boot.
  virtual Status MarkFlushed(Transaction& tx, const Digest& chain) const = 0;

  // Forgets the layers that are neither in `wanted` nor under a recorded tree
  // nor below one of those, and returns their directories, for Remove.
  // DATA_LOSS while a record cannot be read: nobody knows what is in use.
  struct Unused {
    std::vector<uint64_t> numbers;
    DiskUsage usage;
  };
  virtual StatusOr<Unused> ForgetUnused(const std::set<Digest>& wanted) = 0;
  // Of all layers.
  virtual StatusOr<DiskUsage> TotalUsage() const = 0;

  // ---- Trees.

  // A name that nothing else has or had.
  virtual uint64_t NextNumber() = 0;
  // Makes a tree on top of a stack of layers (of none: an empty one). Again,
  // after a crash too: the same, with what was written.
  virtual Status Prepare(uint64_t number, const Digest& chain) = 0;
  // The mounts of a prepared tree. They change nothing on the disk.
  virtual StatusOr<std::vector<Mount>> Mounts(uint64_t number,
                                              const Digest& chain,
                                              Access access) const = 0;
  // What it is made of: what was written, then the layers.
  virtual StatusOr<LayerStack> Stack(uint64_t number,
                                     const Digest& chain) const = 0;
  // What was written on top of the layers.
  virtual StatusOr<DiskUsage> Usage(uint64_t number) const = 0;
  // A tree, or a layer that was forgotten. OK if it is not there.
  virtual Status Remove(uint64_t number) = 0;
};

}  // namespace berth::image

#endif  // IMAGE_SNAPSHOT_SNAPSHOTTER_H_
