#ifndef OCI_CLI_NOTIFY_RELAY_H_
#define OCI_CLI_NOTIFY_RELAY_H_

#include <sys/types.h>

#include <optional>
#include <string>

#include "base/status.h"
#include "base/unique_fd.h"
#include "oci/cli/log.h"

namespace berth::oci {

// The socket that whoever calls us has in $NOTIFY_SOCKET; empty: none.
std::string HostNotifySocket();

// Hears what a container says of itself (sd_notify(3)) on a socket in a
// directory that the container has at /run/notify, and once it is ready tells
// who waits for that: READY=1, and the pid to watch. Nothing else of what it
// says is passed on: as with runc, a container is not believed more than that.
// What fails once the container runs is logged, and changes nothing for it.
// Single-threaded.
class NotifyRelay {
 public:
  // The directory is the container's alone; `host` is of HostNotifySocket. The
  // log must outlive the object.
  static StatusOr<NotifyRelay> Listen(const std::string& directory,
                                      const std::string& host, const Log& log);

  // Readable when there is something for Pass.
  int fd() const { return fd_.get(); }
  // Takes one word of the container, or the host's sign that it has read ours.
  // `main`: the pid to watch. True: there is nothing more to do.
  bool Pass(pid_t main);
  // Until the host knows that the container is ready, or that has ended.
  void Await(pid_t main, const UniqueFd& pidfd);
  // For one that has ended: its last word, if it is there.
  void Finish(pid_t main);

 private:
  NotifyRelay(UniqueFd socket, std::string host, const Log& log)
      : fd_(std::move(socket)), host_(std::move(host)), log_(&log) {}

  StatusOr<bool> Hear(pid_t main);
  void AwaitBarrier(int milliseconds) const;

  UniqueFd fd_;  // the container's socket, then the barrier
  bool told_ = false;
  std::string host_;
  const Log* log_;
};

}  // namespace berth::oci

#endif  // OCI_CLI_NOTIFY_RELAY_H_
