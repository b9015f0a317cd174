#ifndef DOOR_STREAM_WEBSOCKET_CHANNEL_H_
#define DOOR_STREAM_WEBSOCKET_CHANNEL_H_

#include <memory>

#include "base/status.h"
#include "door/http/http_server.h"
#include "door/stream/channel.h"

namespace berth::door {

// Answers a request for a WebSocket (RFC 6455) and ends HTTP on its connection.
// Both outputs come as binary messages, and the data of text and binary
// messages is input, whose end is a close frame.
//
// INVALID_ARGUMENT if it is no such request, PERMISSION_DENIED if a browser
// sends it for another site's page: nothing has been answered then.
StatusOr<std::unique_ptr<StreamChannel>> OpenWebsocket(HttpExchange& http);

}  // namespace berth::door

#endif  // DOOR_STREAM_WEBSOCKET_CHANNEL_H_
