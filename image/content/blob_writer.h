#ifndef IMAGE_CONTENT_BLOB_WRITER_H_
#define IMAGE_CONTENT_BLOB_WRITER_H_

#include <cstdint>
#include <string_view>

#include "base/digest.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "image/manifest.h"

namespace berth::image {

// One blob on its way into the ContentStore, hashed as it lands. Destroyed
// before Commit it leaves what it has for the next try. Must not outlive the
// store. Single-threaded.
class BlobWriter {
 public:
  ~BlobWriter();
  BlobWriter(const BlobWriter&) = delete;
  BlobWriter& operator=(const BlobWriter&) = delete;

  // Where to continue: bytes that are there, from this or an earlier try.
  uint64_t offset() const { return offset_; }
  // DATA_LOSS for more bytes than the descriptor announced. RESOURCE_EXHAUSTED
  // if the disk is full, but for what images leave to others: then what was
  // written is dropped, so that a blob that does not fit takes no room.
  Status Append(std::string_view bytes);
  // Makes the blob visible. DATA_LOSS unless size and digest match: then what
  // was written is dropped.
  Status Commit();
  // Drops what was written; the next Append starts at 0.
  Status Restart();

 private:
  friend class ContentStore;
  // `directory` and `target` belong to the store.
  BlobWriter(const Descriptor& expected, int directory, int target,
             UniqueFd file)
      : expected_(expected),
        directory_(directory),
        target_(target),
        file_(std::move(file)) {}
  // Hashes what an earlier try left.
  Status Resume();
  Status Store(std::string_view bytes);

  const Descriptor expected_;
  const int directory_;
  const int target_;
  UniqueFd file_;
  Sha256 hash_;
  uint64_t offset_ = 0;
  uint64_t unchecked_ = 0;  // bytes since the last look at the disk
};

}  // namespace berth::image

#endif  // IMAGE_CONTENT_BLOB_WRITER_H_
