#ifndef CNI_PLUGIN_LOOPBACK_PLUGIN_H_
#define CNI_PLUGIN_LOOPBACK_PLUGIN_H_

#include <string>

#include "base/context.h"
#include "base/json.h"
#include "base/status.h"
#include "cni/plugin/builtin_plugin.h"

namespace berth::cni {

// Brings up the loopback of the namespace at that path: every namespace begins
// with it down, so every sandbox asks for this, whatever its networks are. Up
// already: OK.
Status RaiseLoopback(const std::string& netns);

// "loopback": its interface is `lo`, whatever name was asked for, as with the
// plugin of that name from the CNI project. After another plugin it hands on
// that one's result. Thread-safe.
class LoopbackPlugin : public BuiltinPlugin {
 private:
  StatusOr<Json> Add(const Context& ctx, int netns,
                     const Invocation& invocation) const override;
  Status Check(const Context& ctx, int netns,
               const Invocation& invocation) const override;
  Status Delete(const Context& ctx, int netns,
                const Invocation& invocation) const override;
};

}  // namespace berth::cni

#endif  // CNI_PLUGIN_LOOPBACK_PLUGIN_H_
