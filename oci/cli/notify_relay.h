#ifndef OCI_CLI_NOTIFY_RELAY_H_
#define OCI_CLI_NOTIFY_RELAY_H_

#include <sys/types.h>

#include <optional>
#include <string>

#include "base/status.h"
#include "base/unique_fd.h"

namespace berth::oci {

// The socket that whoever calls us has in $NOTIFY_SOCKET; empty: none.
std::string HostNotifySocket();

// Hears what a container says of itself (sd_notify(3)) on a socket in a
// directory that the container has at /run/notify, and once it is ready tells
// who waits for that: READY=1, and its pid as the host has it. Nothing else of
// what it says is passed on: as with runc, a container is not believed more
// than that. Single-threaded.
class NotifyRelay {
 public:
  // The directory is the container's alone; `host` is of HostNotifySocket.
  static StatusOr<NotifyRelay> Listen(const std::string& directory,
                                      const std::string& host);

  // Readable when something has been said.
  int fd() const { return socket_.get(); }
  // Takes one word of the container, whose init is `pid`; true: it was ready,
  // and there is nothing more to hear.
  StatusOr<bool> Pass(pid_t pid);
  // Until the container is ready, or has ended.
  Status Await(pid_t pid, const UniqueFd& pidfd);

 private:
  NotifyRelay(UniqueFd socket, std::string host)
      : socket_(std::move(socket)), host_(std::move(host)) {}

  UniqueFd socket_;
  std::string host_;
};

}  // namespace berth::oci

#endif  // OCI_CLI_NOTIFY_RELAY_H_
