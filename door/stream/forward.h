#ifndef DOOR_STREAM_FORWARD_H_
#define DOOR_STREAM_FORWARD_H_

#include <chrono>
#include <cstddef>
#include <functional>

#include "base/clock.h"
#include "base/context.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "door/stream/forward_channel.h"

namespace berth::door {

// A TCP socket of the family AF_INET or AF_INET6 in the network whose ports are
// forwarded: non-blocking, not connected.
using MakeSocket = std::function<StatusOr<UniqueFd>(int family)>;

struct ForwardOptions {
  // At once; each has a descriptor. One more fails.
  size_t max_connections = 256;
  // Without a byte either way for so long, all of it ends.
  Duration idle_limit = std::chrono::hours(4);
  // For a client to open both halves of a connection, and for a server to
  // accept one.
  Duration open_limit = std::chrono::seconds(30);
  // For the client to end its side of a connection whose server has ended.
  Duration linger_limit = std::chrono::minutes(1);
};

// Carries the bytes of all connections of one client, on the caller's thread,
// until the client is gone, nothing happens for long, or the context ends. Each
// connection goes to "localhost": 127.0.0.1, or else ::1. Ends pass through one
// way at a time, and one that cannot be made costs no other.
//
// A server that does not read stops its own connection if the client keeps to
// the windows of its streams (which Kubernetes' does not), and else the client.
Status Forward(const Context& ctx, ForwardChannel& client,
               const MakeSocket& make_socket, const ForwardOptions& options);

}  // namespace berth::door

#endif  // DOOR_STREAM_FORWARD_H_
