#ifndef DAEMON_INHERITED_SOCKET_H_
#define DAEMON_INHERITED_SOCKET_H_

#include <optional>
#include <string>

#include "base/status.h"
#include "base/unique_fd.h"

namespace berth::daemon {

// A Unix socket on which the service manager listens for us, and the path of
// its file, which stays the manager's. Thread-compatible.
struct InheritedSocket {
  UniqueFd socket;
  std::string path;
};

// What LISTEN_PID and LISTEN_FDS announce (sd_listen_fds(3)); none if they do
// not, or announce it to another process. Ours from now on: close-on-exec,
// non-blocking, with this process as the one that listens; and the variables
// are taken out of the environment, so that no child looks for it. Before there
// are threads, and once.
// FAILED_PRECONDITION for more than one socket; INVALID_ARGUMENT if it is no
// Unix stream socket with a path that listens.
StatusOr<std::optional<InheritedSocket>> TakeInheritedSocket();

}  // namespace berth::daemon

#endif  // DAEMON_INHERITED_SOCKET_H_
