#ifndef IMAGE_IMAGE_STORE_H_
#define IMAGE_IMAGE_STORE_H_

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "api/state/v1/image.pb.h"
#include "base/digest.h"
#include "base/status.h"
#include "base/store/metadata_store.h"
#include "image/reference.h"

namespace berth::image {

// An image and the names that it has now.
struct Image {
  state::v1::ImageRecord record;
  std::vector<std::string> repo_tags;     // "host/path:tag", sorted
  std::vector<std::string> repo_digests;  // "host/path@sha256:..", sorted
  bool pinned = false;

  const std::string& id() const { return record.id(); }
};

// Names to images, in two tables: "images" by id, "image_names" by reference.
// An image without a name may exist (its tag has moved on) as long as a
// digest refers to it. Thread-safe.
class ImageStore {
 public:
  // `metadata` must outlive it. An image is pinned if one of `pinned`, a
  // pattern in the sense of fnmatch(3), matches one of its names: the kubelet
  // does not remove it for its age.
  ImageStore(MetadataStore& metadata, std::vector<std::string> pinned)
      : metadata_(metadata), pinned_(std::move(pinned)) {}

  // Adds an image, or its new names. A tag moves away from what had it.
  // `digest` is what the reference was resolved to. Of an image that is here
  // already, kept blobs stay kept, and its sources are remembered, the latest
  // first.
  Status Put(Transaction& tx, const state::v1::ImageRecord& record,
             const Reference& reference, const Digest& digest) const;
  // The same without a name.
  Status PutUnnamed(Transaction& tx,
                    const state::v1::ImageRecord& record) const;
  // A further name for an image.
  Status Tag(const std::string& id, const Reference& name);

  // By id (or a unique beginning of one), reference, or digest of a manifest
  // or index. NOT_FOUND; FAILED_PRECONDITION if the beginning is not unique.
  StatusOr<Image> Resolve(std::string_view reference_or_id) const;
  StatusOr<std::vector<Image>> List() const;
  StatusOr<state::v1::ImageRecord> Get(const Transaction& tx,
                                       const std::string& id) const;

  // With all its names. OK if it is not there.
  Status Remove(const std::string& id);
  // One name, a tag or a digest, and the image if that was its last. With the
  // last tag of a repository go the digests of that repository.
  Status RemoveName(const Reference& name);

  // The blobs and chains that images need: documents, kept layers.
  struct Needed {
    std::set<Digest> blobs;
    std::set<Digest> chains;
  };
  StatusOr<Needed> NeededByImages() const;

 private:
  using Names = std::map<std::string, state::v1::NameRecord>;
  using Records = std::map<std::string, state::v1::ImageRecord>;
  Image MakeImage(const state::v1::ImageRecord& record,
                  const Names& names) const;
  StatusOr<std::string> FindId(std::string_view text, const Records& records,
                               const Names& names) const;

  MetadataStore& metadata_;
  const std::vector<std::string> pinned_;
};

}  // namespace berth::image

#endif  // IMAGE_IMAGE_STORE_H_
