// Sandboxes and their networks while they live.
#ifndef SANDBOX_SANDBOX_CONNECT_H_
#define SANDBOX_SANDBOX_CONNECT_H_

#include <string>

#include "base/context.h"
#include "base/status.h"
#include "sandbox/core.h"

namespace berth::sandbox {

// SandboxManager::Connect and Disconnect, under the sandbox's lock.
Status ConnectSandbox(const Context& ctx, Core& core, SandboxRecord& sandbox,
                      const state::v1::NetworkAttachment& wanted);
Status DisconnectSandbox(const Context& ctx, Core& core, SandboxRecord& sandbox,
                         const std::string& network);

}  // namespace berth::sandbox

#endif  // SANDBOX_SANDBOX_CONNECT_H_
