#include "daemon/claims.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <utility>

#include "base/strings.h"
#include "base/sys/socket.h"

namespace berth::daemon {
namespace {

// Neither a lock nor the end of a listener can be waited for with a limit.
constexpr int kLookAgainMs = 20;

// Until `free()`, or `wait` has passed; what `free()` says then.
bool Await(Duration wait, const std::function<bool()>& free) {
  const auto until = std::chrono::steady_clock::now() + wait;
  while (!free()) {
    if (std::chrono::steady_clock::now() >= until) return false;
    poll(nullptr, 0, kLookAgainMs);
  }
  return true;
}

}  // namespace

StatusOr<FolderClaim> FolderClaim::Take(const std::string& folder,
                                        Duration wait) {
  const std::string file = folder + "/berthd.lock";
  UniqueFd fd(
      open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid()) return Errno(errno, "open " + Quoted(file));
  int error = 0;
  const bool taken = Await(wait, [&] {
    struct flock whole = {};
    whole.l_type = F_WRLCK;
    whole.l_whence = SEEK_SET;
    error = fcntl(fd.get(), F_SETLK, &whole) == 0 ? 0 : errno;
    return error != EAGAIN && error != EACCES;
  });
  if (!taken) {
    struct flock holder = {};
    holder.l_type = F_WRLCK;
    holder.l_whence = SEEK_SET;
    fcntl(fd.get(), F_GETLK, &holder);
    return Unavailable("folder " + Quoted(folder) +
                       ": another berthd uses it, process " +
                       std::to_string(holder.l_pid));
  }
  if (error != 0) return Errno(error, "lock " + Quoted(file));
  return FolderClaim(std::move(fd));
}

Status ClearSocket(const std::string& path, Duration wait) {
  struct stat info;
  if (lstat(path.c_str(), &info) != 0) {
    return errno == ENOENT ? OkStatus() : Errno(errno, "find " + Quoted(path));
  }
  if (!S_ISSOCK(info.st_mode)) {
    return FailedPrecondition(Quoted(path) + " is in the way of a socket");
  }
  if (!Await(wait, [&] { return !SomebodyListens(path); })) {
    return Unavailable("socket " + Quoted(path) +
                       ": another process listens on it");
  }
  if (unlink(path.c_str()) != 0 && errno != ENOENT) {
    return Errno(errno, "remove " + Quoted(path));
  }
  return OkStatus();
}

}  // namespace berth::daemon
