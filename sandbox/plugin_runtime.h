#ifndef SANDBOX_PLUGIN_RUNTIME_H_
#define SANDBOX_PLUGIN_RUNTIME_H_

#include "nri/plugins.h"

namespace berth::sandbox {

class World;

// What plugins (NRI) are shown when they come, and what they ask for by
// themselves: pods that are ready, and their containers but for those that have
// ended. For nri::Plugins::Start; the world must outlive its use.
nri::Runtime PluginRuntime(World& world);

}  // namespace berth::sandbox

#endif  // SANDBOX_PLUGIN_RUNTIME_H_
