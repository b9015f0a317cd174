#ifndef CNI_PLUGIN_BUILTIN_PLUGIN_H_
#define CNI_PLUGIN_BUILTIN_PLUGIN_H_

#include "base/context.h"
#include "base/json.h"
#include "base/status.h"
#include "cni/plugin/plugin.h"

namespace berth::cni {

// A plugin in this process. This class speaks the protocol (versions 0.3.0 to
// 1.1.0, VERSION, STATUS and GC, which commands a version has), and opens the
// namespace; what derives from it does the work. Thread-safe.
class BuiltinPlugin : public Plugin {
 public:
  StatusOr<Json> Run(const Context& ctx,
                     const Invocation& invocation) const final;

 private:
  StatusOr<Json> Answer(const Context& ctx, const Invocation& invocation) const;

  // CNI specification 1.1.0, section 2. `netns` is open; for Delete -1 when it
  // is gone. Add's answer has "interfaces" and "ips" as in version 1.1.0; the
  // protocol's version is filled in by the caller.
  virtual StatusOr<Json> Add(const Context& ctx, int netns,
                             const Invocation& invocation) const = 0;
  virtual Status Check(const Context& ctx, int netns,
                       const Invocation& invocation) const = 0;
  // Idempotent.
  virtual Status Delete(const Context& ctx, int netns,
                        const Invocation& invocation) const = 0;
};

}  // namespace berth::cni

#endif  // CNI_PLUGIN_BUILTIN_PLUGIN_H_
