#include "door/stream/port_connection.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace berth::door {
namespace {

union Address {
  sockaddr any;
  sockaddr_in v4;
  sockaddr_in6 v6;
};

Address Localhost(int family, uint16_t port) {
  Address address = {};
  if (family == AF_INET6) {
    address.v6.sin6_family = AF_INET6;
    address.v6.sin6_port = htons(port);
    address.v6.sin6_addr = in6addr_loopback;
  } else {
    address.v4.sin_family = AF_INET;
    address.v4.sin_port = htons(port);
    address.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  }
  return address;
}

}  // namespace

Status PortConnection::Connect() {
  if (Try(AF_INET).ok() || Try(AF_INET6).ok()) return OkStatus();
  return Unavailable("connect to port " + std::to_string(port_) +
                     " of localhost: " + failures_);
}

Status PortConnection::FinishConnect() {
  connecting_ = false;
  int error = 0;
  socklen_t size = sizeof(error);
  if (getsockopt(fd(), SOL_SOCKET, SO_ERROR, &error, &size) == 0 &&
      error == 0) {
    return OkStatus();
  }
  failures_ =
      std::string(family_ == AF_INET ? "IPv4: " : "IPv6: ") + strerror(error);
  if (family_ == AF_INET && Try(AF_INET6).ok()) return OkStatus();
  return Unavailable("connect to port " + std::to_string(port_) +
                     " of localhost: " + failures_);
}

Status PortConnection::Try(int family) {
  family_ = family;
  Status done = OkStatus();
  StatusOr<UniqueFd> made = make_socket_(family);
  if (made.ok()) {
    const int on = 1;
    setsockopt(made->get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    const Address address = Localhost(family, port_);
    const int result = connect(made->get(), &address.any, sizeof(address));
    connecting_ = result != 0 && errno == EINPROGRESS;
    if (result != 0 && !connecting_) done = Unavailable(strerror(errno));
    socket_ = *std::move(made);
  } else {
    done = made.status();
  }
  if (!done.ok()) {
    if (!failures_.empty()) failures_ += "; ";
    failures_ += (family == AF_INET ? "IPv4: " : "IPv6: ") + Message(done);
  }
  return done;
}

StatusOr<size_t> PortConnection::Flush() {
  size_t sent = 0;
  while (sent < unsent_.size()) {
    const ssize_t n = TEMP_FAILURE_RETRY(
        send(fd(), unsent_.data() + sent, unsent_.size() - sent, MSG_NOSIGNAL));
    if (n < 0 && errno == EAGAIN) break;
    if (n < 0) return Errno(errno, "send to port " + std::to_string(port_));
    sent += static_cast<size_t>(n);
  }
  unsent_.erase(0, sent);
  if (input_ended() && !shut_) {
    shut_ = true;
    shutdown(fd(), SHUT_WR);
  }
  return sent;
}

StatusOr<std::optional<std::string>> PortConnection::TryRead(size_t limit) {
  std::string bytes(limit, '\0');
  const ssize_t n = TEMP_FAILURE_RETRY(recv(fd(), bytes.data(), limit, 0));
  if (n < 0 && errno == EAGAIN) return std::optional<std::string>();
  if (n < 0) return Errno(errno, "receive from port " + std::to_string(port_));
  output_ended_ = n == 0;
  bytes.resize(static_cast<size_t>(n));
  return std::optional<std::string>(std::move(bytes));
}

}  // namespace berth::door
