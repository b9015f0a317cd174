#include "image/transfer/reception.h"

#include <memory>
#include <optional>
#include <utility>

#include "image/content/content_store.h"
#include "image/manifest.h"

namespace berth::image {
namespace {

// More than the manifests of one build of many platforms.
constexpr size_t kMaxManifests = 256;

// One blob that is read from a peer.
class SentBlob : public ImageSource {
 public:
  explicit SentBlob(ByteSource& bytes) : bytes_(bytes) {}

  StatusOr<Fetched> Resolve(const Context&) override {
    return Unimplemented("a blob is no image");
  }
  StatusOr<Fetched> FetchManifest(const Context&, const Descriptor&) override {
    return Unimplemented("a blob is no image");
  }
  bool IsLasting() const override { return false; }
  Status FetchBlob(const Context& ctx, const Descriptor& descriptor,
                   ContentStore& store,
                   const std::function<void(uint64_t)>& progress) override {
    ASSIGN_OR_RETURN(const std::unique_ptr<BlobWriter> writer,
                     store.Ingest(descriptor));
    RETURN_IF_ERROR(writer->Restart());
    while (true) {
      RETURN_IF_ERROR(ctx.Check());
      ASSIGN_OR_RETURN(const std::string_view piece, bytes_.Next());
      if (piece.empty()) return writer->Commit();
      RETURN_IF_ERROR(writer->Append(piece));
      progress(writer->offset());
    }
  }

 private:
  ByteSource& bytes_;
};

}  // namespace

// What has been sent, as the source of one image.
class Reception::Source : public ImageSource {
 public:
  Source(Reception& owner, const Digest& manifest)
      : owner_(owner), manifest_(manifest) {}

  StatusOr<Fetched> Resolve(const Context& ctx) override {
    RETURN_IF_ERROR(ctx.Check());
    return Sent(manifest_);
  }
  StatusOr<Fetched> FetchManifest(const Context& ctx,
                                  const Descriptor& descriptor) override {
    RETURN_IF_ERROR(ctx.Check());
    return Sent(descriptor.digest);
  }
  bool IsLasting() const override { return false; }
  Status FetchBlob(const Context&, const Descriptor& descriptor, ContentStore&,
                   const std::function<void(uint64_t)>&) override {
    return FailedPrecondition("blob " + descriptor.digest.str() +
                              " was not sent");
  }

 private:
  StatusOr<Fetched> Sent(const Digest& digest) {
    MutexLock lock(owner_.mutex_);
    const auto found = owner_.manifests_.find(digest);
    if (found == owner_.manifests_.end()) {
      return NotFound("manifest " + digest.str() + " was not sent");
    }
    return found->second;
  }

  Reception& owner_;
  const Digest manifest_;
};

Reception::Reception(Transfer& transfer)
    : transfer_(transfer), lease_(transfer.stores_.leases) {}

Reception::~Reception() { transfer_.stores_.garbage.Wake(); }

StatusOr<uint64_t> Reception::Find(const Digest& blob) {
  MutexLock lock(mutex_);
  lease_.Add(blob);
  ASSIGN_OR_RETURN(const BlobInfo info, transfer_.stores_.content.Stat(blob));
  return info.size;
}

Status Reception::PutBlob(const Context& ctx, const Descriptor& blob,
                          ByteSource& bytes) {
  {
    MutexLock lock(mutex_);
    lease_.Add(blob.digest);
  }
  SentBlob source(bytes);
  RETURN_IF_ERROR(transfer_.installer_.FetchBlob(ctx, source, blob));
  // Another build may have brought it meanwhile: the peer still sends it all.
  while (true) {
    RETURN_IF_ERROR(ctx.Check());
    ASSIGN_OR_RETURN(const std::string_view rest, bytes.Next());
    if (rest.empty()) return OkStatus();
  }
}

StatusOr<Digest> Reception::PutManifest(const std::string& media_type,
                                        const std::string& bytes) {
  RETURN_IF_ERROR(ParseDocument(bytes, media_type).status());
  ImageSource::Fetched fetched;
  fetched.descriptor.media_type = media_type;
  fetched.descriptor.digest = Digest::Of(bytes);
  fetched.descriptor.size = bytes.size();
  fetched.bytes = bytes;
  const Digest digest = fetched.descriptor.digest;
  MutexLock lock(mutex_);
  if (manifests_.size() >= kMaxManifests) {
    return ResourceExhausted("more than " + std::to_string(kMaxManifests) +
                             " manifests");
  }
  manifests_[digest] = std::move(fetched);
  return digest;
}

StatusOr<Image> Reception::Install(const Context& ctx, const Digest& manifest,
                                   const std::vector<Reference>& names) {
  std::vector<std::optional<Reference>> all(names.begin(), names.end());
  if (all.empty()) all.emplace_back();
  Source source(*this, manifest);
  std::string id;
  for (const std::optional<Reference>& name : all) {
    ASSIGN_OR_RETURN(
        id,
        transfer_.InstallAndName(
            ctx, source, {name, BlobPolicy::kKeep, /*source=*/""}, nullptr));
  }
  return transfer_.stores_.images.Resolve(id);
}

}  // namespace berth::image
