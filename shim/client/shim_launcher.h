#ifndef SHIM_CLIENT_SHIM_LAUNCHER_H_
#define SHIM_CLIENT_SHIM_LAUNCHER_H_

#include <memory>

#include "shim/shim.h"

namespace berth::shim {

// Starts shims by the start contract of containerd's shim v2 protocol, so
// berth-shim and foreign ones alike. Thread-safe.
std::unique_ptr<ShimLauncher> NewShimLauncher();

}  // namespace berth::shim

#endif  // SHIM_CLIENT_SHIM_LAUNCHER_H_
