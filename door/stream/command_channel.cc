#include "door/stream/command_channel.h"

#include "door/stream/protocols.h"

namespace berth::door {

StatusOr<std::unique_ptr<StreamChannel>> OpenCommandChannel(
    const Context& ctx, HttpExchange& http, const CommandStreams& streams) {
  ASSIGN_OR_RETURN(const StreamUpgrade upgrade, UpgradeOf(http.request()));
  return upgrade == StreamUpgrade::kSpdy
             ? OpenSpdyCommand(ctx, http, streams)
             : OpenWebsocketCommand(ctx, http, streams);
}

}  // namespace berth::door
