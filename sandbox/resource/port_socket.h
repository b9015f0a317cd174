#ifndef SANDBOX_RESOURCE_PORT_SOCKET_H_
#define SANDBOX_RESOURCE_PORT_SOCKET_H_

#include <string>

#include "base/status.h"
#include "base/unique_fd.h"
#include "sandbox/inventory.h"

namespace berth::sandbox {

// A TCP socket in the network of a sandbox, or of the host if the sandbox has
// none of its own: what is connected to "localhost" with it is the sandbox's.
// AF_INET or AF_INET6; non-blocking, not connected. Any thread may use it.
//
// NOT_FOUND; FAILED_PRECONDITION if the sandbox is not ready.
StatusOr<UniqueFd> PortSocket(const Inventory& inventory,
                              const std::string& sandbox_id, int family);

}  // namespace berth::sandbox

#endif  // SANDBOX_RESOURCE_PORT_SOCKET_H_
