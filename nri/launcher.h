// Plugins that are installed on the node, and started with berthd.
#ifndef NRI_LAUNCHER_H_
#define NRI_LAUNCHER_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/status.h"
#include "base/unique_fd.h"

namespace berth::nri {

// A program "NN-NAME" in the folder of plugins.
struct InstalledPlugin {
  std::string path;
  std::string index;   // "10"
  std::string name;    // "logger"
  std::string config;  // text of its file, handed on as it is
};

// In the order of their indices. Files that may not be executed, and those with
// other names, are none. A folder that is not there has none. The configuration
// is that of the file NN-NAME.conf in `config_folder`, or of NAME.conf, at most
// 1 MiB; none if it cannot be read.
StatusOr<std::vector<InstalledPlugin>> FindInstalled(
    const std::string& folder, const std::string& config_folder);

// A running plugin and our end of its socket.
struct LaunchedPlugin {
  pid_t pid = 0;
  UniqueFd pidfd;
  UniqueFd socket;  // non-blocking
};
// Starts it with nothing but what NRI says: its socket as descriptor 3, and
// NRI_PLUGIN_NAME, NRI_PLUGIN_IDX and NRI_PLUGIN_SOCKET. It writes where we
// write our log. UNIMPLEMENTED for WebAssembly. The caller reaps it.
StatusOr<LaunchedPlugin> Launch(const InstalledPlugin& plugin);

// INVALID_ARGUMENT unless it is what a plugin may be called: letters, digits
// and "-_.+"; two digits.
Status CheckPluginName(const std::string& name);
Status CheckPluginIndex(const std::string& index);

}  // namespace berth::nri

#endif  // NRI_LAUNCHER_H_
