#include "door/http/tcp_front.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

namespace berth::door {
namespace {

// As it is now. A connection with TLS has three descriptors here, and the
// server's own.
size_t MostConnections(size_t most) {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return most;
  return std::clamp<size_t>(limit.rlim_cur / 16, 1, most);
}

void SetUp(int socket) {
  const int on = 1;
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  // Finds out about a machine that is gone.
  setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
}

}  // namespace

StatusOr<std::unique_ptr<TcpFront>> TcpFront::Start(
    Listener listener, std::unique_ptr<TlsReloader> tls,
    TcpFrontOptions options, Take take) {
  std::unique_ptr<TcpFront> front(new TcpFront(
      std::move(listener), std::move(tls), options, std::move(take)));
  RETURN_IF_ERROR(front->Watch());
  ASSIGN_OR_RETURN(front->thread_,
                   StartThread("http-tcp", [self = front.get()] {
                     (void)self->loop_->Run();
                   }));
  return front;
}

TcpFront::TcpFront(Listener listener, std::unique_ptr<TlsReloader> tls,
                   TcpFrontOptions options, Take take)
    : listener_(std::move(listener)),
      tls_(std::move(tls)),
      options_(options),
      take_(std::move(take)),
      root_(Context::Background("tcp").WithCancel()) {}

TcpFront::~TcpFront() { Stop(); }

void TcpFront::Stop() {
  root_.Cancel();
  thread_.Join();
  listener_.Close();
  relays_.clear();
}

Status TcpFront::Watch() {
  ASSIGN_OR_RETURN(loop_, EventLoop::Create());
  RETURN_IF_ERROR(loop_->Add(root_.cancel_fd(), EPOLLIN,
                             [this](uint32_t) { loop_->Stop(); }));
  return loop_->Add(listener_.fd(), EPOLLIN, [this](uint32_t) { Accept(); });
}

void TcpFront::Accept() {
  const Status accepted =
      listener_.Accept([this](UniqueFd socket) { Begin(std::move(socket)); },
                       [this] { return CloseHandshaking(); });
  if (accepted.ok()) return;
  (void)loop_->Modify(listener_.fd(), 0);
  loop_->After(Listener::kPause,
               [this] { (void)loop_->Modify(listener_.fd(), EPOLLIN); });
}

void TcpFront::Begin(UniqueFd socket) {
  SetUp(socket.get());
  if (tls_ == nullptr) return take_(std::move(socket));
  const size_t most = MostConnections(options_.max_connections);
  if (relays_.size() >= most && !CloseHandshaking()) return;
  const uint64_t id = next_id_++;
  auto relay = std::make_unique<TlsRelay>(
      *loop_, *tls_->Current(), std::move(socket), options_.write_patience,
      take_, [this, id] { relays_.erase(id); });
  if (!relay->Start().ok()) return;
  relays_.emplace(id, std::move(relay));
  loop_->After(options_.handshake_limit, [this, id] {
    const auto found = relays_.find(id);
    if (found != relays_.end() && found->second->handshaking()) {
      relays_.erase(found);
    }
  });
}

bool TcpFront::CloseHandshaking() {
  const auto oldest =
      std::find_if(relays_.begin(), relays_.end(),
                   [](const auto& one) { return one.second->handshaking(); });
  if (oldest == relays_.end()) return false;
  relays_.erase(oldest);
  return true;
}

}  // namespace berth::door
