#include "daemon/inherited_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <utility>

#include "base/strings.h"
#include "base/sys/socket.h"

namespace berth::daemon {
namespace {

constexpr int kFirst = 3;  // SD_LISTEN_FDS_START
// More than any unit has; the rest would be no descriptors.
constexpr uint64_t kMost = 1024;

// The variable, which is gone afterwards.
std::string TakeVariable(const char* name) {
  const char* value = std::getenv(name);
  const std::string taken = value == nullptr ? "" : value;
  unsetenv(name);
  return taken;
}

StatusOr<std::string> ListeningPath(int fd) {
  const Status wrong = InvalidArgument(
      "LISTEN_FDS: not a Unix stream socket that listens at a path");
  int listens = 0;
  socklen_t size = sizeof(listens);
  int type = 0;
  socklen_t type_size = sizeof(type);
  if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 ||
      getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_size) != 0 ||
      listens == 0 || type != SOCK_STREAM) {
    return wrong;
  }
  sockaddr_un name = {};
  socklen_t length = sizeof(name);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&name), &length) != 0) {
    return Errno(errno, "ask for the path of LISTEN_FDS");
  }
  const size_t start = offsetof(sockaddr_un, sun_path);
  if (name.sun_family != AF_UNIX || length <= start ||
      name.sun_path[0] != '/') {
    return wrong;
  }
  std::string path(name.sun_path, length - start);
  path.resize(path.find('\0') == std::string::npos ? path.size()
                                                   : path.find('\0'));
  return path;
}

}  // namespace

StatusOr<std::optional<InheritedSocket>> TakeInheritedSocket() {
  const std::optional<uint64_t> pid = ParseUint(TakeVariable("LISTEN_PID"));
  const std::optional<uint64_t> count = ParseUint(TakeVariable("LISTEN_FDS"));
  unsetenv("LISTEN_FDNAMES");
  if (pid != static_cast<uint64_t>(getpid()) || count.value_or(0) == 0) {
    return std::optional<InheritedSocket>();
  }
  if (*count > kMost) return InvalidArgument("LISTEN_FDS: not a number of it");
  for (int fd = kFirst; fd < kFirst + static_cast<int>(*count); ++fd) {
    fcntl(fd, F_SETFD, FD_CLOEXEC);
  }
  if (*count > 1) {
    return FailedPrecondition("LISTEN_FDS: " + std::to_string(*count) +
                              " sockets, but only the Docker Engine's can be "
                              "passed on");
  }
  InheritedSocket taken;
  taken.socket.reset(kFirst);
  ASSIGN_OR_RETURN(taken.path, ListeningPath(kFirst));
  RETURN_IF_ERROR(SetNonBlocking(kFirst));
  // Again, so that who connects is told this process and not the manager
  // (SO_PEERCRED, unix(7)): our own health check looks at it.
  if (listen(kFirst, SOMAXCONN) != 0) {
    return Errno(errno, "listen on " + Quoted(taken.path));
  }
  return std::optional<InheritedSocket>(std::move(taken));
}

}  // namespace berth::daemon
