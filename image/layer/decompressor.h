#ifndef IMAGE_LAYER_DECOMPRESSOR_H_
#define IMAGE_LAYER_DECOMPRESSOR_H_

#include <memory>

#include "base/status.h"
#include "image/layer/byte_source.h"

namespace berth::image {

enum class Compression { kNone, kGzip, kZstd };

// What the first bytes of a layer say: its media type may be wrong.
Compression DetectCompression(std::string_view first_bytes);

// The uncompressed form of a layer: gzip (RFC 1952, ISA-L), zstd (RFC 8878)
// or as it is. All members and frames to the end of the input count as one
// stream; skippable frames are skipped. Memory is bounded: a zstd window is at
// most 128 MiB.
//
// INVALID_ARGUMENT for a stream that is damaged, ends early, or is followed by
// anything but zeros. Single-threaded.
class Decompressor : public ByteSource {
 public:
  // `from` must outlive it.
  static StatusOr<std::unique_ptr<Decompressor>> Open(ByteSource& from);
  virtual Compression compression() const = 0;
};

}  // namespace berth::image

#endif  // IMAGE_LAYER_DECOMPRESSOR_H_
