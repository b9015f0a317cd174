// Index, manifest and configuration, as a registry sends them.
#include "base/json.h"
#include "image/manifest.h"
#include "test/fuzz/driver/fuzz_target.h"

FUZZ_TARGET(bytes) {
  using namespace berth::image;
  const bool is_config = ParseImageSpec(bytes).ok();
  const auto document = ParseDocument(bytes, "");
  if (!document.ok()) return is_config;
  if (const auto* const index = std::get_if<Index>(&*document)) {
    (void)ChooseManifest(*index, HostPlatform());
    return true;
  }
  for (const Descriptor& layer : std::get<Manifest>(*document).layers) {
    FUZZ_CHECK(!layer.digest.empty());
    FUZZ_CHECK(layer.data.empty() || layer.data.size() == layer.size);
  }
  return true;
}
