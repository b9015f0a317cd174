// Kubernetes' port forwarding as its clients speak it.
#ifndef DOOR_STREAM_FORWARD_CHANNEL_H_
#define DOOR_STREAM_FORWARD_CHANNEL_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/context.h"
#include "base/status.h"
#include "door/http/http_server.h"
#include "door/http/upgrade.h"
#include "door/stream/client.h"

namespace berth::door {

// What a client did with one of its connections.
struct ForwardEvent {
  enum class Type {
    kOpened,  // to a port
    kData,
    kEnded,   // nothing more comes from the client
    kClosed,  // nor does it take anything
  };
  Type type;
  uint32_t id = 0;  // of the connection
  uint16_t port = 0;
  std::string bytes;
};

// A client that forwards ports: many connections on the one that was HTTP. One
// derived class a protocol.
//
// What the client does not read is held here, so whoever fills it asks client
// and HoldsBack first. Thread-compatible.
class ForwardChannel {
 public:
  using Events = std::vector<ForwardEvent>;

  explicit ForwardChannel(UpgradedConnection client)
      : client_(std::move(client)) {}
  virtual ~ForwardChannel() = default;
  ForwardChannel(const ForwardChannel&) = delete;
  ForwardChannel& operator=(const ForwardChannel&) = delete;

  const StreamClient& client() const { return client_; }
  // What has come, without waiting. An error if the client is gone or breaks
  // the protocol.
  StatusOr<Events> TryRead();
  Status Flush(const Context& ctx) { return client_.Flush(ctx); }
  // Those that the client opens without being asked.
  virtual Events Begin() { return {}; }
  // Nothing more can happen.
  virtual bool Done() const { return false; }
  // Connections that the client has not opened wholly; gives up those that are
  // so since before `limit`.
  virtual bool HasHalfOpen() const { return false; }
  virtual void DropHalfOpen(SteadyTime /*limit*/) {}

  // Of one connection: its bytes, and their end.
  virtual void Put(uint32_t id, std::string_view bytes) = 0;
  virtual void End(uint32_t id) = 0;
  // It is over, both ways, and its id means nothing from now on; the second
  // says why.
  virtual void Drop(uint32_t id) = 0;
  virtual void Fail(uint32_t id, std::string_view why) = 0;
  // What was Put waits for the client to make room for this connection.
  virtual bool HoldsBack(uint32_t /*id*/) const { return false; }
  // So many of the client's bytes have been passed on, or dropped.
  virtual void Took(uint32_t /*id*/, size_t /*bytes*/) {}

 protected:
  virtual StatusOr<Events> Decode(std::string_view received) = 0;
  bool HasUnsent() const { return client_.HasUnsent(); }
  void Send(std::string_view bytes) { client_.Put(bytes); }

 private:
  StreamClient client_;
};

// Answers a request to forward ports and ends HTTP on its connection.
//
//   SPDY/3.1    portforward.k8s.io
//   WebSocket   SPDY/3.1+portforward.k8s.io, which carries the above;
//               none, v4.channel.k8s.io, v4.base64.channel.k8s.io: `ports`
//
// At most `max_connections` may be open at once; one more is refused.
// INVALID_ARGUMENT, PERMISSION_DENIED, UNAVAILABLE: nothing has been answered,
// and 400, 403, 503 should be.
StatusOr<std::unique_ptr<ForwardChannel>> OpenForwardChannel(
    HttpExchange& http, const std::vector<uint16_t>& ports,
    size_t max_connections);

// For each protocol.
std::unique_ptr<ForwardChannel> NewSpdyForward(UpgradedConnection client,
                                               bool in_websocket,
                                               size_t max_connections);
std::unique_ptr<ForwardChannel> NewWebsocketForward(
    UpgradedConnection client, bool base64, const std::vector<uint16_t>& ports);

}  // namespace berth::door

#endif  // DOOR_STREAM_FORWARD_CHANNEL_H_
