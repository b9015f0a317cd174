#include "image/archive/docker_archive.h"

#include <utility>

#include "base/json.h"
#include "base/strings.h"
#include "image/archive/layout_source.h"
#include "image/layer/byte_source.h"
#include "image/layer/decompressor.h"

namespace berth::image {
namespace {

constexpr char kManifestType[] =
    "application/vnd.docker.distribution.manifest.v2+json";
constexpr char kConfigType[] = "application/vnd.docker.container.image.v1+json";
constexpr char kPlainLayer[] = "application/vnd.docker.image.rootfs.diff.tar";
constexpr size_t kMaxImages = 1000;

struct Member {
  Digest digest;
  uint64_t size = 0;
  Compression compression = Compression::kNone;
};

StatusOr<Member> Hash(const Context& ctx, const ImageFiles& files,
                      const std::string& name) {
  ASSIGN_OR_RETURN(UniqueFd fd, files.Open(name));
  FileSource file(std::move(fd));
  HashingSource hashed(file, UINT64_MAX);
  Member member;
  while (true) {
    RETURN_IF_ERROR(ctx.Check());
    const bool first = hashed.size() == 0;
    ASSIGN_OR_RETURN(const std::string_view bytes, hashed.Next());
    if (first) member.compression = DetectCompression(bytes);
    if (bytes.empty()) break;
  }
  member.digest = hashed.digest();
  member.size = hashed.size();
  return member;
}

Json DescriptorOf(const std::string& type, const Member& member) {
  return {{"mediaType", type},
          {"size", member.size},
          {"digest", member.digest.str()}};
}

}  // namespace

StatusOr<std::vector<DockerArchiveImage>> ReadDockerArchive(
    const ImageFiles& files) {
  ASSIGN_OR_RETURN(const std::string text,
                   files.Read("manifest.json", kMaxManifestBytes));
  ASSIGN_OR_RETURN(const Json json, ParseJson(text, "manifest.json"));
  if (!json.is_array() || json.size() > kMaxImages) {
    return InvalidArgument("manifest.json is no list of images");
  }
  std::vector<DockerArchiveImage> images;
  for (const Json& one : json.elements()) {
    DockerArchiveImage image;
    JsonReader reader(one, "manifest.json");
    reader.Get("Config", image.config);
    reader.Get("Layers", image.layers);
    reader.Get("RepoTags", image.tags);
    RETURN_IF_ERROR(reader.status());
    images.push_back(std::move(image));
  }
  return images;
}

StatusOr<std::unique_ptr<DockerArchiveSource>> DockerArchiveSource::Open(
    const Context& ctx, const ImageFiles& files,
    const DockerArchiveImage& image) {
  std::unique_ptr<DockerArchiveSource> source(new DockerArchiveSource(files));
  ASSIGN_OR_RETURN(const Member config, Hash(ctx, files, image.config));
  source->members_[config.digest] = image.config;
  Json layers = Json::array();
  for (const std::string& name : image.layers) {
    ASSIGN_OR_RETURN(const Member layer, Hash(ctx, files, name));
    source->members_[layer.digest] = name;
    layers.push_back(
        DescriptorOf(std::string(kPlainLayer) +
                         (layer.compression == Compression::kGzip   ? ".gzip"
                          : layer.compression == Compression::kZstd ? ".zstd"
                                                                    : ""),
                     layer));
  }
  const Json manifest = {{"schemaVersion", 2},
                         {"mediaType", kManifestType},
                         {"config", DescriptorOf(kConfigType, config)},
                         {"layers", layers}};
  Fetched& fetched = source->manifest_;
  fetched.bytes = DumpJson(manifest);
  fetched.descriptor.media_type = kManifestType;
  fetched.descriptor.size = fetched.bytes.size();
  fetched.descriptor.digest = Digest::Of(fetched.bytes);
  return source;
}

StatusOr<ImageSource::Fetched> DockerArchiveSource::Resolve(
    const Context& ctx) {
  RETURN_IF_ERROR(ctx.Check());
  return manifest_;
}

StatusOr<ImageSource::Fetched> DockerArchiveSource::FetchManifest(
    const Context&, const Descriptor& descriptor) {
  return NotFound("no manifest " + descriptor.digest.str() +
                  " in the image archive");
}

Status DockerArchiveSource::FetchBlob(
    const Context& ctx, const Descriptor& descriptor, ContentStore& store,
    const std::function<void(uint64_t)>& progress) {
  const auto it = members_.find(descriptor.digest);
  if (it == members_.end()) {
    return NotFound("no blob " + descriptor.digest.str() +
                    " in the image archive");
  }
  ASSIGN_OR_RETURN(UniqueFd fd, files_.Open(it->second));
  return CopyBlob(ctx, std::move(fd), descriptor, store, progress);
}

}  // namespace berth::image
