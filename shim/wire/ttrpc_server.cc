#include "shim/wire/ttrpc_server.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "base/sys/socket.h"

namespace berth::shim {
namespace {

// A peer that asks much and reads no answer is not served beyond these.
constexpr size_t kMaxQueued = 8u << 20;
constexpr size_t kMaxPending = 4096;

}  // namespace

// One peer. Owned by the server; responders hold weak references.
class TtrpcConnection : public std::enable_shared_from_this<TtrpcConnection> {
 public:
  TtrpcConnection(TtrpcServer& server, UniqueFd socket)
      : server_(server), socket_(std::move(socket)) {}
  ~TtrpcConnection() {
    for (const auto& [stream, timer] : pending_) {
      server_.loop_.CancelTimer(timer);
    }
    server_.loop_.Remove(socket_.get());
  }

  Status Watch() {
    return server_.loop_.Add(socket_.get(), EPOLLIN, [this](uint32_t events) {
      const auto self = shared_from_this();  // survives its own removal
      if ((events & EPOLLOUT) != 0) Write();
      if ((events & ~static_cast<uint32_t>(EPOLLOUT)) != 0) Read();
    });
  }

  bool IsPending(uint32_t stream) const { return pending_.count(stream) != 0; }

  void Answer(uint32_t stream, const StatusOr<std::string>& payload) {
    const auto call = pending_.find(stream);
    if (call == pending_.end()) return;
    server_.loop_.CancelTimer(call->second);
    pending_.erase(call);
    Queue(EncodeResponse(stream, payload));
  }

  void Write() {
    size_t sent = 0;
    while (sent < output_.size()) {
      const ssize_t n = send(socket_.get(), output_.data() + sent,
                             output_.size() - sent, MSG_NOSIGNAL);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) break;  // a lost peer is noticed by Read
      sent += static_cast<size_t>(n);
    }
    output_.erase(0, sent);
    if (output_.empty() && output_.capacity() > 4096) {
      std::string().swap(output_);
    }
    const bool waits = !output_.empty();
    if (waits == waits_to_write_) return;
    waits_to_write_ = waits;
    server_.loop_.Modify(socket_.get(), waits ? EPOLLIN | EPOLLOUT : EPOLLIN)
        .IgnoreError();
  }

 private:
  void Queue(const std::string& frame) {
    if (output_.size() + frame.size() > kMaxQueued) return Drop();
    output_ += frame;
    Write();
  }

  void Drop() { server_.Drop(socket_.get()); }

  void Read() {
    char bytes[4096];
    const ssize_t n = recv(socket_.get(), bytes, sizeof(bytes), 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) return Drop();
    parser_.Feed({bytes, static_cast<size_t>(n)});
    while (std::optional<Frame> frame = parser_.Next()) {
      if (frame->type == kRequestFrame) Receive(*frame);
    }
  }

  void Receive(const Frame& frame) {
    if (frame.stream % 2 == 0 || frame.stream <= last_stream_) {
      return Queue(EncodeResponse(
          frame.stream,
          InvalidArgument("stream id " + std::to_string(frame.stream) +
                          " is even or was used before")));
    }
    last_stream_ = frame.stream;
    if (pending_.size() >= kMaxPending) {
      return Queue(EncodeResponse(frame.stream,
                                  ResourceExhausted("too many calls at once")));
    }
    pending_[frame.stream] = 0;
    const Responder responder(weak_from_this(), frame.stream);
    if (frame.oversized) {
      return responder.Fail(ResourceExhausted("the message is longer than " +
                                              std::to_string(kMaxFrameData) +
                                              " bytes"));
    }
    ttrpc::Request request;
    if (frame.flags != 0 || !request.ParseFromString(frame.data)) {
      return responder.Fail(InvalidArgument("not a unary ttrpc request"));
    }
    if (request.timeout_nano() > 0) {
      pending_[frame.stream] =
          server_.loop_.After(Duration(request.timeout_nano()), [responder] {
            responder.Fail(DeadlineExceeded("the caller's time is over"));
          });
    }
    server_.Dispatch(request, responder);
  }

  TtrpcServer& server_;
  const UniqueFd socket_;
  FrameParser parser_;
  std::string output_;
  bool waits_to_write_ = false;
  uint32_t last_stream_ = 0;
  std::map<uint32_t, EventLoop::TimerId> pending_;  // unanswered; 0: no timer
};

bool Responder::alive() const {
  const auto connection = connection_.lock();
  return connection != nullptr && connection->IsPending(stream_);
}

void Responder::Answer(const StatusOr<std::string>& payload) const {
  if (const auto connection = connection_.lock()) {
    connection->Answer(stream_, payload);
  }
}

TtrpcServer::TtrpcServer(EventLoop& loop, UniqueFd listener)
    : loop_(loop), listener_(std::move(listener)) {}

TtrpcServer::~TtrpcServer() {
  StopListening();
  connections_.clear();
}

void TtrpcServer::Add(const std::string& name, Service service) {
  services_[name] = std::move(service);
}

Status TtrpcServer::Listen() {
  RETURN_IF_ERROR(SetNonBlocking(listener_.get()));
  return loop_.Add(listener_.get(), EPOLLIN, [this](uint32_t) { Accept(); });
}

void TtrpcServer::StopListening() {
  loop_.Remove(listener_.get());
  listener_.reset();
}

void TtrpcServer::Flush() {
  for (const auto& [fd, connection] : connections_) connection->Write();
}

void TtrpcServer::Accept() {
  StatusOr<UniqueFd> socket = AcceptUnix(listener_.get());
  if (!socket.ok()) return;
  const StatusOr<PeerCredentials> peer = GetPeerCredentials(socket->get());
  if (!peer.ok() || peer->uid != geteuid()) return;
  const int fd = socket->get();
  auto connection =
      std::make_shared<TtrpcConnection>(*this, *std::move(socket));
  if (!connection->Watch().ok()) return;
  connections_[fd] = std::move(connection);
}

void TtrpcServer::Drop(int fd) {
  const auto found = connections_.find(fd);
  if (found == connections_.end()) return;
  // Its own frames may be on the stack: it goes at the end of the turn.
  loop_.Remove(fd);
  loop_.Defer([connection = std::move(found->second)] {});
  connections_.erase(found);
}

void TtrpcServer::Dispatch(const ttrpc::Request& request,
                           const Responder& responder) {
  const auto service = services_.find(request.service());
  if (service == services_.end()) {
    return responder.Fail(
        Unimplemented("unknown service " + request.service()));
  }
  TtrpcCall call;
  call.service = request.service();
  call.method = request.method();
  call.payload = request.payload();
  call.timeout = Duration(std::max<int64_t>(request.timeout_nano(), 0));
  service->second(call, responder);
}

}  // namespace berth::shim
