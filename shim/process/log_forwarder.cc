#include "shim/process/log_forwarder.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <vector>

#include "base/strings.h"

namespace berth::shim {
namespace {

constexpr char kJournalSocket[] = "/run/systemd/journal/socket";
constexpr int kConnectMs = 1000;
// Of each window no more is spent on waiting: all that the shim does stands
// still meanwhile.
constexpr Duration kWindow = std::chrono::seconds(1);
constexpr Duration kPatience = std::chrono::milliseconds(100);
constexpr Duration kRest = std::chrono::milliseconds(100);
constexpr int kSeverityError = 3;
constexpr int kSeverityInfo = 6;

struct Address {
  int family = AF_UNSPEC;
  int type = SOCK_DGRAM;
  sockaddr_storage bytes = {};
  socklen_t size = 0;
};

StatusOr<Address> UnixAddress(const std::string& path, int type) {
  Address address;
  address.family = AF_UNIX;
  address.type = type;
  sockaddr_un name = {};
  name.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(name.sun_path)) {
    return InvalidArgument("socket path " + Quoted(path));
  }
  memcpy(name.sun_path, path.data(), path.size());
  memcpy(&address.bytes, &name, sizeof(name));
  address.size = sizeof(name);
  return address;
}

// "IP:PORT".
StatusOr<Address> InternetAddress(const std::string& text, int type) {
  const size_t colon = text.rfind(':');
  uint64_t port = 0;
  if (colon != std::string::npos) {
    port = ParseUint(text.substr(colon + 1)).value_or(0);
  }
  const std::string ip = text.substr(0, colon);
  Address address;
  address.type = type;
  sockaddr_in four = {};
  sockaddr_in6 six = {};
  if (port == 0 || port > 65535) {
    return InvalidArgument("address " + Quoted(text));
  }
  if (inet_pton(AF_INET, ip.c_str(), &four.sin_addr) == 1) {
    address.family = four.sin_family = AF_INET;
    four.sin_port = htons(static_cast<uint16_t>(port));
    memcpy(&address.bytes, &four, sizeof(four));
    address.size = sizeof(four);
  } else if (inet_pton(AF_INET6, ip.c_str(), &six.sin6_addr) == 1) {
    address.family = six.sin6_family = AF_INET6;
    six.sin6_port = htons(static_cast<uint16_t>(port));
    memcpy(&address.bytes, &six, sizeof(six));
    address.size = sizeof(six);
  } else {
    return InvalidArgument("address " + Quoted(text));
  }
  return address;
}

StatusOr<Address> AddressOf(const ForwardTarget& target) {
  if (target.kind == ForwardTarget::Kind::kJournal) {
    return UnixAddress(kJournalSocket, SOCK_DGRAM);
  }
  const std::string& text = target.address;
  const size_t colon = text.find(':');
  const std::string kind = text.substr(0, colon);
  const std::string rest =
      colon == std::string::npos ? "" : text.substr(colon + 1);
  if (kind == "unixgram") return UnixAddress(rest, SOCK_DGRAM);
  if (kind == "unix") return UnixAddress(rest, SOCK_STREAM);
  if (kind == "udp") return InternetAddress(rest, SOCK_DGRAM);
  if (kind == "tcp") return InternetAddress(rest, SOCK_STREAM);
  return InvalidArgument("syslog address " + Quoted(text));
}

bool AwaitWriting(int fd, int millis) {
  pollfd polled = {fd, POLLOUT, 0};
  return poll(&polled, 1, millis) == 1 && (polled.revents & POLLOUT) != 0;
}

// By strftime(3), of now.
std::string Now(const char* format) {
  const time_t now = time(nullptr);
  tm parts = {};
  localtime_r(&now, &parts);
  char text[64];
  return std::string(text, strftime(text, sizeof(text), format, &parts));
}

// "2026-01-02T03:04:05Z", or with ".000006" and "+02:00".
std::string Rfc3339Now(bool micro) {
  timespec now = {};
  clock_gettime(CLOCK_REALTIME, &now);
  std::string fraction;
  if (micro) {
    std::string digits = std::to_string(now.tv_nsec / 1000);
    digits.insert(0, digits.size() < 6 ? 6 - digits.size() : 0, '0');
    fraction = "." + digits;
  }
  std::string zone = Now("%z");
  if (zone.size() == 5) zone.insert(3, ":");
  if (zone == "+00:00") zone = "Z";
  return Now("%Y-%m-%dT%H:%M:%S") + fraction + zone;
}

std::string Priority(const ForwardTarget& target, bool error) {
  return "<" +
         std::to_string(target.facility * 8 +
                        (error ? kSeverityError : kSeverityInfo)) +
         ">";
}

int Digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

}  // namespace

