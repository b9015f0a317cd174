#ifndef IMAGE_IMAGES_H_
#define IMAGE_IMAGES_H_

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/context.h"
#include "base/digest.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "image/content/content_store.h"
#include "image/garbage_collector.h"
#include "image/image_store.h"
#include "image/reference.h"
#include "image/rootfs_provider.h"
#include "image/snapshot/snapshotter.h"

namespace berth::image {

// What the image side takes on the disk.
struct StoreUsage {
  DiskUsage usage;
  UnixNanos timestamp = 0;
};

struct ImageFilter {
  std::string reference;  // empty: all
};

// The images that are here: their names, records and documents, and the disk
// space that they take. Bringing and sending them is Transfer's. Thread-safe.
class Images {
 public:
  // All must outlive it.
  Images(ImageStore& store, const ContentStore& content,
         const Snapshotter& snapshots, GarbageCollector& garbage)
      : store_(store),
        content_(content),
        snapshots_(snapshots),
        garbage_(garbage) {}

  StatusOr<Image> Resolve(std::string_view reference_or_id) const;
  StatusOr<std::vector<Image>> List(const ImageFilter& filter) const;
  Status Tag(std::string_view reference_or_id, const Reference& name);
  // With all names; OK if there is no such image. Containers that use it keep
  // their root file systems; the disk space is freed in the background.
  Status Remove(std::string_view reference_or_id);
  // One name, a tag or a digest; the image with its last (ImageStore).
  Status RemoveName(const Reference& name);
  // Its layers, base first: their names and unpacked sizes.
  struct LayerSize {
    Digest chain;
    uint64_t bytes = 0;
  };
  StatusOr<std::vector<LayerSize>> LayersOf(const Image& image) const;
  // Of a blob that is here: its digest as a text.
  StatusOr<uint64_t> BlobSize(const std::string& digest) const;
  // A whole blob. NOT_FOUND.
  StatusOr<UniqueFd> OpenBlob(const Digest& digest) const;
  // The image's configuration document as it is.
  StatusOr<std::string> ConfigJson(const std::string& image_id) const;

  StatusOr<DiskUsage> CollectGarbage(const Context& ctx);
  // Layers, and blobs whole or half-written.
  StatusOr<StoreUsage> StoreUsageNow() const;

 private:
  ImageStore& store_;
  const ContentStore& content_;
  const Snapshotter& snapshots_;
  GarbageCollector& garbage_;
};

}  // namespace berth::image

#endif  // IMAGE_IMAGES_H_
