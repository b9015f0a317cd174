#include "door/http/upgrade.h"

#include <linux/sockios.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "base/unique_fd.h"

namespace berth::door {
namespace {

// A context without a deadline is looked at this often, which costs nothing:
// its cancellation wakes the wait by itself.
constexpr Duration kLongest = std::chrono::hours(1);
constexpr Duration kHeadLimit = std::chrono::seconds(1);

int WaitMillis(const Context& ctx) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(
      ctx.Remaining(kLongest));
  return static_cast<int>(ms.count()) + 1;
}

Status Await(const Context& ctx, int socket, int events) {
  while (true) {
    RETURN_IF_ERROR(ctx.Check());
    pollfd polled[] = {{socket, static_cast<short>(events), 0},
                       {ctx.cancel_fd(), POLLIN, 0}};
    const int n = poll(polled, 2, WaitMillis(ctx));
    if (n < 0 && errno != EINTR) return Errno(errno, "poll a socket");
    if (n > 0 && polled[0].revents != 0) return OkStatus();
  }
}

}  // namespace

Status AwaitReadable(const Context& ctx, int socket) {
  return Await(ctx, socket, POLLIN);
}

// The kernel counts the memory of what is unread, and leaves one byte of it in
// while it wakes those who wait (sock_wfree).
bool PeerHasRead(int socket) {
  int unread = 0;
  return ioctl(socket, SIOCOUTQ, &unread) != 0 || unread <= 1;
}

Status AwaitPeerRead(const Context& ctx, int socket, Duration limit) {
  if (PeerHasRead(socket)) return ctx.Check();
  // Edge-triggered: the socket is writable all the time, but each message that
  // the peer takes is an event.
  const UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  epoll_event taken = {EPOLLOUT | EPOLLRDHUP | EPOLLET, {.fd = socket}};
  epoll_event cancelled = {EPOLLIN, {.fd = ctx.cancel_fd()}};
  if (epoll_ctl(epoll.get(), EPOLL_CTL_ADD, socket, &taken) != 0) {
    return Errno(errno, "watch a socket");
  }
  if (ctx.cancel_fd() >= 0) {
    (void)epoll_ctl(epoll.get(), EPOLL_CTL_ADD, ctx.cancel_fd(), &cancelled);
  }
  const Context in_time = ctx.WithTimeout(limit);
  while (!PeerHasRead(socket) && in_time.Check().ok()) {
    epoll_event events[2];
    const int n = epoll_wait(epoll.get(), events, 2, WaitMillis(in_time));
    for (int i = 0; i < n; ++i) {
      if ((events[i].events & (EPOLLHUP | EPOLLERR)) != 0) return ctx.Check();
    }
  }
  return ctx.Check();
}

void EndGently(const Context& ctx, int socket, Duration limit) {
  if (shutdown(socket, SHUT_WR) != 0) return;
  const Context in_time = ctx.WithTimeout(limit);
  char dropped[16 << 10];
  while (Await(in_time, socket, POLLIN).ok()) {
    const ssize_t n = TEMP_FAILURE_RETRY(
        recv(socket, dropped, sizeof(dropped), MSG_DONTWAIT));
    if (n == 0 || (n < 0 && errno != EAGAIN)) return;
  }
}

Status WriteToSocket(const Context& ctx, int socket, std::string_view bytes,
                     std::optional<Duration> patience) {
  while (!bytes.empty()) {
    const ssize_t n = TEMP_FAILURE_RETRY(
        send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
    if (n >= 0) {
      bytes.remove_prefix(static_cast<size_t>(n));
    } else if (errno == EAGAIN) {
      RETURN_IF_ERROR(
          Await(patience.has_value() ? ctx.WithTimeout(*patience) : ctx, socket,
                POLLOUT));
    } else {
      return Errno(errno, "send to the client");
    }
  }
  return OkStatus();
}

StatusOr<std::optional<std::string>> UpgradedConnection::TryRead(size_t limit) {
  std::optional<std::string> bytes;
  if (HasPending()) {
    bytes = pending_.substr(0, limit);
    pending_.erase(0, bytes->size());
    return bytes;
  }
  bytes.emplace(limit, '\0');
  const ssize_t n = TEMP_FAILURE_RETRY(
      recv(socket_, bytes->data(), bytes->size(), MSG_DONTWAIT));
  if (n < 0 && errno == EAGAIN) return std::optional<std::string>();
  if (n < 0) return Errno(errno, "receive from the client");
  bytes->resize(static_cast<size_t>(n));
  return bytes;
}

StatusOr<std::string> UpgradedConnection::Read(const Context& ctx,
                                               size_t limit) {
  while (true) {
    if (!HasPending()) RETURN_IF_ERROR(Await(ctx, socket_, POLLIN));
    ASSIGN_OR_RETURN(std::optional<std::string> bytes, TryRead(limit));
    if (bytes.has_value()) return *std::move(bytes);
  }
}

Status UpgradedConnection::AwaitHeadRead(const Context& ctx) {
  if (head_read_) return OkStatus();
  head_read_ = true;
  return AwaitPeerRead(ctx, socket_, kHeadLimit);
}

Status UpgradedConnection::Write(const Context& ctx, std::string_view bytes) {
  RETURN_IF_ERROR(AwaitHeadRead(ctx));
  return WriteToSocket(ctx, socket_, bytes);
}

StatusOr<size_t> UpgradedConnection::TryWrite(const Context& ctx,
                                              std::string_view bytes) {
  RETURN_IF_ERROR(AwaitHeadRead(ctx));
  const ssize_t n = TEMP_FAILURE_RETRY(
      send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
  if (n < 0 && errno == EAGAIN) return 0;
  if (n < 0) return Errno(errno, "send to the client");
  return static_cast<size_t>(n);
}

}  // namespace berth::door
