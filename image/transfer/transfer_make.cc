// The part of Transfer that makes images: of containers, and of file systems.
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <utility>

#include "base/failpoint.h"
#include "base/strings.h"
#include "base/sys/file.h"
#include "image/archive/layout_source.h"
#include "image/layer/byte_source.h"
#include "image/transfer/transfer.h"

namespace berth::image {
namespace {

constexpr char kManifestType[] = "application/vnd.oci.image.manifest.v1+json";
constexpr char kConfigType[] = "application/vnd.oci.image.config.v1+json";
constexpr char kLayerType[] = "application/vnd.oci.image.layer.v1.tar";

Descriptor DescriptorOf(const char* type, const std::string& bytes) {
  Descriptor descriptor;
  descriptor.media_type = type;
  descriptor.digest = Digest::Of(bytes);
  descriptor.size = bytes.size();
  return descriptor;
}

Json ToJson(const Descriptor& descriptor) {
  return {{"mediaType", descriptor.media_type},
          {"digest", descriptor.digest.str()},
          {"size", descriptor.size}};
}

// Two documents and one layer; all other blobs are here already, or where the
// image below was pulled.
class MadeSource : public ImageSource {
 public:
  MadeSource(std::string manifest, std::string config, int layer,
             Descriptor layer_descriptor, bool lasting)
      : manifest_(std::move(manifest)),
        config_(std::move(config)),
        layer_(layer),
        layer_descriptor_(std::move(layer_descriptor)),
        lasting_(lasting) {}

  StatusOr<Fetched> Resolve(const Context& ctx) override {
    RETURN_IF_ERROR(ctx.Check());
    return Fetched{DescriptorOf(kManifestType, manifest_), manifest_};
  }
  StatusOr<Fetched> FetchManifest(const Context&,
                                  const Descriptor& descriptor) override {
    return NotFound("no manifest " + descriptor.digest.str());
  }
  bool IsLasting() const override { return lasting_; }
  Status FetchBlob(const Context& ctx, const Descriptor& descriptor,
                   ContentStore& store,
                   const std::function<void(uint64_t)>& progress) override {
    if (descriptor.digest == Digest::Of(config_)) {
      return store.Write(descriptor.digest, config_).status();
    }
    if (descriptor.digest != layer_descriptor_.digest) {
      return FailedPrecondition("blob " + descriptor.digest.str() +
                                " of the image below was dropped when that was "
                                "unpacked");
    }
    UniqueFd file(fcntl(layer_, F_DUPFD_CLOEXEC, 3));
    if (!file.valid()) return Errno(errno, "dup the layer");
    if (lseek(layer_, 0, SEEK_SET) != 0)
      return Errno(errno, "rewind the layer");
    return CopyBlob(ctx, std::move(file), descriptor, store, progress);
  }

 private:
  const std::string manifest_;
  const std::string config_;
  const int layer_;
  const Descriptor layer_descriptor_;
  const bool lasting_;
};

StatusOr<Descriptor> DescribeLayer(const Context& ctx, int layer) {
  UniqueFd copy(fcntl(layer, F_DUPFD_CLOEXEC, 3));
  if (!copy.valid()) return Errno(errno, "dup the layer");
  if (lseek(layer, 0, SEEK_SET) != 0) return Errno(errno, "rewind the layer");
  FileSource file(std::move(copy));
  HashingSource hashed(file, UINT64_MAX);
  while (true) {
    RETURN_IF_ERROR(ctx.Check());
    ASSIGN_OR_RETURN(const std::string_view piece, hashed.Next());
    if (piece.empty()) break;
  }
  Descriptor descriptor;
  descriptor.media_type = kLayerType;
  descriptor.digest = hashed.digest();
  descriptor.size = hashed.size();
  return descriptor;
}

}  // namespace

StatusOr<Image> Transfer::Make(const Context& ctx, const NewImage& image,
                               const std::function<Status(int file)>& layer) {
  Json layers = Json::array();
  Json diff_ids = Json::array();
  std::string repository;
  Leases::Lease lease(stores_.leases);
  if (!image.base.empty()) {
    ASSIGN_OR_RETURN(const Image base, stores_.images.Resolve(image.base));
    ASSIGN_OR_RETURN(const Digest digest,
                     Digest::Parse(base.record.manifest_digest()));
    ASSIGN_OR_RETURN(const std::string bytes,
                     stores_.content.Read(digest, kMaxManifestBytes));
    ASSIGN_OR_RETURN(const Document document, ParseDocument(bytes, ""));
    const Manifest* const manifest = std::get_if<Manifest>(&document);
    if (manifest == nullptr) return DataLoss("manifest is an index");
    for (const Descriptor& below : manifest->layers) {
      lease.Add(below.digest);
      layers.push_back(ToJson(below));
    }
    for (const std::string& id : base.record.diff_ids()) diff_ids.push_back(id);
    if (base.record.sources_size() > 0) repository = base.record.sources(0);
  }
  // Without a name: gone with this process, if that ends.
  ASSIGN_OR_RETURN(const UniqueFd spool,
                   OpenFile(options_.spool, O_TMPFILE | O_RDWR, 0600));
  RETURN_IF_ERROR(layer(spool.get()));
  RETURN_IF_ERROR(Failpoint("image.make.spooled"));
  ASSIGN_OR_RETURN(const Descriptor top, DescribeLayer(ctx, spool.get()));
  layers.push_back(ToJson(top));
  diff_ids.push_back(top.digest.str());

  Json config = image.config;
  config["rootfs"] = {{"type", "layers"}, {"diff_ids", std::move(diff_ids)}};
  const std::string config_text = DumpJson(config);
  const std::string manifest_text =
      DumpJson({{"schemaVersion", 2},
                {"mediaType", kManifestType},
                {"config", ToJson(DescriptorOf(kConfigType, config_text))},
                {"layers", std::move(layers)}});
  MadeSource source(manifest_text, config_text, spool.get(), top,
                    /*lasting=*/!repository.empty());
  ASSIGN_OR_RETURN(
      const std::string id,
      InstallAndName(ctx, source, {image.name, BlobPolicy::kKeep, repository},
                     nullptr));
  return stores_.images.Resolve(id);
}

}  // namespace berth::image
