#include "oci/cli/notify_relay.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/strings.h"
#include "base/sys/file.h"
#include "base/sys/socket.h"
#include "oci/container/state_file.h"

namespace berth::oci {
namespace {

constexpr int kBarrierMilliseconds = 30000;
// Nobody is to wait longer for the exit code.
constexpr int kLastMilliseconds = 1000;
// For each word, to a host that does not read.
constexpr struct timeval kMaxSend = {1, 0};

struct Address {
  struct sockaddr_un name = {};
  socklen_t size = 0;
};

// "@name" is of the abstract namespace (unix(7)).
StatusOr<Address> AddressOf(const std::string& path) {
  Address address;
  address.name.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.name.sun_path)) {
    return InvalidArgument(Quoted(path) + " is no name of a socket");
  }
  memcpy(address.name.sun_path, path.data(), path.size());
  address.size = static_cast<socklen_t>(offsetof(struct sockaddr_un, sun_path) +
                                        path.size());
  if (path[0] == '@') {
    address.name.sun_path[0] = 0;
  } else {
    ++address.size;
  }
  return address;
}

StatusOr<UniqueFd> NewSocket() {
  UniqueFd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return Errno(errno, "socket");
  return fd;
}

// Whoever waits for the service has read all before when it closes its end
// (sd_notify_barrier(3)): the other one, which sees that.
StatusOr<UniqueFd> SendBarrier(int host) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return Errno(errno, "pipe");
  UniqueFd hears(ends[0]);
  const UniqueFd says(ends[1]);
  RETURN_IF_ERROR(SendFd(host, says.get(), "BARRIER=1"));
  return hears;
}

// The barrier that was sent last.
StatusOr<UniqueFd> TellHost(const std::string& path, const std::string& ready,
                            pid_t main_pid) {
  ASSIGN_OR_RETURN(const Address address, AddressOf(path));
  ASSIGN_OR_RETURN(const UniqueFd host, NewSocket());
  if (setsockopt(host.get(), SOL_SOCKET, SO_SNDTIMEO, &kMaxSend,
                 sizeof(kMaxSend)) != 0) {
    return Errno(errno, "setsockopt SO_SNDTIMEO");
  }
  if (connect(host.get(),
              reinterpret_cast<const struct sockaddr*>(&address.name),
              address.size) != 0) {
    return Errno(errno, "connect to " + Quoted(path));
  }
  const std::string main = "MAINPID=" + std::to_string(main_pid);
  for (const std::string& text : {ready, main}) {
    if (send(host.get(), text.data(), text.size(), MSG_NOSIGNAL) < 0) {
      return Errno(errno, "send to " + Quoted(path));
    }
  }
  return SendBarrier(host.get());
}

// The line, "READY=1", if there is one.
std::string ReadyLine(const std::string& said) {
  for (const std::string& line : Split(said, '\n')) {
    if (StartsWith(line, "READY=")) return line;
  }
  return "";
}

}  // namespace

std::string HostNotifySocket() {
  const char* path = getenv("NOTIFY_SOCKET");
  return path != nullptr ? path : "";
}

StatusOr<NotifyRelay> NotifyRelay::Listen(const std::string& directory,
                                          const std::string& host,
                                          const Log& log) {
  RETURN_IF_ERROR(AddressOf(host).status());
  ASSIGN_OR_RETURN(const UniqueFd folder,
                   OpenFile(directory, O_PATH | O_DIRECTORY));
  // By the descriptor, since the path may be longer than an address can be.
  const std::string path =
      "/proc/self/fd/" + std::to_string(folder.get()) + "/" + kNotifySocket;
  ASSIGN_OR_RETURN(const Address address, AddressOf(path));
  ASSIGN_OR_RETURN(UniqueFd fd, NewSocket());
  // For all, since the container may have given up root. Not by its name
  // afterwards, which a container may have made a link.
  const mode_t before = umask(0);
  const int bound =
      bind(fd.get(), reinterpret_cast<const struct sockaddr*>(&address.name),
           address.size);
  const int error = errno;
  umask(before);
  if (bound != 0) {
    return Errno(error, "bind " + Quoted(directory + "/" + kNotifySocket));
  }
  return NotifyRelay(std::move(fd), host, log);
}

// True: the host has been told, and fd_ is the barrier.
StatusOr<bool> NotifyRelay::Hear(pid_t main) {
  char bytes[4096];
  const ssize_t n =
      TEMP_FAILURE_RETRY(recv(fd_.get(), bytes, sizeof(bytes), MSG_DONTWAIT));
  if (n < 0 && errno == EAGAIN) return false;
  if (n < 0) return Errno(errno, "receive a notification");
  const std::string ready =
      ReadyLine(std::string(bytes, static_cast<size_t>(n)));
  if (ready.empty()) return false;
  ASSIGN_OR_RETURN(fd_, TellHost(host_, ready, main));
  return true;
}

bool NotifyRelay::Pass(pid_t main) {
  if (told_) return true;  // the barrier is down
  const auto heard = Hear(main);
  if (!heard.ok()) {
    log_->Warning("$NOTIFY_SOCKET: " + Message(heard.status()));
    return true;
  }
  told_ = *heard;
  return false;
}

void NotifyRelay::AwaitBarrier(int milliseconds) const {
  struct pollfd closed = {fd_.get(), POLLIN, 0};
  if (TEMP_FAILURE_RETRY(poll(&closed, 1, milliseconds)) <= 0) {
    log_->Warning("$NOTIFY_SOCKET: the barrier is not taken down");
  }
}

void NotifyRelay::Await(pid_t main, const UniqueFd& pidfd) {
  while (!told_) {
    struct pollfd fds[] = {{fd_.get(), POLLIN, 0}, {pidfd.get(), POLLIN, 0}};
    if (TEMP_FAILURE_RETRY(poll(fds, 2, -1)) < 0) {
      log_->Warning("$NOTIFY_SOCKET: " + Message(Errno(errno, "poll")));
      return;
    }
    if (fds[0].revents == 0 || Pass(main)) return;
  }
  AwaitBarrier(kBarrierMilliseconds);
}

void NotifyRelay::Finish(pid_t main) {
  if (!told_ && Pass(main)) return;
  if (told_) AwaitBarrier(kLastMilliseconds);
}

}  // namespace berth::oci
