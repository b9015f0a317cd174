#include "cni/plugin/plugins.h"

#include <unistd.h>

#include <utility>

#include "base/strings.h"
#include "cni/plugin/exec_plugin.h"
#include "cni/plugin/loopback_plugin.h"

namespace berth::cni {

Plugins::Plugins(std::vector<std::string> folders, Duration time_limit)
    : folders_(std::move(folders)),
      time_limit_(time_limit),
      builtin_{{"loopback", std::make_shared<const LoopbackPlugin>()}} {}

StatusOr<std::shared_ptr<const Plugin>> Plugins::Find(
    const std::string& type) const {
  for (const std::string& folder : folders_) {
    const std::string path = folder + "/" + type;
    if (access(path.c_str(), X_OK) != 0) continue;
    return std::make_shared<const ExecPlugin>(path, folders_, time_limit_);
  }
  const auto it = builtin_.find(type);
  if (it != builtin_.end()) return it->second;
  return Unavailable("no network plugin " + Quoted(type) + " in " +
                     Quoted(Join(folders_, ":")));
}

}  // namespace berth::cni