StatusOr<std::string> FromHex(std::string_view text) {
  if (text.size() % 2 != 0) return InvalidArgument("not in hexadecimal");
  std::string bytes;
  bytes.reserve(text.size() / 2);
  for (size_t i = 0; i < text.size(); i += 2) {
    const int high = Digit(text[i]);
    const int low = Digit(text[i + 1]);
    if (high < 0 || low < 0) return InvalidArgument("not in hexadecimal");
    bytes += static_cast<char>(high * 16 + low);
  }
  return bytes;
}

StatusOr<ForwardTarget> ParseSyslog(std::string_view text) {
  using Format = ForwardTarget::Format;
  const std::vector<std::string> parts = Split(std::string(text), ':');
  if (parts.size() != 5) return InvalidArgument("not five parts");
  ForwardTarget target;
  target.kind = ForwardTarget::Kind::kSyslog;
  ASSIGN_OR_RETURN(target.address, FromHex(parts[0]));
  ASSIGN_OR_RETURN(target.tag, FromHex(parts[3]));
  ASSIGN_OR_RETURN(target.host, FromHex(parts[4]));
  const std::optional<uint64_t> facility = ParseUint(parts[2]);
  if (!facility || *facility > 23) return InvalidArgument("no facility");
  target.facility = static_cast<uint32_t>(*facility);
  if (parts[1] == "unix") {
    target.format = Format::kUnix;
  } else if (parts[1] == "rfc3164") {
    target.format = Format::kRfc3164;
  } else if (parts[1] == "rfc5424") {
    target.format = Format::kRfc5424;
  } else if (parts[1] == "rfc5424micro") {
    target.format = Format::kRfc5424Micro;
  } else {
    return InvalidArgument("no format");
  }
  RETURN_IF_ERROR(AddressOf(target).status());
  return target;
}

StatusOr<ForwardTarget> ParseJournal(std::string_view text) {
  ForwardTarget target;
  target.kind = ForwardTarget::Kind::kJournal;
  ASSIGN_OR_RETURN(target.fields, FromHex(text));
  return target;
}

std::string SyslogMessage(const ForwardTarget& target, bool error,
                          std::string_view line) {
  using Format = ForwardTarget::Format;
  const std::string pid = std::to_string(getpid());
  const std::string& tag = target.tag;
  std::string head = Priority(target, error);
  switch (target.format) {
    case Format::kUnix:
      head += Now("%b %e %H:%M:%S") + " " + tag + "[" + pid + "]: ";
      break;
    case Format::kRfc3164:
      head += Now("%b %e %H:%M:%S") + " " + target.host + " " + tag + "[" +
              pid + "]: ";
      break;
    case Format::kRfc5424:
    case Format::kRfc5424Micro:
      head += "1 " + Rfc3339Now(target.format == Format::kRfc5424Micro) + " " +
              target.host + " " + tag + " " + pid + " " + tag + " - ";
      break;
  }
  return head.append(line);
}

StatusOr<std::unique_ptr<LogForwarder>> LogForwarder::Open(
    ForwardTarget target) {
  std::unique_ptr<LogForwarder> forwarder(new LogForwarder(std::move(target)));
  RETURN_IF_ERROR(forwarder->Connect());
  return forwarder;
}

