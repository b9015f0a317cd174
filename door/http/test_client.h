#ifndef DOOR_HTTP_TEST_CLIENT_H_
#define DOOR_HTTP_TEST_CLIENT_H_

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "base/unique_fd.h"

namespace berth::door {

// One connection to a server under test, byte by byte; gives up after ten
// seconds without an answer. Thread-compatible.
class Client {
 public:
  explicit Client(const std::string& path)
      : socket_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
    const timeval limit = {10, 0};
    setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    EXPECT_EQ(connect(socket_.get(), reinterpret_cast<sockaddr*>(&address),
                      sizeof(address)),
              0);
  }
  void Send(const std::string& bytes) {
    EXPECT_EQ(send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  // As much as the server takes; false if it has closed.
  bool SendAll(const std::string& bytes) {
    for (size_t at = 0; at < bytes.size();) {
      const ssize_t n = send(socket_.get(), bytes.data() + at,
                             bytes.size() - at, MSG_NOSIGNAL);
      if (n <= 0) return false;
      at += static_cast<size_t>(n);
    }
    return true;
  }
  // Whether something comes within ten seconds; it is not read.
  bool AwaitSomething() {
    pollfd polled = {socket_.get(), POLLIN, 0};
    return poll(&polled, 1, 10'000) == 1;
  }
  // What one call to recv(2) gives.
  std::string ReceiveOnce() {
    std::string bytes(1 << 16, '\0');
    const ssize_t n = recv(socket_.get(), bytes.data(), bytes.size(), 0);
    bytes.resize(n < 0 ? 0 : static_cast<size_t>(n));
    return bytes;
  }
  // Whether the server has closed, or closes within the ten seconds.
  bool Closed() {
    char byte;
    const ssize_t n = recv(socket_.get(), &byte, 1, 0);
    return n == 0 || (n < 0 && errno == ECONNRESET);
  }
  void CloseWrite() { shutdown(socket_.get(), SHUT_WR); }
  void Close() { socket_.reset(); }
  // Until `end` has come, or the connection ended.
  std::string ReceiveUntil(const std::string& end) {
    std::string all;
    char buffer[4096];
    while (end.empty() || all.find(end) == std::string::npos) {
      const ssize_t n = recv(socket_.get(), buffer, sizeof(buffer), 0);
      if (n <= 0) break;
      all.append(buffer, static_cast<size_t>(n));
    }
    return all;
  }
  std::string ReceiveAll() { return ReceiveUntil(""); }

 private:
  UniqueFd socket_;
};

}  // namespace berth::door

#endif  // DOOR_HTTP_TEST_CLIENT_H_
