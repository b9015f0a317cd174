#ifndef DAEMON_DAEMON_H_
#define DAEMON_DAEMON_H_

#include <memory>
#include <optional>

#include "base/status.h"
#include "daemon/config.h"
#include "daemon/inherited_socket.h"

namespace berth::daemon {

// Everything that berthd is made of, built in the order of need: records,
// images, network, sandboxes, and last, when it is known what became of all
// that ran before, the door. The one place that knows every part.
//
// Thread-compatible.
class Daemon {
 public:
  // Returns when the doors are open. UNAVAILABLE if another daemon has the same
  // root, the same state folder or the same socket; FAILED_PRECONDITION if
  // shims of another root live in the state folder.
  // `docker` is the docker door's socket, in place of the configured one, if
  // another process made it for us.
  static StatusOr<std::unique_ptr<Daemon>> Start(
      Config config, std::optional<InheritedSocket> docker = std::nullopt);

  // Ends every pod and container of this root, without opening a door: records
  // and data stay. Errors as of Start, or the first of a pod that did not end;
  // the others are ended all the same.
  static Status StopPods(const Config& config);

  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  // Closes the door and ends the requests at work. Pods stay as they are.
  void Stop();

 private:
  class Parts;
  explicit Daemon(std::unique_ptr<Parts> parts);

  const std::unique_ptr<Parts> parts_;
};

}  // namespace berth::daemon

#endif  // DAEMON_DAEMON_H_
