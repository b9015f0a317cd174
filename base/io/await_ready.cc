#include "base/io/await_ready.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

namespace berth {

Status AwaitReady(const Context& ctx, int fd, short events) {
  while (true) {
    RETURN_IF_ERROR(ctx.Check());
    int timeout = -1;
    if (ctx.deadline()) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(
          ctx.Remaining(std::chrono::hours(1)));
      timeout = static_cast<int>(std::max<int64_t>(left.count(), 1));
    }
    pollfd fds[2] = {{fd, events, 0}, {ctx.cancel_fd(), POLLIN, 0}};
    const int ready = poll(fds, 2, timeout);
    if (ready < 0 && errno != EINTR) return Errno(errno, "poll");
    if (ready > 0 && fds[0].revents != 0) return OkStatus();
  }
}

}  // namespace berth
