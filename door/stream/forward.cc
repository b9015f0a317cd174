#include "door/stream/forward.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "door/stream/port_connection.h"

namespace berth::door {
namespace {

constexpr size_t kPiece = 32 << 10;
// Held for a server that does not read.
constexpr size_t kMaxUnsent = 256 << 10;

class Forwarding {
 public:
  Forwarding(const Context& ctx, ForwardChannel& client,
             const MakeSocket& make_socket, const ForwardOptions& options)
      : ctx_(ctx),
        client_(client),
        make_socket_(make_socket),
        options_(options) {}

  Status Run() {
    idle_at_ = Now() + options_.idle_limit;
    Apply(client_.Begin());
    while (!client_.Done() || client_.client().HasUnsent()) {
      Watch();
      const bool pending = Reads() && client_.client().HasPending();
      const int n =
          poll(polled_.data(), polled_.size(), pending ? 0 : MillisToWait());
      if (n < 0 && errno != EINTR) return Errno(errno, "poll connections");
      RETURN_IF_ERROR(ctx_.Check());
      if (n > 0 || pending) {
        idle_at_ = Now() + options_.idle_limit;
      } else if (Now() >= idle_at_) {
        return DeadlineExceeded("nothing was forwarded for long");
      }
      // What connections do is for the numbers that Watch gave them.
      for (size_t i = kFirst; i < polled_.size(); ++i) {
        if (polled_[i].revents != 0) Serve(watched_[i - kFirst]);
      }
      RETURN_IF_ERROR(ServeClient(pending));
      DropLate();
    }
    return OkStatus();
  }

 private:
  using Connections = std::map<uint32_t, std::unique_ptr<PortConnection>>;
  enum { kClient, kEnd, kFirst };

  static SteadyTime Now() { return std::chrono::steady_clock::now(); }

  // Whether the client is read: what it sends must have somewhere to go.
  bool Reads() const { return !stuck_ && !client_.client().IsFull(); }

  void Watch() {
    polled_.assign(kFirst, {});
    watched_.clear();
    stuck_ = false;
    may_be_late_ = client_.HasHalfOpen();
    const bool room = !client_.client().HasUnsent();
    for (const auto& [id, connection] : connections_) {
      stuck_ = stuck_ || connection->unsent() >= kMaxUnsent;
      may_be_late_ = may_be_late_ || connection->connecting() ||
                     connection->output_ended();
      short events = 0;
      if (connection->connecting()) {
        events = POLLOUT;
      } else {
        if (connection->unsent() > 0) events |= POLLOUT;
        if (!connection->output_ended() && room && !client_.HoldsBack(id)) {
          events |= POLLIN;
        }
      }
      // POLLHUP would come again and again.
      polled_.push_back({events != 0 ? connection->fd() : -1, events, 0});
      watched_.push_back(id);
    }
    short events = POLLRDHUP;
    if (Reads()) events |= POLLIN;
    if (!room) events |= POLLOUT;
    polled_[kClient] = {client_.client().fd(), events, 0};
    polled_[kEnd] = {ctx_.cancel_fd(), POLLIN, 0};
  }

  int MillisToWait() const {
    Duration wait = idle_at_ - Now();
    if (may_be_late_) wait = std::min(wait, options_.open_limit);
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(wait);
    return static_cast<int>(std::max<int64_t>(left.count(), 0) + 1);
  }

  Status ServeClient(bool pending) {
    RETURN_IF_ERROR(client_.Flush(ctx_));
    const short revents = polled_[kClient].revents;
    if ((revents & (POLLHUP | POLLERR)) != 0 ||
        ((revents & POLLRDHUP) != 0 && !Reads())) {
      return Unavailable("the client has gone");
    }
    if (!pending && (revents & POLLIN) == 0) return OkStatus();
    ASSIGN_OR_RETURN(const ForwardChannel::Events events, client_.TryRead());
    Apply(events);
    return client_.Flush(ctx_);
  }

