#include "docker/routes/image_manifests.h"

#include <string>
#include <utility>

#include "base/digest.h"
#include "base/sys/file.h"

namespace berth::docker {
namespace {

using image::Image;

constexpr uint64_t kMaxDocument = 4 << 20;
constexpr char kManifestType[] = "application/vnd.oci.image.manifest.v1+json";
constexpr char kIndexType[] = "application/vnd.oci.image.index.v1+json";

// Null if it is not here, or is no document.
Json DocumentAt(const Engine& engine, const std::string& digest) {
  const StatusOr<Digest> parsed = Digest::Parse(digest);
  if (!parsed.ok()) return Json();
  const StatusOr<UniqueFd> blob = engine.images.OpenBlob(*parsed);
  if (!blob.ok()) return Json();
  const StatusOr<std::string> text = ReadAll(blob->get(), kMaxDocument, digest);
  if (!text.ok()) return Json();
  StatusOr<Json> json = ParseJson(*text, digest);
  return json.ok() && json->is_object() ? *std::move(json) : Json();
}

uint64_t SizeOf(const Engine& engine, const std::string& digest) {
  return engine.images.BlobSize(digest).value_or(0);
}

Json Descriptor(const Engine& engine, const std::string& digest,
                const char* type) {
  const Json document = DocumentAt(engine, digest);
  if (document.is_null()) return Json();
  const std::string said = document.Text("mediaType");
  return {{"mediaType", said.empty() ? type : said},
          {"digest", digest},
          {"size", SizeOf(engine, digest)}};
}

Json PlatformOf(const Image& image) {
  const auto& platform = image.record.platform();
  Json json = {{"architecture", platform.architecture()},
               {"os", platform.os()}};
  if (!platform.variant().empty()) json["variant"] = platform.variant();
  return json;
}

// The manifest that this host runs.
Json Own(const Engine& engine, const Image& image, Json descriptor) {
  const std::string& digest = image.record.manifest_digest();
  uint64_t content = SizeOf(engine, digest) + SizeOf(engine, image.id());
  for (const std::string& layer : image.record.layer_digests()) {
    content += SizeOf(engine, layer);
  }
  Json containers = Json::array();
  for (const View& view : AllViews(engine)) {
    if (view.container->config().image_id() == image.id()) {
      containers.push_back(view.id());
    }
  }
  if (descriptor.is_null()) {
    descriptor = {
        {"mediaType", kManifestType}, {"digest", digest}, {"size", 0}};
  }
  return {{"ID", digest},
          {"Descriptor", std::move(descriptor)},
          {"Available", true},
          {"Size",
           {{"Content", content}, {"Total", content + image.record.size()}}},
          {"Kind", "image"},
          {"ImageData",
           {{"Platform", PlatformOf(image)},
            {"Containers", std::move(containers)},
            {"Size", {{"Unpacked", image.record.size()}}}}}};
}

// One that the index names and that was not pulled.
Json Other(const Json& descriptor) {
  Json row = {{"ID", descriptor.Text("digest")},
              {"Descriptor", descriptor},
              {"Available", false},
              {"Size", {{"Content", 0}, {"Total", 0}}}};
  const Json* const annotations = descriptor.Find("annotations");
  const std::string type = annotations == nullptr
                               ? ""
                               : annotations->Text("vnd.docker.reference.type");
  const Json* const platform = descriptor.Find("platform");
  if (type == "attestation-manifest") {
    row["Kind"] = "attestation";
    row["AttestationData"] = {
        {"For", annotations->Text("vnd.docker.reference.digest")}};
  } else if (platform != nullptr && platform->is_object()) {
    row["Kind"] = "image";
    row["ImageData"] = {{"Platform", *platform},
                        {"Containers", Json::array()},
                        {"Size", {{"Unpacked", 0}}}};
  } else {
    row["Kind"] = "unknown";
  }
  return row;
}

}  // namespace

Json DescriptorJson(const Engine& engine, const Image& image) {
  const std::string& index = image.record.index_digest();
  return index.empty()
             ? Descriptor(engine, image.record.manifest_digest(), kManifestType)
             : Descriptor(engine, index, kIndexType);
}

Json ManifestsJson(const Engine& engine, const Image& image) {
  const std::string& digest = image.record.manifest_digest();
  Json own = Descriptor(engine, digest, kManifestType);
  Json rest = Json::array();
  const Json index = DocumentAt(engine, image.record.index_digest());
  const Json* const manifests = index.Find("manifests");
  if (manifests != nullptr) {
    for (const Json& descriptor : manifests->elements()) {
      if (descriptor.Text("digest") == digest) {
        own = descriptor;
      } else if (descriptor.is_object()) {
        rest.push_back(Other(descriptor));
      }
    }
  }
  Json all = Json::array();
  all.push_back(Own(engine, image, std::move(own)));
  for (const Json& row : rest.elements()) all.push_back(row);
  return all;
}

}  // namespace berth::docker
