// What a verbose status tells besides the status: JSON with the members that
// scripts read of containerd's, by `crictl inspectp` and `crictl inspect`.
#ifndef CRI_INFO_VERBOSE_INFO_H_
#define CRI_INFO_VERBOSE_INFO_H_

#include <string>
#include <vector>

#include "api/state/v1/state.pb.h"
#include "sandbox/inventory.h"

namespace berth::cri {

// `pid` is a process in the namespaces of the sandbox: process 1 of a shared
// pid namespace, else that of a container that runs, else 0.
std::string PodInfo(const state::v1::SandboxRecord& sandbox,
                    const std::vector<sandbox::ContainerStatus>& containers);
std::string ContainerInfo(const state::v1::ContainerRecord& container);

// Where networks are configured, and `list`: the text of the default network's
// list, empty without such a network. For `crictl info`, as "cniconfig".
std::string NetworkInfo(const std::string& config_folder,
                        const std::vector<std::string>& plugin_folders,
                        const std::string& list);

}  // namespace berth::cri

#endif  // CRI_INFO_VERBOSE_INFO_H_
