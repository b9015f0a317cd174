#include "door/stream/forward_channel.h"

#include "door/stream/protocols.h"
#include "door/stream/websocket.h"

namespace berth::door {
namespace {

constexpr char kTunnel[] = "SPDY/3.1+portforward.k8s.io";
// Two channels each, which are one byte.
constexpr size_t kMaxPorts = 127;

Status CheckPorts(const std::vector<uint16_t>& ports) {
  if (!ports.empty() && ports.size() <= kMaxPorts) return OkStatus();
  return InvalidArgument("unable to forward " + std::to_string(ports.size()) +
                         " ports over a websocket; it takes 1 to " +
                         std::to_string(kMaxPorts));
}

}  // namespace

StatusOr<ForwardChannel::Events> ForwardChannel::TryRead() {
  ASSIGN_OR_RETURN(const std::optional<std::string> received,
                   client_.TryRead());
  if (!received.has_value()) return Events();
  if (received->empty()) return Unavailable("the client has gone");
  return Decode(*received);
}

StatusOr<std::unique_ptr<ForwardChannel>> OpenForwardChannel(
    HttpExchange& http, const std::vector<uint16_t>& ports,
    size_t max_connections) {
  ASSIGN_OR_RETURN(const StreamUpgrade upgrade, UpgradeOf(http.request()));
  if (upgrade == StreamUpgrade::kSpdy) {
    RETURN_IF_ERROR(ChooseSpdyProtocol(http, {"portforward.k8s.io"}).status());
    ASSIGN_OR_RETURN(UpgradedConnection client, http.Upgrade(""));
    client.SpeakAtOnce();
    return NewSpdyForward(std::move(client), false, max_connections);
  }
  ASSIGN_OR_RETURN(
      const std::string protocol,
      ChooseWebsocketProtocol(http.request(), {kTunnel, "", "v4.channel.k8s.io",
                                               "v4.base64.channel.k8s.io"}));
  if (protocol != kTunnel) RETURN_IF_ERROR(CheckPorts(ports));
  ASSIGN_OR_RETURN(UpgradedConnection client, AcceptWebsocket(http, protocol));
  client.SpeakAtOnce();
  if (protocol == kTunnel) {
    return NewSpdyForward(std::move(client), true, max_connections);
  }
  return NewWebsocketForward(
      std::move(client), protocol.find("base64") != std::string::npos, ports);
}

}  // namespace berth::door
