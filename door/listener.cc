#include "door/listener.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/strings.h"
#include "base/sys/socket.h"

namespace berth::door {
namespace {

constexpr int kAcceptedAtOnce = 64;

bool IsPending(int listener) {
  pollfd pending = {listener, POLLIN, 0};
  return poll(&pending, 1, 0) > 0;
}

}  // namespace

StatusOr<Listener> Listener::OnUnix(const std::string& path, mode_t mode) {
  if (SomebodyListens(path)) {
    return AlreadyExists("socket " + Quoted(path) + " is in use");
  }
  unlink(path.c_str());
  ASSIGN_OR_RETURN(UniqueFd socket, ListenUnix(path, mode));
  RETURN_IF_ERROR(SetNonBlocking(socket.get()));
  return Listener(std::move(socket), path);
}

Listener& Listener::operator=(Listener&& other) noexcept {
  if (this != &other) {
    Close();
    socket_ = std::move(other.socket_);
    path_ = std::exchange(other.path_, "");
  }
  return *this;
}

Status Listener::Accept(const std::function<void(UniqueFd)>& take,
                        const std::function<bool()>& make_room) const {
  for (int i = 0; i < kAcceptedAtOnce; ++i) {
    UniqueFd socket(
        accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (socket.valid()) {
      take(std::move(socket));
      continue;
    }
    if (errno == EINTR || errno == ECONNABORTED) continue;
    if (errno == EAGAIN) return OkStatus();
    // accept4 needs a descriptor, or memory, before it looks for a connection.
    const int error = errno;
    if (!IsPending(socket_.get())) return OkStatus();
    if (!make_room()) return Errno(error, "accept");
  }
  return OkStatus();
}

void Listener::Close() {
  if (!socket_.valid()) return;
  // First the name: nobody may connect to a socket that nobody accepts from.
  unlink(path_.c_str());
  socket_.reset();
}

}  // namespace berth::door
