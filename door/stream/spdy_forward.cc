#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "door/stream/forward_channel.h"
#include "door/stream/spdy_session.h"
#include "door/stream/websocket.h"

namespace berth::door {
namespace {

// That comes for a connection before both of its streams are there.
constexpr size_t kMaxEarly = 64 << 10;

// Each connection is a pair of streams, data and error; its id is that of the
// data stream.
class SpdyForward final : public ForwardChannel {
 public:
  SpdyForward(UpgradedConnection client, bool in_websocket,
              size_t max_connections)
      : ForwardChannel(std::move(client)), session_(2 * max_connections) {
    if (in_websocket) tunnel_.emplace();
  }

  bool HasHalfOpen() const override { return !half_open_.empty(); }
  void DropHalfOpen(SteadyTime limit) override {
    std::erase_if(half_open_, [&](const auto& one) {
      if (one.second.since >= limit) return false;
      session_.Reset(one.second.error);
      session_.Reset(one.second.data);
      return true;
    });
    SendOutput();
  }

  void Put(uint32_t id, std::string_view bytes) override {
    session_.Send(id, bytes);
    SendOutput();
  }
  void End(uint32_t id) override {
    session_.End(id);
    // A client waits for the end of this one before it lets go.
    const auto found = error_of_.find(id);
    if (found != error_of_.end()) session_.End(found->second);
    SendOutput();
  }
  void Drop(uint32_t id) override { Fail(id, ""); }
  void Fail(uint32_t id, std::string_view why) override {
    const auto found = error_of_.find(id);
    if (found == error_of_.end()) return;
    const uint32_t error = found->second;
    error_of_.erase(found);
    session_.Send(error, why);
    session_.End(error);
    // Not every client ends its side of it, and streams are few.
    if (!session_.HoldsBack(error)) session_.Reset(error);
    session_.Reset(id);
    SendOutput();
  }
  bool HoldsBack(uint32_t id) const override { return session_.HoldsBack(id); }
  void Took(uint32_t id, size_t bytes) override {
    session_.Took(id, bytes);
    SendOutput();
  }

 protected:
  StatusOr<Events> Decode(std::string_view received) override {
    std::string plain;
    if (tunnel_.has_value()) {
      ASSIGN_OR_RETURN(plain, Unwrap(received));
      received = plain;
    }
    ASSIGN_OR_RETURN(const std::vector<SpdyEvent> happened,
                     session_.Receive(received));
    Events events;
    for (const SpdyEvent& event : happened) {
      if (event.type == SpdyEvent::Type::kGoAway) {
        return Unavailable("the client has gone");
      }
      Apply(event, events);
    }
    SendOutput();
    return events;
  }

 private:
  // One of two streams, or both of a connection that is not yet given out.
  struct Pair {
    uint32_t error = 0;  // 0 if not there
    uint32_t data = 0;
    uint16_t port = 0;
    SteadyTime since;
    // What came for it by now.
    std::string early;
    bool ended = false;
  };

  StatusOr<std::string> Unwrap(std::string_view received) {
    ASSIGN_OR_RETURN(const std::vector<Websocket::Piece> pieces,
                     tunnel_->Receive(received));
    if (tunnel_->closed()) return Unavailable("the client has gone");
    std::string plain;
    for (const Websocket::Piece& piece : pieces) plain += piece.bytes;
    if (!HasUnsent()) Send(tunnel_->TakeAnswers());
    return plain;
  }

  void SendOutput() {
    const std::string output = session_.TakeOutput();
    if (output.empty()) return;
    Send(tunnel_.has_value()
             ? tunnel_->TakeAnswers() + Websocket::Binary(output)
             : output);
  }

  void Apply(const SpdyEvent& event, Events& events) {
    if (event.type == SpdyEvent::Type::kOpened) return Open(event, events);
    if (error_of_.count(event.stream) > 0) {
      using Type = ForwardEvent::Type;
      const Type type = event.type == SpdyEvent::Type::kData    ? Type::kData
                        : event.type == SpdyEvent::Type::kEnded ? Type::kEnded
                                                                : Type::kClosed;
      events.push_back({type, event.stream, 0, event.bytes});
      return;
    }
    const auto found = HalfOpen(event.stream);
    if (found == half_open_.end() || event.stream != found->second.data) {
      session_.Took(event.stream, event.bytes.size());
    }
    if (found == half_open_.end()) return;
    Pair& pair = found->second;
    if (event.stream == pair.data) {
      pair.early += event.bytes;
      pair.ended = pair.ended || event.type == SpdyEvent::Type::kEnded;
    }
    if (event.type != SpdyEvent::Type::kReset &&
        pair.early.size() <= kMaxEarly) {
      return;
    }
    // At once: a stream that comes for it later must not complete it.
    session_.Reset(pair.error);
    session_.Reset(pair.data);
    half_open_.erase(found);
  }

  void Open(const SpdyEvent& event, Events& events) {
    const std::string type = event.Header("streamtype");
    const std::optional<uint64_t> port = ParseUint(event.Header("port"));
    const bool data = type == "data";
    if ((!data && type != "error") || !port.has_value() || *port == 0 ||
        *port > UINT16_MAX) {
      return session_.Reset(event.stream);
    }
    // Old clients leave it out, and open the data stream after its error.
    std::string request = event.Header("requestid");
    if (request.empty()) {
      request = std::to_string(data ? event.stream - 2 : event.stream);
    }
    Pair& pair = half_open_[request];
    uint32_t& place = data ? pair.data : pair.error;
    if (place != 0) return session_.Reset(event.stream);
    place = event.stream;
    if (data) pair.port = static_cast<uint16_t>(*port);
    if (pair.data == 0 || pair.error == 0) {
      pair.since = std::chrono::steady_clock::now();
    }
    if (pair.data == 0 || pair.error == 0) return;
    GiveOut(pair, events);
    half_open_.erase(request);
  }

  void GiveOut(const Pair& pair, Events& events) {
    using Type = ForwardEvent::Type;
    error_of_[pair.data] = pair.error;
    events.push_back({Type::kOpened, pair.data, pair.port, ""});
    if (!pair.early.empty()) {
      events.push_back({Type::kData, pair.data, 0, pair.early});
    }
    if (pair.ended) events.push_back({Type::kEnded, pair.data, 0, ""});
  }

  // The connection that has this one of its streams alone; the end if there is
  // none.
  std::map<std::string, Pair>::iterator HalfOpen(uint32_t stream) {
    return std::find_if(
        half_open_.begin(), half_open_.end(), [stream](const auto& one) {
          return one.second.data == stream || one.second.error == stream;
        });
  }

  SpdySession session_;
  std::optional<Websocket> tunnel_;
  std::map<std::string, Pair> half_open_;  // by request
  // Of each connection that was given out, by its id.
  std::map<uint32_t, uint32_t> error_of_;
};

}  // namespace

std::unique_ptr<ForwardChannel> NewSpdyForward(UpgradedConnection client,
                                               bool in_websocket,
                                               size_t max_connections) {
  return std::make_unique<SpdyForward>(std::move(client), in_websocket,
                                       max_connections);
}

}  // namespace berth::door
