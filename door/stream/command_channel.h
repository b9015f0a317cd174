// Kubernetes' remote commands: exec and attach, over SPDY or a WebSocket.
#ifndef DOOR_STREAM_COMMAND_CHANNEL_H_
#define DOOR_STREAM_COMMAND_CHANNEL_H_

#include <memory>
#include <string>

#include "base/context.h"
#include "base/status.h"
#include "door/http/http_server.h"
#include "door/stream/channel.h"

namespace berth::door {

// Which streams there are besides that of the status.
struct CommandStreams {
  bool in = false;
  bool out = false;
  bool err = false;
  bool tty = false;
};

// Answers a request for the streams of a command, ends HTTP on its connection,
// and waits, as long as the context allows, until a client of SPDY has opened
// all of them.
//
//   SPDY/3.1    channel.k8s.io, v2. to v5.channel.k8s.io
//   WebSocket   none, channel.k8s.io, v4. and v5.channel.k8s.io,
//               base64.channel.k8s.io, v4.base64.channel.k8s.io
//
// INVALID_ARGUMENT, PERMISSION_DENIED, UNAVAILABLE: nothing has been answered,
// and 400, 403, 503 should be.
StatusOr<std::unique_ptr<StreamChannel>> OpenCommandChannel(
    const Context& ctx, HttpExchange& http, const CommandStreams& streams);

// Its two halves.
StatusOr<std::unique_ptr<StreamChannel>> OpenSpdyCommand(
    const Context& ctx, HttpExchange& http, const CommandStreams& streams);
StatusOr<std::unique_ptr<StreamChannel>> OpenWebsocketCommand(
    const Context& ctx, HttpExchange& http, const CommandStreams& streams);

}  // namespace berth::door

#endif  // DOOR_STREAM_COMMAND_CHANNEL_H_
