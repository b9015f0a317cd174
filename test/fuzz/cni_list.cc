// A network's configuration, by its administrator or by an add-on.
#include "base/json.h"
#include "cni/config_list.h"
#include "cni/plugin_config.h"
#include "test/fuzz/driver/fuzz_target.h"

namespace {

berth::cni::Attachment Pod() {
  berth::cni::Attachment pod;
  pod.sandbox_id = "pod";
  pod.netns = "/run/netns/pod";
  return pod;
}

}  // namespace

FUZZ_TARGET(bytes) {
  using namespace berth::cni;
  const auto list = ParseConfigList(bytes, "f");
  if (!list.ok()) return false;
  FUZZ_CHECK(!list->plugins.empty());
  const auto capabilities = CapabilitiesOf(Pod());
  for (const auto& plugin : list->plugins) {
    (void)HasWork(plugin, capabilities);
    // What a plugin is told is one JSON value.
    const std::string told =
        berth::DumpJson(PluginConfig(*list, plugin, capabilities, {}));
    FUZZ_CHECK(berth::ParseJson(told, "configuration").ok());
  }
  return true;
}
