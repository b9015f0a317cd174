#ifndef OCI_CLI_FOREGROUND_H_
#define OCI_CLI_FOREGROUND_H_

#include <sys/types.h>

#include <optional>

#include "base/status.h"
#include "base/unique_fd.h"
#include "oci/cli/notify_relay.h"

namespace berth::oci {

// Stands in for a process of a container on this side: blocks all signals
// while it lives, passes them on, moves bytes between our standard streams
// and its terminal, reaps. Make it before the process is born; the process
// unblocks its own. Single-threaded.
class Foreground {
 public:
  static StatusOr<Foreground> Begin();

  // Until the process, our child, has exited; its exit code, 128 + signal if
  // killed. `console` may be invalid. `relay`: passes on meanwhile what it says
  // of itself.
  StatusOr<int> Wait(pid_t pid, const UniqueFd& pidfd, UniqueFd console,
                     std::optional<NotifyRelay>& relay);

 private:
  explicit Foreground(UniqueFd signals) : signals_(std::move(signals)) {}

  Status PassSignal(const UniqueFd& pidfd, const UniqueFd& console);

  UniqueFd signals_;
};

}  // namespace berth::oci

#endif  // OCI_CLI_FOREGROUND_H_
