#include "base/testing/scripted_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <mutex>

#include "base/status.h"
#include "base/thread.h"
#include "base/unique_fd.h"

namespace berth {

struct ScriptedServer::State {
  Handler handler;
  UniqueFd listener;
  UniqueFd stop;
  Thread accepter;
  mutable std::mutex mutex;
  std::vector<std::string> requests;
  std::vector<Thread> workers;
  size_t piece = SIZE_MAX;
  std::chrono::milliseconds pause{0};

  void Accept();
  void Serve(UniqueFd connection);
  std::string ReadRequest(int fd) const;
  // False when the server is to end.
  bool WaitReadable(int fd) const;
  // False when the server is to end.
  bool Pause(std::chrono::milliseconds time) const;
  void Send(int fd, const std::string& reply) const;
};

bool ScriptedServer::State::Pause(std::chrono::milliseconds time) const {
  pollfd fds[] = {{stop.get(), POLLIN, 0}};
  return poll(fds, 1, static_cast<int>(time.count())) == 0;
}

void ScriptedServer::State::Send(int fd, const std::string& reply) const {
  for (size_t at = 0; at < reply.size();) {
    size_t most = 0;
    std::chrono::milliseconds wait{0};
    {
      std::lock_guard<std::mutex> lock(mutex);
      most = std::min(piece, reply.size() - at);
      wait = most == 0 ? std::chrono::milliseconds(5) : pause;
    }
    const ssize_t n = send(fd, reply.data() + at, most, MSG_NOSIGNAL);
    if (n < 0) return;
    at += static_cast<size_t>(n);
    if (wait.count() > 0 && !Pause(wait)) return;
  }
}

bool ScriptedServer::State::WaitReadable(int fd) const {
  pollfd fds[] = {{fd, POLLIN, 0}, {stop.get(), POLLIN, 0}};
  poll(fds, 2, 30'000);
  return (fds[1].revents & POLLIN) == 0 && fds[0].revents != 0;
}

void ScriptedServer::State::Accept() {
  while (WaitReadable(listener.get())) {
    UniqueFd connection(
        accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!connection.valid()) continue;
    const auto shared = std::make_shared<UniqueFd>(std::move(connection));
    StatusOr<Thread> worker =
        StartThread("scripted", [this, shared] { Serve(std::move(*shared)); });
    if (!worker.ok()) abort();
    std::lock_guard<std::mutex> lock(mutex);
    workers.push_back(*std::move(worker));
  }
}

std::string ScriptedServer::State::ReadRequest(int fd) const {
  std::string text;
  size_t want = std::string::npos;
  char buffer[65536];
  while (want == std::string::npos || text.size() < want) {
    if (!WaitReadable(fd)) return "";
    const ssize_t n = read(fd, buffer, sizeof(buffer));
    if (n <= 0) return "";
    text.append(buffer, static_cast<size_t>(n));
    const size_t end = text.find("\r\n\r\n");
    if (end == std::string::npos) continue;
    const std::string length = RequestHeader(text, "Content-Length");
    want = end + 4 + static_cast<size_t>(atoll(length.c_str()));
  }
  return text;
}

void ScriptedServer::State::Serve(UniqueFd connection) {
  const std::string request = ReadRequest(connection.get());
  if (request.empty()) return;
  {
    std::lock_guard<std::mutex> lock(mutex);
    requests.push_back(request);
  }
  Send(connection.get(), handler(request));
}

void ScriptedServer::Pace(size_t bytes, std::chrono::milliseconds pause) {
  std::lock_guard<std::mutex> lock(state_->mutex);
  state_->piece = bytes;
  state_->pause = pause;
}

ScriptedServer::ScriptedServer(Handler handler)
    : state_(std::make_unique<State>()) {
  state_->handler = std::move(handler);
  state_->stop = UniqueFd(eventfd(0, EFD_CLOEXEC));
  state_->listener = UniqueFd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(state_->listener.get(), generic, size) != 0 ||
      listen(state_->listener.get(), 64) != 0 ||
      getsockname(state_->listener.get(), generic, &size) != 0) {
    abort();
  }
  port_ = ntohs(address.sin_port);
  StatusOr<Thread> accepter =
      StartThread("scripted", [state = state_.get()] { state->Accept(); });
  if (!accepter.ok()) abort();
  state_->accepter = *std::move(accepter);
}

ScriptedServer::~ScriptedServer() {
  const uint64_t one = 1;
  if (write(state_->stop.get(), &one, sizeof(one)) != sizeof(one)) abort();
  state_->accepter.Join();
  for (Thread& worker : state_->workers) worker.Join();
}

std::string ScriptedServer::address() const {
  return "127.0.0.1:" + std::to_string(port_);
}

std::string ScriptedServer::Url(const std::string& path) const {
  return "http://" + address() + path;
}

std::vector<std::string> ScriptedServer::requests() const {
  std::lock_guard<std::mutex> lock(state_->mutex);
  return state_->requests;
}

std::string HttpReply(int status, const std::string& body,
                      const std::vector<std::string>& headers) {
  std::string text = "HTTP/1.1 " + std::to_string(status) + " X\r\n";
  for (const std::string& header : headers) text += header + "\r\n";
  return text + "Content-Length: " + std::to_string(body.size()) +
         "\r\nConnection: close\r\n\r\n" + body;
}

std::string RequestHeader(const std::string& request, const std::string& name) {
  size_t at = request.find("\r\n");
  while (at != std::string::npos) {
    at += 2;
    const size_t end = request.find("\r\n", at);
    if (end == std::string::npos || end == at) break;
    if (strncasecmp(request.c_str() + at, name.c_str(), name.size()) == 0 &&
        request[at + name.size()] == ':') {
      size_t value = at + name.size() + 1;
      while (value < end && request[value] == ' ') ++value;
      return request.substr(value, end - value);
    }
    at = end;
  }
  return "";
}

}  // namespace berth
