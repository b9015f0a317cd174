#include "shim/names/forward.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <chrono>
#include <cstring>

namespace berth::shim {
namespace {

// Three servers within the five seconds that a client waits.
constexpr Duration kServerTime = std::chrono::milliseconds(1500);
constexpr size_t kMaxMessage = 65535;
constexpr uint16_t kPort = 53;
constexpr uint8_t kServerFailure = 2;
constexpr uint8_t kRefused = 5;

socklen_t AddressOf(const std::string& server, sockaddr_storage& address) {
  address = {};
  auto& v4 = reinterpret_cast<sockaddr_in&>(address);
  auto& v6 = reinterpret_cast<sockaddr_in6&>(address);
  if (inet_pton(AF_INET, server.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(kPort);
    return sizeof(v4);
  }
  if (inet_pton(AF_INET6, server.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(kPort);
    return sizeof(v6);
  }
  return 0;
}

}  // namespace

void Forward::Start() {
  // From the loop, so that `done` is not called by its maker.
  timer_ = loop_.After(Duration(0), [this] {
    timer_ = 0;
    Next();
  });
}

void Forward::Close() {
  loop_.CancelTimer(timer_);
  timer_ = 0;
  if (socket_.valid()) loop_.Remove(socket_.get());
  socket_.reset();
}

void Forward::Next() {
  Close();
  while (next_ < servers_.size()) {
    if (!Ask(servers_[next_++])) continue;
    timer_ = loop_.After(kServerTime, [this] {
      timer_ = 0;
      Next();
    });
    return;
  }
  Finish();
}

bool Forward::Ask(const std::string& server) {
  sockaddr_storage address;
  const socklen_t size = AddressOf(server, address);
  if (size == 0) return false;
  socket_.reset(socket(
      address.ss_family,
      (tcp_ ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket_.valid()) return false;
  // Connected: the kernel lets nobody else answer.
  if (connect(socket_.get(), reinterpret_cast<sockaddr*>(&address), size) !=
          0 &&
      errno != EINPROGRESS) {
    socket_.reset();
    return false;
  }
  if (getrandom(&sent_id_, sizeof(sent_id_), 0) != sizeof(sent_id_)) {
    sent_id_ = query_.id;
  }
  to_send_ = message_;
  SetDnsId(sent_id_, to_send_);
  if (tcp_) {
    const auto length = static_cast<uint16_t>(to_send_.size());
    to_send_.insert(
        0, {static_cast<char>(length >> 8), static_cast<char>(length & 0xff)});
  }
  received_.clear();
  if (loop_
          .Add(socket_.get(), EPOLLIN | EPOLLOUT,
               [this](uint32_t events) { Handle(events); })
          .ok()) {
    return true;
  }
  socket_.reset();
  return false;
}

void Forward::Handle(uint32_t events) {
  if (!to_send_.empty() && (events & EPOLLOUT) != 0 && !Send()) return Next();
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) Receive();
}

bool Forward::Send() {
  const ssize_t n =
      send(socket_.get(), to_send_.data(), to_send_.size(), MSG_NOSIGNAL);
  if (n < 0) return errno == EAGAIN || errno == EINTR;
  to_send_.erase(0, static_cast<size_t>(n));
  if (!to_send_.empty()) return true;
  return loop_.Modify(socket_.get(), EPOLLIN).ok();
}

void Forward::Receive() {
  static char bytes[kMaxMessage];  // of the one thread
  const ssize_t n = recv(socket_.get(), bytes, sizeof(bytes), 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n < 0 || (tcp_ && n == 0)) return Next();
  if (!tcp_) return Take(std::string(bytes, static_cast<size_t>(n)));
  received_.append(bytes, static_cast<size_t>(n));
  if (received_.size() < 2) return;
  const size_t length =
      static_cast<size_t>(static_cast<uint8_t>(received_[0]) << 8 |
                          static_cast<uint8_t>(received_[1]));
  if (received_.size() < 2 + length) return;
  Take(received_.substr(2, length));
}

void Forward::Take(std::string answer) {
  // Not an answer to this: the right one may still come.
  if (DnsId(answer) != sent_id_ || !AnswersDnsQuery(answer, message_, query_)) {
    if (tcp_) Next();
    return;
  }
  SetDnsId(query_.id, answer);
  const uint8_t code = DnsCodeOf(answer);
  best_ = std::move(answer);
  if (code == kServerFailure || code == kRefused) return Next();
  Finish();
}

void Forward::Finish() {
  Close();
  std::string answer = std::move(best_);
  if (answer.empty()) {
    answer = DnsAnswer(message_, query_, DnsCode::kFailure, {}, kMaxMessage);
  }
  done_(std::move(answer));
}

}  // namespace berth::shim
