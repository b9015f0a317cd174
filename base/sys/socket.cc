#include "base/sys/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstddef>
#include <cstring>

namespace berth {
namespace {

// An address, and the directory that must stay open while it is used.
struct Address {
  sockaddr_un name{};
  socklen_t length = 0;
  UniqueFd directory;
};

Status Fill(Address& address, const std::string& path) {
  if (path.size() >= sizeof(address.name.sun_path)) {
    return InvalidArgument("socket path \"" + path + "\" is too long");
  }
  address.name.sun_family = AF_UNIX;
  memcpy(address.name.sun_path, path.c_str(), path.size() + 1);
  address.length =
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  return OkStatus();
}

StatusOr<Address> MakeAddress(const std::string& path) {
  Address address;
  if (path.empty() || path.find('\0') != std::string::npos) {
    return InvalidArgument("not a socket path");
  }
  if (path.size() < sizeof(address.name.sun_path)) {
    RETURN_IF_ERROR(Fill(address, path));
    return address;
  }
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) {
    return InvalidArgument("socket path \"" + path + "\" is too long");
  }
  const std::string directory = path.substr(0, slash + 1);
  address.directory.reset(
      open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!address.directory.valid()) return Errno(errno, "open " + directory);
  RETURN_IF_ERROR(Fill(address, "/proc/self/fd/" +
                                    std::to_string(address.directory.get()) +
                                    path.substr(slash)));
  return address;
}

StatusOr<UniqueFd> NewSocket() {
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return Errno(errno, "socket");
  return fd;
}

}  // namespace

StatusOr<UniqueFd> ListenUnix(const std::string& path, mode_t mode) {
  ASSIGN_OR_RETURN(const Address address, MakeAddress(path));
  ASSIGN_OR_RETURN(UniqueFd fd, NewSocket());
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address.name),
           address.length) != 0) {
    if (errno == EADDRINUSE) {
      return AlreadyExists("bind \"" + path + "\": address in use");
    }
    return Errno(errno, "bind \"" + path + "\"");
  }
  if (chmod(address.name.sun_path, mode) != 0) {
    return Errno(errno, "chmod \"" + path + "\"");
  }
  if (listen(fd.get(), SOMAXCONN) != 0) {
    return Errno(errno, "listen on \"" + path + "\"");
  }
  return fd;
}

StatusOr<UniqueFd> ConnectUnix(const std::string& path) {
  ASSIGN_OR_RETURN(const Address address, MakeAddress(path));
  ASSIGN_OR_RETURN(UniqueFd fd, NewSocket());
  RETURN_IF_ERROR(SetNonBlocking(fd.get()));
  while (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address.name),
                 address.length) != 0) {
    if (errno == EINTR) continue;
    if (errno == ECONNREFUSED) {
      return Unavailable("connect to \"" + path + "\": nobody listens");
    }
    return Errno(errno, "connect to \"" + path + "\"");
  }
  const int flags = fcntl(fd.get(), F_GETFL);
  if (flags < 0 || fcntl(fd.get(), F_SETFL, flags & ~O_NONBLOCK) != 0) {
    return Errno(errno, "fcntl");
  }
  return fd;
}

bool SomebodyListens(const std::string& path) {
  const StatusOr<Address> address = MakeAddress(path);
  const UniqueFd fd(
      socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!address.ok() || !fd.valid()) return false;
  const int connected =
      connect(fd.get(), reinterpret_cast<const sockaddr*>(&address->name),
              address->length);
  // EAGAIN: its queue is full.
  return connected == 0 || errno == EAGAIN;
}

StatusOr<UniqueFd> AcceptUnix(int listener) {
  UniqueFd fd(TEMP_FAILURE_RETRY(
      accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)));
  if (fd.valid()) return fd;
  if (errno == EAGAIN || errno == ECONNABORTED) {
    return Unavailable("accept: no connection");
  }
  return Errno(errno, "accept");
}

StatusOr<std::pair<UniqueFd, UniqueFd>> SocketPair() {
  int fds[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) {
    return Errno(errno, "socketpair");
  }
  return std::make_pair(UniqueFd(fds[0]), UniqueFd(fds[1]));
}

StatusOr<PeerCredentials> GetPeerCredentials(int socket) {
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    return Errno(errno, "getsockopt SO_PEERCRED");
  }
  return PeerCredentials{peer.pid, peer.uid, peer.gid};
}

Status SendFd(int socket, int fd, const std::string& text) {
  if (text.empty()) return InvalidArgument("send fd: no text goes with it");
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  iovec data{const_cast<char*>(text.data()), text.size()};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(header), &fd, sizeof(int));
  const ssize_t sent =
      TEMP_FAILURE_RETRY(sendmsg(socket, &message, MSG_NOSIGNAL));
  if (sent < 0) return Errno(errno, "sendmsg");
  if (static_cast<size_t>(sent) < text.size()) {
    return Unavailable("sendmsg: the text did not fit");
  }
  return OkStatus();
}

StatusOr<UniqueFd> ReceiveFd(int socket, std::string* text) {
  constexpr size_t kMaxFds = 8;
  alignas(cmsghdr) char control[CMSG_SPACE(kMaxFds * sizeof(int))] = {};
  char bytes[4096];
  iovec data{bytes, sizeof(bytes)};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  const ssize_t size =
      TEMP_FAILURE_RETRY(recvmsg(socket, &message, MSG_CMSG_CLOEXEC));
  if (size < 0) return Errno(errno, "recvmsg");

  UniqueFd first;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) {
      continue;
    }
    const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd;
      memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
      UniqueFd received(fd);
      if (!first.valid()) first = std::move(received);
    }
  }
  if (!first.valid()) {
    return size == 0 ? Unavailable("recvmsg: the peer closed the socket")
                     : InvalidArgument("recvmsg: a message without an fd");
  }
  if (text != nullptr) text->assign(bytes, static_cast<size_t>(size));
  return first;
}

Status SetNonBlocking(int fd) {
  const int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) {
    return Errno(errno, "fcntl O_NONBLOCK");
  }
  return OkStatus();
}

}  // namespace berth
