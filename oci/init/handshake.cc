#include "oci/init/handshake.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/strings.h"

namespace berth::oci {
namespace {

constexpr size_t kMaxText = 8192;

}  // namespace

std::string EncodeStatus(const Status& status) {
  return std::to_string(static_cast<int>(status.code())) + " " +
         Message(status);
}

Status DecodeStatus(const std::string& text) {
  const size_t first = text.find(' ');
  if (first == std::string::npos) return Internal("container init: " + text);
  const auto code = ParseInt(text.substr(0, first));
  const std::string message = text.substr(first + 1);
  if (!code || *code <= 0 || *code > 16) return Internal(message);
  return Error(static_cast<StatusCode>(*code), message);
}

StatusOr<std::pair<Handshake, Handshake>> Handshake::Pair() {
  int fds[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) {
    return Errno(errno, "socketpair");
  }
  return std::make_pair(Handshake(UniqueFd(fds[0])),
                        Handshake(UniqueFd(fds[1])));
}

Status Handshake::Send(MessageType type, const std::string& text,
                       int fd) const {
  std::string bytes(1, static_cast<char>(type));
  bytes += text.substr(0, kMaxText);
  if (fd < 0) {
    // Plain write: the sender may stand behind a filter that knows no more.
    if (TEMP_FAILURE_RETRY(write(fd_.get(), bytes.data(), bytes.size())) < 0) {
      return Errno(errno, "send to the other side of the handshake");
    }
    return OkStatus();
  }
  struct iovec part = {bytes.data(), bytes.size()};
  alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  struct msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  struct cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(header), &fd, sizeof(fd));
  if (TEMP_FAILURE_RETRY(sendmsg(fd_.get(), &message, MSG_NOSIGNAL)) < 0) {
    return Errno(errno, "send to the other side of the handshake");
  }
  return OkStatus();
}

Status Handshake::SendError(const Status& error) const {
  return Send(MessageType::kError, EncodeStatus(error));
}

StatusOr<HandshakeMessage> Handshake::Receive() const {
  char bytes[1 + kMaxText];
  struct iovec part = {bytes, sizeof(bytes)};
  alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  struct msghdr header = {};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof(control);
  const ssize_t n =
      TEMP_FAILURE_RETRY(recvmsg(fd_.get(), &header, MSG_CMSG_CLOEXEC));
  // ECONNRESET: it died with our words unread.
  if (n == 0 || (n < 0 && errno == ECONNRESET)) return HandshakeMessage{};
  if (n < 0) return Errno(errno, "receive from the handshake");
  HandshakeMessage message;
  message.type = static_cast<MessageType>(bytes[0]);
  message.text.assign(bytes + 1, static_cast<size_t>(n) - 1);
  const struct cmsghdr* rights = CMSG_FIRSTHDR(&header);
  if (rights != nullptr && rights->cmsg_level == SOL_SOCKET &&
      rights->cmsg_type == SCM_RIGHTS) {
    int fd;
    memcpy(&fd, CMSG_DATA(rights), sizeof(fd));
    message.fd.reset(fd);
  }
  return message;
}

Status Handshake::WaitForGo() const {
  char type = 0;
  const ssize_t n = TEMP_FAILURE_RETRY(read(fd_.get(), &type, 1));
  if (n != 1 || type != static_cast<char>(MessageType::kGo)) {
    return Cancelled("the runtime gave up");
  }
  return OkStatus();
}

}  // namespace berth::oci
