#include "oci/systemd/dbus_connection.h"

#include <poll.h>
#include <sys/socket.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

#include "base/strings.h"
#include "base/sys/socket.h"

namespace berth::oci {
namespace {

constexpr size_t kMaxAnswer = 4096;  // of the peer to our authentication

int MillisecondsUntil(SteadyTime deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(
      deadline - std::chrono::steady_clock::now());
  return static_cast<int>(std::clamp<int64_t>(left.count(), 0, 60'000));
}

void Pause() {
  const timespec moment = {.tv_sec = 0, .tv_nsec = 10'000'000};
  nanosleep(&moment, nullptr);
}

}  // namespace

StatusOr<DbusConnection> DbusConnection::Open(const std::string& socket,
                                              SteadyTime deadline) {
  StatusOr<UniqueFd> fd = ConnectUnix(socket);
  // Its queue is full: whoever has to accept is busy, or hangs.
  while (ErrnoOf(fd.status()) == EAGAIN && MillisecondsUntil(deadline) > 0) {
    Pause();
    fd = ConnectUnix(socket);
  }
  if (ErrnoOf(fd.status()) == EAGAIN) {
    return DeadlineExceeded("connect to " + Quoted(socket) +
                            ": nobody accepts");
  }
  RETURN_IF_ERROR(fd.status());
  DbusConnection connection(*std::move(fd));
  RETURN_IF_ERROR_AS(connection.Authenticate(deadline), Quoted(socket));
  return connection;
}

Status DbusConnection::Await(short events, SteadyTime deadline) const {
  pollfd waiting = {.fd = fd_.get(), .events = events, .revents = 0};
  for (;;) {
    const int left = MillisecondsUntil(deadline);
    const int ready = poll(&waiting, 1, left);
    if (ready > 0) return OkStatus();
    if (ready < 0 && errno != EINTR) return Errno(errno, "poll");
    if (ready == 0 && left == 0) return DeadlineExceeded("no answer in time");
  }
}

Status DbusConnection::Write(std::string_view bytes, SteadyTime deadline) {
  while (!bytes.empty()) {
    const ssize_t sent = send(fd_.get(), bytes.data(), bytes.size(),
                              MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0) {
      bytes.remove_prefix(static_cast<size_t>(sent));
    } else if (errno == EAGAIN) {
      RETURN_IF_ERROR(Await(POLLOUT, deadline));
    } else if (errno != EINTR) {
      return Errno(errno, "send");
    }
  }
  return OkStatus();
}

Status DbusConnection::ReadMore(SteadyTime deadline) {
  char buffer[4096];
  for (;;) {
    RETURN_IF_ERROR(Await(POLLIN, deadline));
    const ssize_t size = recv(fd_.get(), buffer, sizeof(buffer), MSG_DONTWAIT);
    if (size > 0) {
      received_.append(buffer, static_cast<size_t>(size));
      return OkStatus();
    }
    if (size == 0) return Unavailable("the connection was closed");
    if (errno != EAGAIN && errno != EINTR) return Errno(errno, "receive");
  }
}

// The kernel tells the peer who we are; we name no user, since in a user
// namespace our number of it is another than the peer's. All lines at once, as
// sd-bus sends them; the answers are "DATA" and "OK <guid>".
Status DbusConnection::Authenticate(SteadyTime deadline) {
  constexpr char kLines[] = "\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n";
  RETURN_IF_ERROR_AS(Write({kLines, sizeof(kLines) - 1}, deadline),
                     "authenticate");
  for (;;) {
    const size_t end = received_.find("\r\n");
    if (end == std::string::npos) {
      if (received_.size() > kMaxAnswer) {
        return DataLoss("authenticate: this is not D-Bus");
      }
      RETURN_IF_ERROR_AS(ReadMore(deadline), "authenticate");
      continue;
    }
    const std::string line = received_.substr(0, end);
    received_.erase(0, end + 2);
    if (StartsWith(line, "OK ")) return OkStatus();
    if (line != "DATA") {
      return FailedPrecondition("authenticate: refused with " + Quoted(line));
    }
  }
}

StatusOr<uint32_t> DbusConnection::Send(const DbusCall& call,
                                        SteadyTime deadline) {
  ASSIGN_OR_RETURN(const std::string bytes,
                   SerializeCall(call, ++last_serial_));
  RETURN_IF_ERROR(Write(bytes, deadline));
  return last_serial_;
}

StatusOr<DbusMessage> DbusConnection::Receive(SteadyTime deadline) {
  for (;;) {
    ASSIGN_OR_RETURN(const size_t size, DbusMessageSize(received_));
    if (size > 0 && received_.size() >= size) {
      auto message =
          ParseDbusMessage(std::string_view(received_).substr(0, size));
      received_.erase(0, size);
      return message;
    }
    RETURN_IF_ERROR(ReadMore(deadline));
  }
}

}  // namespace berth::oci
