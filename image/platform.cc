#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/strings.h"
#include "image/manifest.h"

namespace berth::image {
namespace {

constexpr std::string_view kOciIndex =
    "application/vnd.oci.image.index.v1+json";
constexpr std::string_view kDockerList =
    "application/vnd.docker.distribution.manifest.list.v2+json";
constexpr std::string_view kOciManifest =
    "application/vnd.oci.image.manifest.v1+json";
constexpr std::string_view kDockerManifest =
    "application/vnd.docker.distribution.manifest.v2+json";

constexpr std::array<std::string_view, 7> kLayers = {
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.oci.image.layer.v1.tar+zstd",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
    "application/vnd.docker.image.rootfs.diff.tar.zstd",
    "application/vnd.docker.image.rootfs.diff.tar+gzip",
};

constexpr std::array<std::string_view, 5> kForeignLayers = {
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
    "application/vnd.docker.image.rootfs.foreign.diff.tar",
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
};

// An attestation that travels in an image's index.
bool IsNoImage(const Descriptor& entry) {
  const auto kind = entry.annotations.find("vnd.docker.reference.type");
  return (kind != entry.annotations.end() &&
          kind->second == "attestation-manifest") ||
         entry.platform.os() == "unknown" ||
         entry.platform.architecture() == "unknown";
}

// Says of itself that it is something else than an image. The type of an image
// is its configuration's (OCI image specification, descriptor.md).
bool IsArtifact(const Descriptor& entry) {
  return !entry.artifact_type.empty() &&
         entry.artifact_type != "application/vnd.oci.image.config.v1+json" &&
         entry.artifact_type !=
             "application/vnd.docker.container.image.v1+json";
}

// 7 for "v7"; 0 for none.
int Level(const std::string& variant) {
  return variant.size() == 2 && variant[0] == 'v' && isdigit(variant[1]) != 0
             ? variant[1] - '0'
             : 0;
}

// The x86-64 level of this processor (System V psABI, "micro-architecture
// levels").
int AmdLevel() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512cd") &&
      __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl")) {
    return 4;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
      __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("fma")) {
    return 3;
  }
  if (__builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt")) {
    return 2;
  }
#endif
  return 1;
}

}  // namespace

bool IsIndexType(std::string_view type) {
  return type == kOciIndex || type == kDockerList;
}

bool IsManifestType(std::string_view type) {
  return type == kOciManifest || type == kDockerManifest;
}

bool IsLayerType(std::string_view type) {
  return std::find(kLayers.begin(), kLayers.end(), type) != kLayers.end();
}

bool IsForeignLayerType(std::string_view type) {
  return std::find(kForeignLayers.begin(), kForeignLayers.end(), type) !=
         kForeignLayers.end();
}

Platform NormalizePlatform(const Platform& given) {
  Platform platform;
  const std::string os = Lower(given.os());
  std::string architecture = Lower(given.architecture());
  std::string variant = Lower(given.variant());
  platform.set_os(os.empty() ? "linux" : os);
  if (variant.size() == 1 && isdigit(variant[0]) != 0) variant = "v" + variant;
  if (architecture == "x86_64" || architecture == "x86-64") {
    architecture = "amd64";
  } else if (architecture == "i386") {
    architecture = "386";
  } else if (architecture == "aarch64") {
    architecture = "arm64";
  } else if (architecture == "armhf" || architecture == "armv7l") {
    architecture = "arm";
    variant = "v7";
  } else if (architecture == "armel" || architecture == "armv6l") {
    architecture = "arm";
    variant = "v6";
  }
  if (architecture == "arm" && variant.empty()) variant = "v7";
  if (architecture == "arm64" && variant == "v8") variant.clear();
  if (architecture == "amd64" && variant == "v1") variant.clear();
  platform.set_architecture(architecture);
  platform.set_variant(variant);
  return platform;
}

Platform HostPlatform() {
  Platform platform;
  struct utsname names;
  uname(&names);
  platform.set_os("linux");
  platform.set_architecture(names.machine);
  platform = NormalizePlatform(platform);
  if (platform.architecture() == "amd64" && AmdLevel() > 1) {
    platform.set_variant("v" + std::to_string(AmdLevel()));
  }
  return platform;
}

std::string PlatformText(const Platform& platform) {
  return platform.os() + "/" + platform.architecture() +
         (platform.variant().empty() ? "" : "/" + platform.variant());
}

namespace {

constexpr int kNativeRank = 10;

// Of what the processor runs beside its own programs: 32 bits.
int OlderRank(const Platform& offered, const Platform& host) {
  const std::string& of = offered.architecture();
  const int level = Level(offered.variant());
  if (host.architecture() == "amd64") return of == "386" ? 1 : 0;
  if (host.architecture() != "arm64" || of != "arm") return 0;
  return level >= 5 && level <= 8 ? level : 0;
}

}  // namespace

// As containerd orders them (platforms, platformVector).
int PlatformRank(const Platform& offered_as_is, const Platform& host) {
  const Platform offered = NormalizePlatform(offered_as_is);
  if (offered.os() != host.os()) return 0;
  if (offered.architecture() != host.architecture()) {
    return OlderRank(offered, host);
  }
  const int level = Level(offered.variant());
  if (offered.variant().empty()) return kNativeRank;
  if (level == 0) return 0;
  return level <= Level(host.variant()) ? kNativeRank + level : 0;
}

StatusOr<Descriptor> ChooseManifest(const Index& index, const Platform& host) {
  const Descriptor* best = nullptr;
  std::pair<bool, int> best_rank;  // an image rather than an artifact
  std::vector<std::string> offers;
  for (const Descriptor& entry : index.manifests) {
    if (IsNoImage(entry)) continue;
    // One that does not say what it runs on is the last resort.
    int rank = 1;
    if (entry.has_platform()) {
      if (offers.size() < 16) offers.push_back(PlatformText(entry.platform));
      const int fit = PlatformRank(entry.platform, host);
      if (fit == 0) continue;
      rank += fit;
    }
    const std::pair<bool, int> full_rank = {!IsArtifact(entry), rank};
    if (best == nullptr || full_rank > best_rank) {
      best = &entry;
      best_rank = full_rank;
    }
  }
  if (best == nullptr) {
    return NotFound("no image for " + PlatformText(host) + ", only for " +
                    (offers.empty() ? "none" : Join(offers, ", ")));
  }
  return *best;
}

}  // namespace berth::image
