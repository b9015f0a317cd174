#include "door/grpc/acceptor.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/sys/socket.h"

namespace berth::door {
namespace {

constexpr std::string_view kMagic = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
constexpr size_t kFrameHead = 9;
constexpr char kSettings = 4;
// Far above what clients have to set.
constexpr size_t kMaxSettings = 1024;

enum class Preface { kComing, kWhole, kWrong };

// RFC 9113, section 3.4: the magic words, then a SETTINGS frame.
Preface PrefaceIn(std::string_view bytes) {
  const size_t compared = std::min(bytes.size(), kMagic.size());
  if (bytes.substr(0, compared) != kMagic.substr(0, compared)) {
    return Preface::kWrong;
  }
  if (bytes.size() < kMagic.size() + kFrameHead) return Preface::kComing;
  const std::string_view head = bytes.substr(kMagic.size());
  size_t length = 0;
  for (int i = 0; i < 3; ++i) {
    length = length << 8 | static_cast<unsigned char>(head[i]);
  }
  if (head[3] != kSettings || length > kMaxSettings) return Preface::kWrong;
  return head.size() < kFrameHead + length ? Preface::kComing : Preface::kWhole;
}

// As it is now. A connection of the server has two descriptors.
AcceptorOptions WithinDescriptorLimit(AcceptorOptions options) {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return options;
  options.max_waiting =
      std::clamp<size_t>(limit.rlim_cur / 16, 1, options.max_waiting);
  options.max_connections =
      std::clamp<size_t>(limit.rlim_cur / 8, 1, options.max_connections);
  return options;
}

}  // namespace

StatusOr<std::unique_ptr<Acceptor>> Acceptor::Start(Listener listener,
                                                    AcceptorOptions options,
                                                    Take take) {
  std::unique_ptr<Acceptor> acceptor(
      new Acceptor(std::move(listener), options, std::move(take)));
  RETURN_IF_ERROR(acceptor->Watch());
  ASSIGN_OR_RETURN(acceptor->thread_,
                   StartThread("grpc-accept", [self = acceptor.get()] {
                     (void)self->loop_->Run();
                   }));
  return acceptor;
}

Acceptor::Acceptor(Listener listener, AcceptorOptions options, Take take)
    : listener_(std::move(listener)),
      options_(options),
      take_(std::move(take)),
      root_(Context::Background("accept").WithCancel()) {}

Acceptor::~Acceptor() { Stop(); }

void Acceptor::Stop() {
  root_.Cancel();
  thread_.Join();
  listener_.Close();
  connections_.clear();
}

Status Acceptor::Watch() {
  ASSIGN_OR_RETURN(loop_, EventLoop::Create());
  RETURN_IF_ERROR(loop_->Add(root_.cancel_fd(), EPOLLIN,
                             [this](uint32_t) { loop_->Stop(); }));
  return loop_->Add(listener_.fd(), EPOLLIN, [this](uint32_t) { Accept(); });
}

void Acceptor::Accept() {
  const Status accepted =
      listener_.Accept([this](UniqueFd socket) { Receive(std::move(socket)); },
                       [this] { return CloseOfTheGreatest(); });
  if (accepted.ok()) return;
  (void)loop_->Modify(listener_.fd(), 0);
  loop_->After(Listener::kPause,
               [this] { (void)loop_->Modify(listener_.fd(), EPOLLIN); });
}

void Acceptor::Receive(UniqueFd socket) {
  const StatusOr<PeerCredentials> peer = GetPeerCredentials(socket.get());
  const uint64_t id = next_id_++;
  // Edge-triggered: it stays readable while the preface is incomplete.
  if (!loop_
           ->Add(socket.get(), EPOLLIN | EPOLLET,
                 [this, id](uint32_t) { Look(id); })
           .ok()) {
    return;
  }
  Connection& connection = connections_[id];
  connection.socket = std::move(socket);
  connection.process = peer.ok() ? peer->pid : 0;
  connection.limit =
      loop_->After(options_.handshake_limit, [this, id] { Close(id); });
  const size_t waiting = connections_.size() - begun_;
  if (waiting > WithinDescriptorLimit(options_).max_waiting) CloseWaiting();
}

void Acceptor::Look(uint64_t id) {
  char bytes[kMagic.size() + kFrameHead + kMaxSettings];
  const ssize_t n =
      TEMP_FAILURE_RETRY(recv(connections_[id].socket.get(), bytes,
                              sizeof(bytes), MSG_PEEK | MSG_DONTWAIT));
  if (n < 0 && errno == EAGAIN) return;
  if (n <= 0) return Close(id);
  switch (PrefaceIn({bytes, static_cast<size_t>(n)})) {
    case Preface::kComing:
      return;
    case Preface::kWhole:
      return HandOver(id);
    case Preface::kWrong:
      return Close(id);
  }
}

void Acceptor::HandOver(uint64_t id) {
  const size_t most = WithinDescriptorLimit(options_).max_connections;
  if (begun_ >= most && !CloseOfTheGreatest()) return Close(id);
  Connection& connection = connections_[id];
  const int socket = connection.socket.get();
  UniqueFd copy(fcntl(socket, F_DUPFD_CLOEXEC, 0));
  while (!copy.valid() && CloseOfTheGreatest()) {
    copy.reset(fcntl(socket, F_DUPFD_CLOEXEC, 0));
  }
  // Whoever closes its descriptor shuts the socket down before, so that the
  // copy learns of it: EPOLLHUP comes unasked.
  if (!copy.valid() ||
      !loop_->Add(copy.get(), 0, [this, id](uint32_t) { Close(id); }).ok()) {
    return Close(id);
  }
  loop_->CancelTimer(connection.limit);
  loop_->Remove(socket);
  connection.begun = true;
  ++begun_;
  take_(std::exchange(connection.socket, std::move(copy)));
}

void Acceptor::Close(uint64_t id) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  Connection& connection = found->second;
  loop_->CancelTimer(connection.limit);
  loop_->Remove(connection.socket.get());
  if (connection.begun) {
    // The server still has its own descriptor.
    shutdown(connection.socket.get(), SHUT_RDWR);
    --begun_;
  }
  connections_.erase(found);
}

void Acceptor::CloseWaiting() {
  const auto oldest =
      std::find_if(connections_.begin(), connections_.end(),
                   [](const auto& one) { return !one.second.begun; });
  if (oldest != connections_.end()) Close(oldest->first);
}

// False if no process has more than its share.
bool Acceptor::CloseOfTheGreatest() {
  std::map<pid_t, size_t> counts;
  for (const auto& [id, connection] : connections_) {
    if (connection.begun) ++counts[connection.process];
  }
  const auto greatest = std::max_element(
      counts.begin(), counts.end(),
      [](const auto& a, const auto& b) { return a.second < b.second; });
  if (greatest == counts.end() || greatest->second <= options_.share) {
    return false;
  }
  const auto oldest = std::find_if(
      connections_.begin(), connections_.end(), [&](const auto& one) {
        return one.second.begun && one.second.process == greatest->first;
      });
  Close(oldest->first);
  return true;
}

}  // namespace berth::door
