#ifndef BASE_HTTP_UPGRADE_H_
#define BASE_HTTP_UPGRADE_H_

#include <string>
#include <string_view>
#include <utility>

#include "base/context.h"
#include "base/status.h"
#include "base/unique_fd.h"

namespace berth {

// A connection that was HTTP and is now a plain stream of bytes both ways: the
// caller's, until destroyed.
//
// Read and Write may run in two threads at once; otherwise thread-compatible.
// Both end early with CANCELLED or DEADLINE_EXCEEDED by the context.
class UpgradedConnection {
 public:
  UpgradedConnection() = default;
  // `pending`: what the client sent right behind its request.
  UpgradedConnection(UniqueFd socket, std::string pending)
      : socket_(std::move(socket)), pending_(std::move(pending)) {}

  // At least one byte, at most `limit`; empty when the client has shut its
  // side down, as it does when its own input ends. It may still listen.
  StatusOr<std::string> Read(const Context& ctx, size_t limit);
  // All of it. UNAVAILABLE when the client is gone.
  Status Write(const Context& ctx, std::string_view bytes);
  // We have nothing more to say.
  void CloseWrite();

  // For poll(2): POLLHUP when the client is gone altogether. Non-blocking.
  int fd() const { return socket_.get(); }

 private:
  UniqueFd socket_;
  std::string pending_;
};

// What both an upgraded connection and an HTTP response are written with: all
// bytes to a non-blocking socket, waiting as long as the context allows.
Status WriteToSocket(const Context& ctx, int socket, std::string_view bytes);

// Waits until the non-blocking socket has something to read, or its end.
Status AwaitReadable(const Context& ctx, int socket);

}  // namespace berth

#endif  // BASE_HTTP_UPGRADE_H_
