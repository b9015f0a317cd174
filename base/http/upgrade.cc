#include "base/http/upgrade.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "base/clock.h"

namespace berth {
namespace {

// A context without a deadline is looked at this often, which costs nothing:
// its cancellation wakes the wait by itself.
constexpr Duration kLongest = std::chrono::hours(1);

Status Await(const Context& ctx, int socket, int events) {
  while (true) {
    RETURN_IF_ERROR(ctx.Check());
    pollfd polled[] = {{socket, static_cast<short>(events), 0},
                       {ctx.cancel_fd(), POLLIN, 0}};
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(
        ctx.Remaining(kLongest));
    const int n = poll(polled, 2, static_cast<int>(ms.count()) + 1);
    if (n < 0 && errno != EINTR) return Errno(errno, "poll a socket");
    if (n > 0 && polled[0].revents != 0) return OkStatus();
  }
}

}  // namespace

Status AwaitReadable(const Context& ctx, int socket) {
  return Await(ctx, socket, POLLIN);
}

Status WriteToSocket(const Context& ctx, int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = TEMP_FAILURE_RETRY(
        send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
    if (n >= 0) {
      bytes.remove_prefix(static_cast<size_t>(n));
    } else if (errno == EAGAIN) {
      RETURN_IF_ERROR(Await(ctx, socket, POLLOUT));
    } else {
      return Errno(errno, "send to the client");
    }
  }
  return OkStatus();
}

StatusOr<std::string> UpgradedConnection::Read(const Context& ctx,
                                               size_t limit) {
  if (!pending_.empty()) {
    std::string bytes = pending_.substr(0, limit);
    pending_.erase(0, bytes.size());
    return bytes;
  }
  std::string bytes(limit, '\0');
  while (true) {
    RETURN_IF_ERROR(Await(ctx, socket_.get(), POLLIN));
    const ssize_t n = TEMP_FAILURE_RETRY(
        recv(socket_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT));
    if (n >= 0) {
      bytes.resize(static_cast<size_t>(n));
      return bytes;
    }
    if (errno != EAGAIN) return Errno(errno, "receive from the client");
  }
}

Status UpgradedConnection::Write(const Context& ctx, std::string_view bytes) {
  return WriteToSocket(ctx, socket_.get(), bytes);
}

void UpgradedConnection::CloseWrite() { shutdown(socket_.get(), SHUT_WR); }

}  // namespace berth