namespace {

StatusOr<UniqueFd> Connected(const Address& address, const std::string& what) {
  UniqueFd fd(
      socket(address.family, address.type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return Errno(errno, what);
  int error = 0;
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address.bytes),
              address.size) != 0) {
    error = errno;
  }
  if (error == EINPROGRESS) {
    socklen_t size = sizeof(error);
    if (!AwaitWriting(fd.get(), kConnectMs)) {
      return Unavailable(what + ": no answer");
    }
    if (getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
      return Errno(errno, what);
    }
  }
  if (error != 0) return Errno(error, what);
  return fd;
}

}  // namespace

Status LogForwarder::Connect() {
  const std::string what =
      "connect the log to " + (target_.kind == ForwardTarget::Kind::kJournal
                                   ? kJournalSocket
                                   : target_.address);
  ASSIGN_OR_RETURN_AS(Address address, AddressOf(target_), what);
  StatusOr<UniqueFd> fd = Connected(address, what);
  // A path does not say of which type its socket is.
  if (ErrnoOf(fd.status()) == EPROTOTYPE && address.family == AF_UNIX) {
    address.type = address.type == SOCK_DGRAM ? SOCK_STREAM : SOCK_DGRAM;
    fd = Connected(address, what);
  }
  RETURN_IF_ERROR(fd.status());
  socket_ = *std::move(fd);
  return OkStatus();
}

// Whoever does not answer costs a second, in which the shim does nothing else.
bool LogForwarder::Reconnect() {
  const SteadyTime begin = std::chrono::steady_clock::now();
  if (begin < next_try_) return false;
  const bool connected = Connect().ok();
  const SteadyTime end = std::chrono::steady_clock::now();
  const Duration took = end - begin;
  if (!connected || took > kPatience) {
    next_try_ = end + std::max<Duration>(kRest, 10 * took);
  }
  return connected;
}

bool LogForwarder::AwaitRoom() {
  const SteadyTime begin = std::chrono::steady_clock::now();
  if (begin - window_ >= kWindow) {
    window_ = begin;
    waited_ = Duration(0);
  }
  if (waited_ >= kPatience) return false;
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(kPatience - waited_);
  const bool room = AwaitWriting(socket_.get(), static_cast<int>(left.count()));
  waited_ += std::chrono::steady_clock::now() - begin;
  return room;
}

// False: the connection is of no use any more.
bool LogForwarder::SendOnce(std::string_view message) {
  bool began = false;
  while (!message.empty()) {
    const ssize_t n =
        TEMP_FAILURE_RETRY(send(socket_.get(), message.data(), message.size(),
                                MSG_NOSIGNAL | MSG_DONTWAIT));
    if (n >= 0) {
      began = true;
      message.remove_prefix(static_cast<size_t>(n));
      continue;
    }
    if (errno != EAGAIN && errno != ENOBUFS) return false;
    if (!stuck_ && AwaitRoom()) continue;
    stuck_ = true;
    ++dropped_;
    // Half a message would spoil the next one.
    return !began;
  }
  stuck_ = false;
  return true;
}

void LogForwarder::Send(bool error, std::string_view line, bool whole,
                        const std::string& time) {
  std::string message;
  if (target_.kind == ForwardTarget::Kind::kJournal) {
    message = target_.fields + "PRIORITY=" + (error ? "3" : "6") +
              "\nSYSLOG_TIMESTAMP=" + time + "\n";
    if (!whole) message += "CONTAINER_PARTIAL_MESSAGE=true\n";
    message += "MESSAGE=";
    message += line;
  } else {
    message = SyslogMessage(target_, error, line);
  }
  message += '\n';
  for (int i = 0; i < 2; ++i) {
    if (!socket_.valid() && !Reconnect()) break;
    if (SendOnce(message)) return;
    socket_.reset();
  }
  ++dropped_;
}

}  // namespace berth::shim
