#ifndef IMAGE_ROOTFS_CHANGES_H_
#define IMAGE_ROOTFS_CHANGES_H_

#include <string>
#include <vector>

#include "base/context.h"
#include "base/status.h"
#include "base/store/metadata_store.h"
#include "image/layer/layer_stack.h"
#include "image/layer/tar_writer.h"
#include "image/snapshot/snapshotter.h"

namespace berth::image {

// One path that a container has changed, added or removed.
struct FileChange {
  enum class Kind { kChanged = 0, kAdded = 1, kRemoved = 2 };
  std::string path;  // absolute, in the container
  Kind kind = Kind::kChanged;
};

// What containers have written over their images. Empty files and directories
// that a runtime makes to mount on them (/proc, /etc/hosts) do not count.
//
// `key` is that of RootfsProvider::Acquire; NOT_FOUND. The container may run.
// Thread-safe.
class RootfsChanges {
 public:
  // Both must outlive it.
  RootfsChanges(MetadataStore& metadata, const Snapshotter& snapshots)
      : metadata_(metadata), snapshots_(snapshots) {}

  // Sorted by path. A directory is changed if it has other attributes, or
  // something was added to it or removed from it. RESOURCE_EXHAUSTED for more
  // than a million.
  StatusOr<std::vector<FileChange>> List(const Context& ctx,
                                         const std::string& key) const;
  // As a layer of an image (OCI image specification, layer.md), up to the end
  // of the archive.
  Status WriteLayer(const Context& ctx, const std::string& key,
                    TarWriter& layer) const;

 private:
  StatusOr<LayerStack> StackOf(const std::string& key) const;

  MetadataStore& metadata_;
  const Snapshotter& snapshots_;
};

}  // namespace berth::image

#endif  // IMAGE_ROOTFS_CHANGES_H_
