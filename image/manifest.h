// The documents of an image: index, manifest, configuration (OCI image
// specification 1.1; Docker's schema 2, which has the same fields).
//
// Parsed strictly, since their bytes come from anywhere: a member that occurs
// twice, a digest that is none, a document that could be read both as index
// and as manifest (CVE-2021-41190) are INVALID_ARGUMENT. But only what is used
// counts: an entry of an index that cannot be read is left out. Pure functions.
#ifndef IMAGE_MANIFEST_H_
#define IMAGE_MANIFEST_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "api/state/v1/image.pb.h"
#include "base/digest.h"
#include "base/status.h"

namespace berth::image {

using Platform = state::v1::Platform;

// Bounds on documents, in bytes: before they are fetched. Above what registries
// take, and what others pull (4 MiB and somewhat more).
inline constexpr uint64_t kMaxManifestBytes = 8 << 20;
inline constexpr uint64_t kMaxConfigBytes = 16 << 20;

// What names a blob: its type, digest and size.
struct Descriptor {
  std::string media_type;
  Digest digest;
  uint64_t size = 0;
  std::map<std::string, std::string> annotations;
  std::string artifact_type;
  Platform platform;  // empty os and architecture: not stated
  std::string data;   // the blob itself, verified; empty: not embedded

  bool has_platform() const { return !platform.architecture().empty(); }
};

struct Manifest {
  std::string media_type;
  Descriptor config;
  std::vector<Descriptor> layers;  // base first
};

struct Index {
  std::string media_type;
  std::vector<Descriptor> manifests;
};

using Document = std::variant<Manifest, Index>;

// Reads either. `media_type` is what the bytes were announced as and decides
// together with the document's own word; empty: not known.
StatusOr<Document> ParseDocument(std::string_view bytes,
                                 const std::string& media_type);

// An image's configuration.
struct ImageSpec {
  Platform platform;
  state::v1::ImageConfig config;
  std::vector<Digest> diff_ids;  // base first
  int64_t created = 0;           // Unix nanoseconds; 0: not stated
  std::string author;
};

StatusOr<ImageSpec> ParseImageSpec(std::string_view bytes);

bool IsIndexType(std::string_view media_type);
bool IsManifestType(std::string_view media_type);
// A layer that we can unpack, and whether a registry may refuse to hold it.
bool IsLayerType(std::string_view media_type);
bool IsForeignLayerType(std::string_view media_type);

// Of this machine.
Platform HostPlatform();
// "amd64" for "x86_64" and the like; os defaults to linux.
Platform NormalizePlatform(const Platform& platform);
std::string PlatformText(const Platform& platform);  // "linux/arm/v7"

// The manifest to run on `host`: the best match, the first of equals. An entry
// that names no platform is the last resort; one that says it is no image comes
// after all that do not. NOT_FOUND names what is offered.
StatusOr<Descriptor> ChooseManifest(const Index& index, const Platform& host);
// How well `offered` runs on `host`; 0: not at all, more is better.
int PlatformRank(const Platform& offered, const Platform& host);

// The name of a stack of layers: of the first `count` diff ids (OCI image
// specification, config.md, "Layer ChainID").
Digest ChainIdOf(const std::vector<Digest>& diff_ids, size_t count);

}  // namespace berth::image

#endif  // IMAGE_MANIFEST_H_