  void Apply(const ForwardChannel::Events& events) {
    for (const ForwardEvent& event : events) {
      if (event.type == ForwardEvent::Type::kOpened) {
        Open(event);
        continue;
      }
      const auto found = connections_.find(event.id);
      if (found == connections_.end()) {
        client_.Took(event.id, event.bytes.size());
        continue;
      }
      PortConnection& connection = *found->second;
      connection.since = Now();
      if (event.type == ForwardEvent::Type::kClosed) {
        Drop(event.id);
        continue;
      }
      connection.Put(event.bytes);
      if (event.type == ForwardEvent::Type::kEnded) connection.EndInput();
      if (!connection.connecting()) Flush(event.id, connection);
    }
  }

  // The streams that a client has open are no measure of what it holds: it may
  // end one of the two, and the connection stays.
  void Open(const ForwardEvent& event) {
    if (connections_.size() >= options_.max_connections) {
      return client_.Fail(event.id, "too many connections are open");
    }
    auto connection =
        std::make_unique<PortConnection>(event.port, make_socket_);
    connection->since = Now();
    const Status begun = connection->Connect();
    if (!begun.ok()) return client_.Fail(event.id, Message(begun));
    connections_[event.id] = std::move(connection);
  }

  // Something happened to one of ours.
  void Serve(uint32_t id) {
    const auto found = connections_.find(id);
    if (found == connections_.end()) return;
    PortConnection& connection = *found->second;
    connection.since = Now();
    if (connection.connecting()) {
      const Status made = connection.FinishConnect();
      if (!made.ok()) {
        connections_.erase(id);
        return client_.Fail(id, Message(made));
      }
      if (connection.connecting()) return;
    }
    if (!Flush(id, connection) || connection.output_ended()) return;
    // Those that are served before may have filled the client by now.
    if (client_.client().IsFull()) return;
    const auto bytes = connection.TryRead(kPiece);
    if (!bytes.ok()) return Drop(id);
    if (!bytes->has_value()) return;
    if ((*bytes)->empty()) {
      client_.End(id);
      if (connection.input_ended()) Drop(id);
    } else {
      client_.Put(id, **bytes);
    }
  }

  // False if the connection is over.
  bool Flush(uint32_t id, PortConnection& connection) {
    const StatusOr<size_t> sent = connection.Flush();
    if (sent.ok()) client_.Took(id, *sent);
    if (sent.ok() && !(connection.input_ended() && connection.output_ended())) {
      return true;
    }
    Drop(id);
    return false;
  }

  void Drop(uint32_t id) {
    connections_.erase(id);
    client_.Drop(id);
  }

  void DropLate() {
    const SteadyTime now = Now();
    client_.DropHalfOpen(now - options_.open_limit);
    std::vector<uint32_t> late;
    for (const auto& [id, connection] : connections_) {
      const Duration quiet = now - connection->since;
      if ((connection->connecting() && quiet > options_.open_limit) ||
          (connection->output_ended() && quiet > options_.linger_limit)) {
        late.push_back(id);
      }
    }
    for (const uint32_t id : late) {
      if (connections_[id]->connecting()) {
        connections_.erase(id);
        client_.Fail(id, "the server does not accept the connection");
      } else {
        Drop(id);
      }
    }
  }

  const Context& ctx_;
  ForwardChannel& client_;
  const MakeSocket& make_socket_;
  const ForwardOptions& options_;
  Connections connections_;
  std::vector<pollfd> polled_;
  std::vector<uint32_t> watched_;  // ids, in the order of polled_
  bool stuck_ = false;             // a server does not read
  bool may_be_late_ = false;       // something has its time limit
  SteadyTime idle_at_;
};

}  // namespace

Status Forward(const Context& ctx, ForwardChannel& client,
               const MakeSocket& make_socket, const ForwardOptions& options) {
  return Forwarding(ctx, client, make_socket, options).Run();
}

}  // namespace berth::door
