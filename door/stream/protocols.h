// Which protocol a client and we speak: the headers of Kubernetes' streams.
#ifndef DOOR_STREAM_PROTOCOLS_H_
#define DOOR_STREAM_PROTOCOLS_H_

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "door/http/http_server.h"

namespace berth::door {

// How a client wants to go on after HTTP.
enum class StreamUpgrade { kSpdy, kWebsocket };

// INVALID_ARGUMENT if it asks for neither.
StatusOr<StreamUpgrade> UpgradeOf(const ServerRequest& request);

// The first of the client's protocols (a header that may be repeated, and have
// several, separated by commas) that is one of `ours`; "" if the client names
// none and that is one of ours.
//
// INVALID_ARGUMENT if it names none, PERMISSION_DENIED if they have none in
// common. The answer to a client of SPDY names what is spoken.
StatusOr<std::string> ChooseSpdyProtocol(HttpExchange& http,
                                         const std::vector<std::string>& ours);
StatusOr<std::string> ChooseWebsocketProtocol(
    const ServerRequest& request, const std::vector<std::string>& ours);

}  // namespace berth::door

#endif  // DOOR_STREAM_PROTOCOLS_H_
