#include "image/archive/layout_sink.h"

#include <string>
#include <utility>

#include "image/archive/layout_source.h"

namespace berth::image {
namespace {

constexpr char kIndexType[] = "application/vnd.oci.image.index.v1+json";

Json EntryOf(const Descriptor& manifest) {
  Json entry = {{"mediaType", manifest.media_type},
                {"digest", manifest.digest.str()},
                {"size", manifest.size}};
  if (manifest.has_platform()) {
    entry["platform"] = {{"architecture", manifest.platform.architecture()},
                         {"os", manifest.platform.os()}};
    if (!manifest.platform.variant().empty()) {
      entry["platform"]["variant"] = manifest.platform.variant();
    }
  }
  return entry;
}

}  // namespace

Status LayoutSink::PutBlob(const Context& ctx, const Descriptor& blob,
                           ByteSource& bytes) {
  return files_.Put(ctx, Layout::BlobName(blob.digest), blob.size, bytes);
}

Status LayoutSink::PutImage(const Context& ctx, const Entry& image) {
  RETURN_IF_ERROR(
      files_.Put(ctx, Layout::BlobName(image.descriptor.digest), image.bytes));
  Json tags = Json::array();
  for (const Reference& name : image.names) {
    Json entry = EntryOf(image.descriptor);
    entry["annotations"] = {{Layout::kFullName, name.str()}};
    if (!name.has_digest()) {
      entry["annotations"][Layout::kRefName] = name.tag();
      tags.push_back(name.Familiar());
    }
    index_.push_back(std::move(entry));
  }
  if (image.names.empty()) index_.push_back(EntryOf(image.descriptor));
  Json layers = Json::array();
  for (const Descriptor& layer : image.manifest.layers) {
    layers.push_back(Layout::BlobName(layer.digest));
  }
  docker_.push_back({{"Config", Layout::BlobName(image.manifest.config.digest)},
                     {"RepoTags", std::move(tags)},
                     {"Layers", std::move(layers)}});
  return OkStatus();
}

Status LayoutSink::Finish(const Context& ctx) {
  RETURN_IF_ERROR(files_.Put(ctx, "oci-layout",
                             DumpJson({{"imageLayoutVersion", "1.0.0"}})));
  RETURN_IF_ERROR(files_.Put(ctx, "index.json",
                             DumpJson({{"schemaVersion", 2},
                                       {"mediaType", kIndexType},
                                       {"manifests", std::move(index_)}})));
  RETURN_IF_ERROR(files_.Put(ctx, "manifest.json", DumpJson(docker_)));
  return files_.Finish();
}

}  // namespace berth::image
