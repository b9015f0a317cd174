#ifndef DOOR_HTTP_UPGRADE_H_
#define DOOR_HTTP_UPGRADE_H_

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "base/context.h"
#include "base/status.h"

namespace berth::door {

// A connection that was HTTP and is now a plain stream of bytes both ways.
// The server's: valid until the handler returns. The server then shuts its
// side down, reads for a bounded time what the client still sends, so that
// the client is not cut off before it has read the answer, and closes.
//
// The first bytes are held back until the client has read the answer's head
// (at most a second): clients lose what their HTTP library reads with it.
//
// Read and Write may run in two threads at once; otherwise thread-compatible.
// Both end early with CANCELLED or DEADLINE_EXCEEDED by the context.
class UpgradedConnection {
 public:
  UpgradedConnection() = default;
  // `pending`: what the client sent right behind its request. `socket` is
  // non-blocking.
  UpgradedConnection(int socket, std::string pending)
      : socket_(socket), pending_(std::move(pending)) {}

  // At least one byte, at most `limit`; empty when the client has shut its
  // side down, as it does when its own input ends. It may still listen.
  StatusOr<std::string> Read(const Context& ctx, size_t limit);
  // The same without waiting; nothing if there is nothing yet.
  StatusOr<std::optional<std::string>> TryRead(size_t limit);
  // TryRead has something that poll(2) does not see.
  bool HasPending() const { return !pending_.empty(); }

  // All of it. UNAVAILABLE when the client is gone.
  Status Write(const Context& ctx, std::string_view bytes);
  // As much as can be sent without waiting for the client to read; but for the
  // first bytes, see above. Answers how much.
  StatusOr<size_t> TryWrite(const Context& ctx, std::string_view bytes);

  // The first bytes need not be held back: the protocol's clients keep what
  // they have read with the head.
  void SpeakAtOnce() { head_read_ = true; }

  // For poll(2): POLLHUP when the client is gone altogether. Non-blocking.
  int fd() const { return socket_; }

 private:
  Status AwaitHeadRead(const Context& ctx);

  int socket_ = -1;
  std::string pending_;
  bool head_read_ = false;
};

// What both an upgraded connection and an HTTP response are written with: all
// bytes to a non-blocking socket, waiting as long as the context allows, and
// at most `patience` without the peer taking a byte (DEADLINE_EXCEEDED).
Status WriteToSocket(const Context& ctx, int socket, std::string_view bytes,
                     std::optional<Duration> patience = std::nullopt);

// Waits until the non-blocking socket has something to read, or its end.
Status AwaitReadable(const Context& ctx, int socket);

// Whether the peer of a Unix socket has read all that was sent to it.
bool PeerHasRead(int socket);

// Waits until the peer of a Unix socket has read all that was sent to it, at
// most `limit`: OK then, too. An error if the context ends.
Status AwaitPeerRead(const Context& ctx, int socket, Duration limit);

// Says that nothing more comes, and drops what the peer still sends until it
// closes, at most `limit`: closing a socket with unread bytes cuts the peer
// off (ECONNRESET) before it has read our last ones.
void EndGently(const Context& ctx, int socket, Duration limit);

}  // namespace berth::door

#endif  // DOOR_HTTP_UPGRADE_H_
