#include "image/transfer/exporter.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>
#include <variant>

#include "base/unique_fd.h"
#include "image/layer/byte_source.h"

namespace berth::image {
namespace {

constexpr char kManifestType[] = "application/vnd.oci.image.manifest.v1+json";

// Ends with an error unless all was what `blob` says.
class VerifiedSource : public ByteSource {
 public:
  VerifiedSource(ByteSource& from, const Descriptor& blob)
      : hashed_(from, blob.size), blob_(blob) {}
  StatusOr<std::string_view> Next() override {
    StatusOr<std::string_view> bytes = hashed_.Next();
    const bool longer =
        bytes.status().code() == StatusCode::kFailedPrecondition;
    const bool ended = bytes.ok() && bytes->empty();
    if (longer || (ended && hashed_.digest() != blob_.digest)) {
      return DataLoss("blob " + blob_.digest.str() + " is damaged");
    }
    return bytes;
  }

 private:
  HashingSource hashed_;
  const Descriptor& blob_;
};

// Each once.
void AddNames(const std::vector<Reference>& names, std::vector<Reference>& to) {
  for (const Reference& name : names) {
    if (std::find(to.begin(), to.end(), name) == to.end()) to.push_back(name);
  }
}

}  // namespace

Status Exporter::Add(const Context& ctx, const state::v1::ImageRecord& image,
                     const std::vector<Reference>& names) {
  ImageSink::Entry entry;
  ASSIGN_OR_RETURN(entry.descriptor.digest,
                   Digest::Parse(image.manifest_digest()));
  for (ImageSink::Entry& other : entries_) {
    if (other.descriptor.digest != entry.descriptor.digest) continue;
    AddNames(names, other.names);
    return OkStatus();
  }
  AddNames(names, entry.names);
  lease_.Add(entry.descriptor.digest);
  ASSIGN_OR_RETURN(entry.bytes,
                   content_.Read(entry.descriptor.digest, kMaxManifestBytes));
  entry.descriptor.size = entry.bytes.size();
  entry.descriptor.platform = image.platform();
  ASSIGN_OR_RETURN(Document document, ParseDocument(entry.bytes, ""));
  Manifest* const manifest = std::get_if<Manifest>(&document);
  if (manifest == nullptr) {
    return DataLoss("manifest " + image.manifest_digest() + " is an index");
  }
  entry.manifest = std::move(*manifest);
  entry.descriptor.media_type = entry.manifest.media_type.empty()
                                    ? kManifestType
                                    : entry.manifest.media_type;
  RETURN_IF_ERROR(Have(ctx, image, entry.manifest.config));
  for (const Descriptor& layer : entry.manifest.layers) {
    RETURN_IF_ERROR(Have(ctx, image, layer));
  }
  entries_.push_back(std::move(entry));
  return OkStatus();
}

Status Exporter::Have(const Context& ctx, const state::v1::ImageRecord& image,
                      const Descriptor& blob) {
  lease_.Add(blob.digest);
  if (content_.Stat(blob.digest).ok()) return OkStatus();
  Status failed = FailedPrecondition(
      "blob " + blob.digest.str() + " was dropped when image " + image.id() +
      " was unpacked, and no registry is known to have it");
  for (const std::string& repository : image.sources()) {
    failed = fetch_(ctx, repository, blob);
    if (failed.ok()) return OkStatus();
    RETURN_IF_ERROR(ctx.Check());
  }
  return failed;
}

Status Exporter::WriteBlob(const Context& ctx, const Descriptor& blob,
                           ImageSink& sink) {
  ASSIGN_OR_RETURN(UniqueFd fd, content_.Open(blob.digest));
  FileSource file(std::move(fd));
  VerifiedSource verified(file, blob);
  const Status put = sink.PutBlob(ctx, blob, verified);
  if (put.code() == StatusCode::kDataLoss) {
    RETURN_IF_ERROR(content_.RemoveIfDamaged(blob.digest));
  }
  return put;
}

Status Exporter::WriteTo(const Context& ctx, ImageSink& sink) {
  std::set<Digest> written;
  for (const ImageSink::Entry& entry : entries_) {
    std::vector<Descriptor> blobs = entry.manifest.layers;
    blobs.push_back(entry.manifest.config);
    for (const Descriptor& blob : blobs) {
      if (!written.insert(blob.digest).second) continue;
      RETURN_IF_ERROR(WriteBlob(ctx, blob, sink));
    }
    RETURN_IF_ERROR(sink.PutImage(ctx, entry));
  }
  return sink.Finish(ctx);
}

}  // namespace berth::image
