#ifndef CNI_PLUGIN_PLUGINS_H_
#define CNI_PLUGIN_PLUGINS_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "cni/plugin/plugin.h"

namespace berth::cni {

// The plugins of this node by type: programs in a list of folders, of which the
// first that has it counts, and those that are built in.
//
// A program goes before a built-in plugin of the same type. Who installs one
// means it to run, as it does under every other runtime, and may have patched
// it; the built-in one is for a node that has no such program. Both leave the
// same behind, so that one takes back what the other did.
//
// Thread-safe.
class Plugins {
 public:
  // `time_limit`: of each run of a program.
  Plugins(std::vector<std::string> folders, Duration time_limit);

  // UNAVAILABLE if there is none. Programs come and go: a plugin is for use
  // now, not for keeping.
  StatusOr<std::shared_ptr<const Plugin>> Find(const std::string& type) const;

 private:
  const std::vector<std::string> folders_;
  const Duration time_limit_;
  const std::map<std::string, std::shared_ptr<const Plugin>> builtin_;
};

}  // namespace berth::cni

#endif  // CNI_PLUGIN_PLUGINS_H_
