#ifndef DAEMON_DAEMON_H_
#define DAEMON_DAEMON_H_

#include <memory>

#include "base/status.h"
#include "daemon/config.h"

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
  static StatusOr<std::unique_ptr<Daemon>> Start(const Config& config);
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
