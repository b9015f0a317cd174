#include "door/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <optional>

#include "base/strings.h"
#include "base/sys/socket.h"

namespace berth::door {
namespace {

constexpr int kAcceptedAtOnce = 64;

bool IsPending(int listener) {
  pollfd pending = {listener, POLLIN, 0};
  return poll(&pending, 1, 0) > 0;
}

struct TcpAddress {
  union {
    sockaddr any;
    sockaddr_in v4;
    sockaddr_in6 v6;
  } name = {};
  socklen_t length = 0;
};

StatusOr<TcpAddress> ParseTcp(const std::string& text) {
  const Status wrong =
      InvalidArgument(Quoted(text) + " is not \"IP:port\" or \"[IP]:port\"");
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos) return wrong;
  const std::optional<uint64_t> port = ParseUint(text.substr(colon + 1));
  if (!port.has_value() || *port > 65535) return wrong;
  std::string ip = text.substr(0, colon);
  TcpAddress address;
  if (ip.size() > 2 && ip.front() == '[' && ip.back() == ']') {
    ip = ip.substr(1, ip.size() - 2);
    address.name.v6.sin6_family = AF_INET6;
    address.name.v6.sin6_port = htons(static_cast<uint16_t>(*port));
    address.length = sizeof(sockaddr_in6);
    if (inet_pton(AF_INET6, ip.c_str(), &address.name.v6.sin6_addr) == 1) {
      return address;
    }
    return wrong;
  }
  address.name.v4.sin_family = AF_INET;
  address.name.v4.sin_port = htons(static_cast<uint16_t>(*port));
  address.length = sizeof(sockaddr_in);
  if (inet_pton(AF_INET, ip.c_str(), &address.name.v4.sin_addr) != 1) {
    return wrong;
  }
  return address;
}

}  // namespace

StatusOr<bool> IsLoopback(const std::string& address) {
  ASSIGN_OR_RETURN(const TcpAddress parsed, ParseTcp(address));
  if (parsed.name.any.sa_family == AF_INET6) {
    return IN6_IS_ADDR_LOOPBACK(&parsed.name.v6.sin6_addr) != 0;
  }
  return ntohl(parsed.name.v4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

StatusOr<Listener> Listener::OnTcp(const std::string& address) {
  ASSIGN_OR_RETURN(const TcpAddress parsed, ParseTcp(address));
  UniqueFd socket(::socket(parsed.name.any.sa_family,
                           SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.valid()) return Errno(errno, "make a TCP socket");
  const int on = 1;
  setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (bind(socket.get(), &parsed.name.any, parsed.length) != 0 ||
      listen(socket.get(), SOMAXCONN) != 0) {
    if (errno == EADDRINUSE) {
      return AlreadyExists("address " + address + " is in use");
    }
    return Errno(errno, "listen on " + address);
  }
  return Listener(std::move(socket), "");
}

StatusOr<std::string> Listener::Address() const {
  TcpAddress address;
  address.length = sizeof(address.name);
  if (getsockname(socket_.get(), &address.name.any, &address.length) != 0) {
    return Errno(errno, "ask for a listener's address");
  }
  char ip[INET6_ADDRSTRLEN] = "";
  if (address.name.any.sa_family == AF_INET6) {
    inet_ntop(AF_INET6, &address.name.v6.sin6_addr, ip, sizeof(ip));
    return "[" + std::string(ip) +
           "]:" + std::to_string(ntohs(address.name.v6.sin6_port));
  }
  inet_ntop(AF_INET, &address.name.v4.sin_addr, ip, sizeof(ip));
  return ip + (":" + std::to_string(ntohs(address.name.v4.sin_port)));
}

StatusOr<Listener> Listener::OnUnix(const std::string& path, mode_t mode) {
  if (SomebodyListens(path)) {
    return AlreadyExists("socket " + Quoted(path) + " is in use");
  }
  unlink(path.c_str());
  ASSIGN_OR_RETURN(UniqueFd socket, ListenUnix(path, mode));
  RETURN_IF_ERROR(SetNonBlocking(socket.get()));
  return Listener(std::move(socket), path);
}

Listener Listener::OnInherited(UniqueFd socket) {
  return Listener(std::move(socket), "");
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
  if (!path_.empty()) unlink(path_.c_str());
  socket_.reset();
}

}  // namespace berth::door
