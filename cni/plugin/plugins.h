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
// first that has the program counts, and those that are built in.
//
// A program is preferred to a built-in plugin of the same type: whoever
// installs a program expects it to run, as it does under other runtimes, and
// may have patched it. The built-in plugin is for a node without the program.
// Each can take back what the other did.
//
// Thread-safe.
class Plugins {
 public:
  // `time_limit`: of each run of a program.
  Plugins(std::vector<std::string> folders, Duration time_limit);

  // UNAVAILABLE if the node has no plugin of this type. Programs come and go:
  // use the plugin now, do not keep it.
  StatusOr<std::shared_ptr<const Plugin>> Find(const std::string& type) const;

 private:
  const std::vector<std::string> folders_;
  const Duration time_limit_;
  const std::map<std::string, std::shared_ptr<const Plugin>> builtin_;
};

}  // namespace berth::cni

#endif  // CNI_PLUGIN_PLUGINS_H_
