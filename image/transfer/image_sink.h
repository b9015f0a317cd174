#ifndef IMAGE_TRANSFER_IMAGE_SINK_H_
#define IMAGE_TRANSFER_IMAGE_SINK_H_

#include <string>
#include <vector>

#include "base/context.h"
#include "base/status.h"
#include "image/layer/byte_source.h"
#include "image/manifest.h"
#include "image/reference.h"

namespace berth::image {

// Where images go. A seam: LayoutSink, for directories and archives; a
// registry has the same verbs. After an error the sink is worth nothing.
// Single-threaded.
class ImageSink {
 public:
  virtual ~ImageSink() = default;

  // A configuration or a layer, once: as many bytes as `blob` says, or an
  // error of `bytes` if they do not match its digest.
  virtual Status PutBlob(const Context& ctx, const Descriptor& blob,
                         ByteSource& bytes) = 0;

  struct Entry {
    Descriptor descriptor;  // of the manifest, with its platform
    std::string bytes;      // of the manifest
    Manifest manifest;
    std::vector<Reference> names;
  };
  // An image, after its blobs.
  virtual Status PutImage(const Context& ctx, const Entry& image) = 0;

  // Nothing more comes.
  virtual Status Finish(const Context& ctx) = 0;
};

}  // namespace berth::image

#endif  // IMAGE_TRANSFER_IMAGE_SINK_H_
