#ifndef DOOR_STREAM_CLIENT_H_
#define DOOR_STREAM_CLIENT_H_

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/context.h"
#include "base/status.h"
#include "door/http/upgrade.h"

namespace berth::door {

// A client whose connection was HTTP, and what it has not been sent yet.
// Whoever fills it asks HasUnsent first. Thread-compatible.
class StreamClient {
 public:
  explicit StreamClient(UpgradedConnection connection)
      : connection_(std::move(connection)) {}

  // For poll(2): POLLHUP when the client is gone altogether.
  int fd() const { return connection_.fd(); }
  // TryRead has something that poll(2) does not see.
  bool HasPending() const { return connection_.HasPending(); }
  // What has come, without waiting; empty: the client has shut its side down;
  // nothing if there is nothing yet. An error if the client is gone.
  StatusOr<std::optional<std::string>> TryRead();

  bool HasUnsent() const { return !unsent_.empty(); }
  // There is so much of it that the client's own input has to wait.
  bool IsFull() const;
  void Put(std::string_view bytes) { unsent_ += bytes; }
  // Sends as much as can be sent without waiting for the client to read.
  Status Flush(const Context& ctx);
  // The same, waiting until all is sent.
  Status FlushAll(const Context& ctx);

 private:
  UpgradedConnection connection_;
  std::string unsent_;
};

}  // namespace berth::door

#endif  // DOOR_STREAM_CLIENT_H_
