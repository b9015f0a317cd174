// A small image made by hand, for tests.
#ifndef IMAGE_TESTING_TEST_IMAGE_H_
#define IMAGE_TESTING_TEST_IMAGE_H_

#include <string>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "base/testing/scripted_server.h"
#include "image/layer/tar_builder.h"
#include "image/manifest.h"

namespace berth::image {

struct TestImage {
  std::string manifest;
  std::string config;
  std::vector<std::string> layers;  // plain tar streams, base first

  std::string id() const { return Digest::Of(config).str(); }
  // Manifest, configuration and layers.
  std::vector<std::string> Blobs() const {
    std::vector<std::string> blobs = layers;
    blobs.push_back(config);
    blobs.push_back(manifest);
    return blobs;
  }
};

inline Descriptor DescriptorOfBlob(const std::string& bytes,
                                   const std::string& media_type) {
  Descriptor descriptor;
  descriptor.media_type = media_type;
  descriptor.digest = Digest::Of(bytes);
  descriptor.size = bytes.size();
  return descriptor;
}

inline std::string DescriptorJson(const std::string& bytes,
                                  const std::string& media_type) {
  return R"({"mediaType":")" + media_type + R"(","digest":")" +
         Digest::Of(bytes).str() + R"(","size":)" +
         std::to_string(bytes.size()) + "}";
}

inline constexpr char kTestManifestType[] =
    "application/vnd.oci.image.manifest.v1+json";

// `diff_ids` are those of the layers unless they are given.
inline TestImage MakeTestImage(std::vector<std::string> layers,
                               std::vector<std::string> diff_ids = {}) {
  TestImage image;
  std::string ids;
  std::string descriptors;
  for (size_t i = 0; i < layers.size(); ++i) {
    const char* comma = i == 0 ? "" : ",";
    const std::string id =
        diff_ids.empty() ? Digest::Of(layers[i]).str() : diff_ids[i];
    ids += comma + ("\"" + id + "\"");
    descriptors +=
        comma +
        DescriptorJson(layers[i], "application/vnd.oci.image.layer.v1.tar");
  }
  const Platform host = HostPlatform();
  image.config = R"({"os":"linux","architecture":")" + host.architecture() +
                 R"(","rootfs":{"type":"layers","diff_ids":[)" + ids + "]}}";
  image.manifest =
      R"({"schemaVersion":2,"mediaType":")" + std::string(kTestManifestType) +
      R"(","config":)" +
      DescriptorJson(image.config, "application/vnd.oci.image.config.v1+json") +
      R"(,"layers":[)" + descriptors + "]}";
  image.layers = std::move(layers);
  return image;
}

// The image as an OCI layout in a tar archive, under a full name.
inline std::string MakeTestArchive(const TestImage& image,
                                   const std::string& name) {
  const std::string index =
      R"({"schemaVersion":2,"manifests":[{"mediaType":")" +
      std::string(kTestManifestType) + R"(","digest":")" +
      Digest::Of(image.manifest).str() + R"(","size":)" +
      std::to_string(image.manifest.size()) +
      R"(,"annotations":{"org.opencontainers.image.ref.name":")" + name +
      R"("}}]})";
  TarBuilder tar;
  tar.File("oci-layout", R"({"imageLayoutVersion":"1.0.0"})");
  tar.File("index.json", index);
  for (const std::string& blob : image.Blobs()) {
    tar.File("blobs/sha256/" + Digest::Of(blob).hex(), blob);
  }
  return tar.Bytes();
}

// What a registry that holds the image alone answers.
inline std::string AnswerAsRegistry(const TestImage& image,
                                    const std::string& request) {
  const std::string path = request.substr(0, request.find(" HTTP/"));
  if (path.find("/manifests/") != std::string::npos) {
    return HttpReply(200, image.manifest,
                     {"Content-Type: " + std::string(kTestManifestType)});
  }
  for (const std::string& blob : image.Blobs()) {
    if (path.find(Digest::Of(blob).str()) != std::string::npos) {
      return HttpReply(200, blob);
    }
  }
  return HttpReply(404, "");
}

}  // namespace berth::image

#endif  // IMAGE_TESTING_TEST_IMAGE_H_
