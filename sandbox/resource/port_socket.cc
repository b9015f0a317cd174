#include "sandbox/resource/port_socket.h"

#include <sched.h>
#include <sys/socket.h>

#include <cerrno>

#include "base/sys/link.h"
#include "base/sys/namespace.h"

namespace berth::sandbox {

StatusOr<UniqueFd> PortSocket(const Inventory& inventory,
                              const std::string& sandbox_id, int family) {
  ASSIGN_OR_RETURN(const SandboxStatus sandbox, inventory.Sandbox(sandbox_id));
  if (sandbox->phase() != state::v1::SANDBOX_PHASE_READY) {
    return FailedPrecondition("sandbox " + sandbox_id + ": not ready");
  }
  constexpr int kType = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
  const std::string& path = sandbox->namespaces().network();
  if (path.empty()) {
    UniqueFd made(socket(family, kType, 0));
    if (!made.valid()) return Errno(errno, "make a socket");
    return made;
  }
  // Opened for each: a client that stays does not keep the network of a
  // sandbox that has ended.
  ASSIGN_OR_RETURN(const UniqueFd network, OpenNamespace(path, CLONE_NEWNET));
  return SocketIn(network.get(), family, kType);
}

}  // namespace berth::sandbox
