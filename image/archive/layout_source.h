#ifndef IMAGE_ARCHIVE_LAYOUT_SOURCE_H_
#define IMAGE_ARCHIVE_LAYOUT_SOURCE_H_

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "image/archive/image_files.h"
#include "image/transfer/image_source.h"

namespace berth::image {

// An OCI image layout (OCI image specification, image-layout.md): oci-layout,
// index.json and blobs/. Nothing in it is trusted: sizes are bounded, bytes
// verified. Immutable, thread-safe.
class Layout {
 public:
  // `files` must outlive it.
  static StatusOr<std::unique_ptr<Layout>> Open(const ImageFiles& files);

  // Annotations of its entries.
  static constexpr char kRefName[] = "org.opencontainers.image.ref.name";
  static constexpr char kFullName[] = "io.containerd.image.name";

  // What index.json lists, and how each calls itself: a full reference, a bare
  // tag, or nothing.
  struct Entry {
    Descriptor descriptor;
    std::string name;
  };
  const std::vector<Entry>& entries() const { return entries_; }

  // A blob's file. NOT_FOUND.
  StatusOr<UniqueFd> OpenBlob(const Digest& digest) const;
  static std::string BlobName(const Digest& digest);

 private:
  explicit Layout(const ImageFiles& files) : files_(files) {}
  Status ReadIndex();

  const ImageFiles& files_;
  std::vector<Entry> entries_;
};

// One entry of a layout as the source of an image. Thread-safe.
class LayoutSource : public ImageSource {
 public:
  // `layout` must outlive it.
  LayoutSource(const Layout& layout, const Descriptor& entry)
      : layout_(layout), entry_(entry) {}

  StatusOr<Fetched> Resolve(const Context& ctx) override;
  bool IsLasting() const override { return false; }
  StatusOr<Fetched> FetchManifest(const Context& ctx,
                                  const Descriptor& descriptor) override;
  Status FetchBlob(const Context& ctx, const Descriptor& descriptor,
                   ContentStore& store,
                   const std::function<void(uint64_t)>& progress) override;

 private:
  const Layout& layout_;
  const Descriptor entry_;
};

// A file into the store, as a blob.
Status CopyBlob(const Context& ctx, UniqueFd from, const Descriptor& descriptor,
                ContentStore& store,
                const std::function<void(uint64_t)>& progress);

}  // namespace berth::image

#endif  // IMAGE_ARCHIVE_LAYOUT_SOURCE_H_
