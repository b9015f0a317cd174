// What a daemon must have for itself before it touches anything: its folders
// and its sockets.
#ifndef DAEMON_CLAIMS_H_
#define DAEMON_CLAIMS_H_

#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "base/unique_fd.h"

namespace berth::daemon {

// The right to a folder, for as long as this process lives or until this is
// destroyed: a record lock (fcntl(2)) on <folder>/berthd.lock. It is the
// process's own, so that no child can keep it by a descriptor.
// Thread-compatible.
class FolderClaim {
 public:
  // Waits up to `wait` for a daemon that is on its way out. UNAVAILABLE, with
  // the folder and the other's pid, if that one stays.
  static StatusOr<FolderClaim> Take(const std::string& folder, Duration wait);

 private:
  explicit FolderClaim(UniqueFd lock) : lock_(std::move(lock)) {}

  UniqueFd lock_;
};

// Makes room for a Unix socket: removes one that nobody listens on any more.
// UNAVAILABLE if somebody still does when `wait` has passed;
// FAILED_PRECONDITION for a file that is no socket. Nothing there: OK.
Status ClearSocket(const std::string& path, Duration wait);

}  // namespace berth::daemon

#endif  // DAEMON_CLAIMS_H_
