#ifndef IMAGE_CONTENT_CONTENT_STORE_H_
#define IMAGE_CONTENT_CONTENT_STORE_H_

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/digest.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "image/content/blob_writer.h"
#include "image/manifest.h"

namespace berth::image {

struct BlobInfo {
  Digest digest;
  uint64_t size = 0;
  UnixNanos modified = 0;
};

// Blobs by digest: read-only files that match their names.
//
//   DIR/blobs/sha256/<hex>    whole and verified
//   DIR/ingest/<hex>          half-written; a later Ingest goes on with it
//
// What does not fit onto the disk is freed at once.
//
// A blob is not flushed to the disk by itself: whoever records one in the
// metadata calls Sync first, and after a start whatever no record names is
// removed, since a power cut may have left it empty.
//
// Thread-safe; but of one digest there is one writer at a time: the puller
// sees to that.
class ContentStore {
 public:
  // Makes the directories (mode 0700).
  static StatusOr<std::unique_ptr<ContentStore>> Open(
      const std::string& directory);

  // NOT_FOUND unless whole.
  StatusOr<BlobInfo> Stat(const Digest& digest) const;
  StatusOr<UniqueFd> Open(const Digest& digest) const;
  // A small blob. RESOURCE_EXHAUSTED if it is longer than `limit`.
  StatusOr<std::string> Read(const Digest& digest, uint64_t limit) const;

  // Begins to write a blob, or goes on where an earlier try ended.
  StatusOr<std::unique_ptr<BlobWriter>> Ingest(const Descriptor& expected);
  // What is there of a blob that is being written. Its bytes may be wrong, and
  // be taken back.
  StatusOr<UniqueFd> OpenPartial(const Digest& digest) const;
  // A small blob at once, unless it is there with these bytes: after a power
  // cut it may have others. Returns whether it was written.
  StatusOr<bool> Write(const Digest& digest, std::string_view bytes);

  // OK if it is not there. Open descriptors stay readable.
  Status Remove(const Digest& digest);
  // Reads the whole blob, and removes it if it does not match its digest.
  Status RemoveIfDamaged(const Digest& digest);
  StatusOr<std::vector<BlobInfo>> List() const;
  // Half-written blobs, the newest first.
  StatusOr<std::vector<BlobInfo>> ListPartial() const;
  // Removes half-written blobs but for those in `spared`: who has not been
  // touched since `before`, and the oldest until at most `most` bytes are left.
  Status TrimPartial(uint64_t most, UnixNanos before,
                     const std::set<Digest>& spared);

  // Flushes the file system that the store is on.
  Status Sync() const;

 private:
  ContentStore(UniqueFd blobs, UniqueFd ingest)
      : blobs_(std::move(blobs)), ingest_(std::move(ingest)) {}
  bool Holds(const Digest& digest, std::string_view bytes) const;

  const UniqueFd blobs_;
  const UniqueFd ingest_;
};

}  // namespace berth::image

#endif  // IMAGE_CONTENT_CONTENT_STORE_H_
