// What a plugin is told, made of what the administrator wrote and what the
// sandbox asks for. Pure.
#ifndef CNI_PLUGIN_CONFIG_H_
#define CNI_PLUGIN_CONFIG_H_

#include <string>

#include "base/json.h"
#include "cni/config_list.h"
#include "cni/network.h"

namespace berth::cni {

// CNI_ARGS: the pod's identity, as Kubernetes' plugins expect it.
std::string ArgsOf(const Attachment& attachment);

// All that the sandbox asks for, by capability (CNI CONVENTIONS, "Dynamic
// Plugin specific fields"); only what is set.
Json CapabilitiesOf(const Attachment& attachment);

// The plugin's configuration for one run: name and version of the list, the
// capabilities that it declares, and the result so far (null: none).
// CNI specification 1.1.0, section 4, "Deriving request configuration".
Json PluginConfig(const ConfigList& list, const Json& plugin,
                  const Json& capabilities, const Json& previous);

// False for a plugin that is known to do nothing but hand on the result when
// its capability is not used: portmap, and bandwidth without limits of its own.
bool HasWork(const Json& plugin, const Json& capabilities);

}  // namespace berth::cni

#endif  // CNI_PLUGIN_CONFIG_H_
