// Bytes that are pulled through a chain, piece by piece and without copies:
// file, then decompressor, then hash, then tar reader.
#ifndef IMAGE_LAYER_BYTE_SOURCE_H_
#define IMAGE_LAYER_BYTE_SOURCE_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "base/status.h"
#include "base/unique_fd.h"

namespace berth::image {

// Single-threaded.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // The next bytes, as many as there are at hand; none: the end. Valid until
  // the next call.
  virtual StatusOr<std::string_view> Next() = 0;
};

// A file from its current offset.
class FileSource : public ByteSource {
 public:
  explicit FileSource(UniqueFd file);
  StatusOr<std::string_view> Next() override;

 private:
  const UniqueFd file_;
  std::vector<char> buffer_;
};

// Passes on what another source gives, hashed and counted. FAILED_PRECONDITION
// when it is more than `limit` bytes.
class HashingSource : public ByteSource {
 public:
  // `from` must outlive this.
  HashingSource(ByteSource& from, uint64_t limit)
      : from_(from), limit_(limit) {}
  StatusOr<std::string_view> Next() override;
  Digest digest() const { return hash_.Value(); }
  uint64_t size() const { return size_; }

 private:
  ByteSource& from_;
  const uint64_t limit_;
  Sha256 hash_;
  uint64_t size_ = 0;
};

}  // namespace berth::image

#endif  // IMAGE_LAYER_BYTE_SOURCE_H_
