#ifndef IMAGE_TRANSFER_RECEPTION_H_
#define IMAGE_TRANSFER_RECEPTION_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/context.h"
#include "base/digest.h"
#include "base/mutex.h"
#include "base/status.h"
#include "image/content/lease.h"
#include "image/image_store.h"
#include "image/layer/byte_source.h"
#include "image/reference.h"
#include "image/transfer/image_source.h"
#include "image/transfer/transfer.h"

namespace berth::image {

// Images that a peer sends in pieces, as one pushes to a registry: blobs, then
// the manifests that name them. Nothing of it is an image until Install; what
// has not become one by the time this is destroyed is removed. Thread-safe.
class Reception {
 public:
  // `transfer` must outlive it.
  explicit Reception(Transfer& transfer);
  ~Reception();
  Reception(const Reception&) = delete;
  Reception& operator=(const Reception&) = delete;

  // The size of a blob that is here, from whomever; it stays while this lives.
  // NOT_FOUND.
  StatusOr<uint64_t> Find(const Digest& blob);
  // DATA_LOSS unless `bytes` has the size and the digest.
  Status PutBlob(const Context& ctx, const Descriptor& blob, ByteSource& bytes);
  // A manifest or an index; its digest. INVALID_ARGUMENT.
  StatusOr<Digest> PutManifest(const std::string& media_type,
                               const std::string& bytes);
  // What was sent as `manifest` becomes an image with these names. NOT_FOUND
  // without that manifest, FAILED_PRECONDITION without one of its blobs.
  StatusOr<Image> Install(const Context& ctx, const Digest& manifest,
                          const std::vector<Reference>& names);

 private:
  class Source;

  Transfer& transfer_;
  Mutex mutex_;
  Leases::Lease lease_ GUARDED_BY(mutex_);
  std::map<Digest, ImageSource::Fetched> manifests_ GUARDED_BY(mutex_);
};

}  // namespace berth::image

#endif  // IMAGE_TRANSFER_RECEPTION_H_
