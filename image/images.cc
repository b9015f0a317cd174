#include "image/images.h"

#include <utility>

#include "base/digest.h"
#include "base/failpoint.h"
#include "image/manifest.h"

namespace berth::image {

StatusOr<Image> Images::Resolve(std::string_view text) const {
  return store_.Resolve(text);
}

StatusOr<std::vector<Image>> Images::List(const ImageFilter& filter) const {
  if (filter.reference.empty()) return store_.List();
  StatusOr<Image> image = store_.Resolve(filter.reference);
  if (IsNotFound(image.status())) return std::vector<Image>();
  if (!image.ok()) return image.status();
  return std::vector<Image>{*std::move(image)};
}

Status Images::Tag(std::string_view reference_or_id, const Reference& name) {
  ASSIGN_OR_RETURN(const Image image, store_.Resolve(reference_or_id));
  return store_.Tag(image.id(), name);
}

Status Images::Remove(std::string_view reference_or_id) {
  const StatusOr<Image> image = store_.Resolve(reference_or_id);
  if (!image.ok()) return IgnoreNotFound(image.status());
  RETURN_IF_ERROR(store_.Remove(image->id()));
  const Status removed = Failpoint("image.remove.records");
  garbage_.Wake();
  return removed;
}

Status Images::RemoveName(const Reference& name) {
  RETURN_IF_ERROR(store_.RemoveName(name));
  const Status removed = Failpoint("image.remove.name");
  garbage_.Wake();
  return removed;
}

StatusOr<std::vector<Images::LayerSize>> Images::LayersOf(
    const Image& image) const {
  std::vector<Digest> diff_ids;
  std::vector<LayerSize> layers;
  for (const std::string& text : image.record.diff_ids()) {
    ASSIGN_OR_RETURN(const Digest diff_id, Digest::Parse(text));
    diff_ids.push_back(diff_id);
    LayerSize& layer = layers.emplace_back();
    layer.chain = ChainIdOf(diff_ids, diff_ids.size());
    ASSIGN_OR_RETURN(const DiskUsage usage, snapshots_.LayerUsage(layer.chain));
    layer.bytes = usage.bytes;
  }
  return layers;
}

StatusOr<uint64_t> Images::BlobSize(const std::string& digest) const {
  ASSIGN_OR_RETURN(const Digest parsed, Digest::Parse(digest));
  ASSIGN_OR_RETURN(const BlobInfo blob, content_.Stat(parsed));
  return blob.size;
}

StatusOr<UniqueFd> Images::OpenBlob(const Digest& digest) const {
  return content_.Open(digest);
}

StatusOr<std::string> Images::ConfigJson(const std::string& image_id) const {
  ASSIGN_OR_RETURN(const Digest digest, Digest::Parse(image_id));
  return content_.Read(digest, kMaxConfigBytes);
}

StatusOr<DiskUsage> Images::CollectGarbage(const Context& ctx) {
  return garbage_.Collect(ctx);
}

StatusOr<StoreUsage> Images::StoreUsageNow() const {
  StoreUsage store;
  store.timestamp = Now();
  ASSIGN_OR_RETURN(store.usage, snapshots_.TotalUsage());
  ASSIGN_OR_RETURN(std::vector<BlobInfo> blobs, content_.List());
  ASSIGN_OR_RETURN(const std::vector<BlobInfo> partial, content_.ListPartial());
  blobs.insert(blobs.end(), partial.begin(), partial.end());
  for (const BlobInfo& blob : blobs) {
    store.usage.bytes += blob.size;
    ++store.usage.inodes;
  }
  return store;
}

}  // namespace berth::image
