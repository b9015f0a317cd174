#include "shim/ttrpc_client.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/sys/socket.h"
#include "shim/ttrpc.h"

namespace berth::shim {
namespace {

// Until `fd` is ready for `events`, or the context ends.
Status WaitFor(const Context& ctx, int fd, short events) {
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

}  // namespace

StatusOr<std::unique_ptr<TtrpcClient>> TtrpcClient::Connect(
    const std::string& path, std::string name_space) {
  ASSIGN_OR_RETURN(UniqueFd socket, ConnectUnix(path));
  RETURN_IF_ERROR(SetNonBlocking(socket.get()));
  return std::unique_ptr<TtrpcClient>(
      new TtrpcClient(std::move(socket), std::move(name_space)));
}

TtrpcClient::TtrpcClient(UniqueFd socket, std::string name_space)
    : socket_(std::move(socket)), name_space_(std::move(name_space)) {
  reader_ = std::thread([this] { Read(); });
}

TtrpcClient::~TtrpcClient() {
  shutdown(socket_.get(), SHUT_RDWR);  // wakes the reader
  reader_.join();
}

StatusOr<uint32_t> TtrpcClient::Register(
    const std::shared_ptr<Waiter>& waiter) {
  MutexLock lock(mutex_);
  RETURN_IF_ERROR(lost_);
  if (next_stream_ > UINT32_MAX - 2) {
    return Unavailable("the connection's call numbers are used up");
  }
  const uint32_t stream = next_stream_;
  next_stream_ += 2;
  waiters_[stream] = waiter;
  return stream;
}

void TtrpcClient::Forget(uint32_t stream) {
  MutexLock lock(mutex_);
  waiters_.erase(stream);
}

StatusOr<std::string> TtrpcClient::Call(const Context& ctx,
                                        const std::string& service,
                                        const std::string& method,
                                        const std::string& payload) {
  RETURN_IF_ERROR_AS(ctx.Check(), method);
  CallOptions options;
  options.name_space = name_space_;
  if (ctx.deadline()) options.timeout = ctx.Remaining(Duration::max());

  auto waiter = std::make_shared<Waiter>();
  waiter->done.reset(eventfd(0, EFD_CLOEXEC));
  if (!waiter->done.valid()) return Errno(errno, "eventfd");

  uint32_t stream = 0;
  {
    // The server wants rising numbers, so number and send are one step.
    MutexLock lock(write_mutex_);
    ASSIGN_OR_RETURN(stream, Register(waiter));
    const StatusOr<std::string> frame =
        EncodeRequest(stream, service, method, payload, options);
    const Status sent = frame.ok() ? Send(ctx, *frame) : frame.status();
    if (!sent.ok()) {
      Forget(stream);
      return Annotate(sent, method);
    }
  }
  const Status waited = WaitFor(ctx, waiter->done.get(), POLLIN);
  Forget(stream);
  if (!waited.ok()) return Annotate(waited, method);
  return std::move(waiter->answer);
}

Status TtrpcClient::Send(const Context& ctx, const std::string& frame) {
  std::string_view rest = frame;
  while (!rest.empty()) {
    const ssize_t n = send(socket_.get(), rest.data(), rest.size(),
                           MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n >= 0) {
      rest.remove_prefix(static_cast<size_t>(n));
      continue;
    }
    if (errno == EINTR) continue;
    Status failed = errno == EAGAIN
                        ? WaitFor(ctx, socket_.get(), POLLOUT)
                        : Unavailable("send: " + Message(Errno(errno, "shim")));
    if (failed.ok()) continue;
    // Half a frame makes the rest of the stream unreadable.
    if (rest.size() < frame.size()) shutdown(socket_.get(), SHUT_RDWR);
    return failed;
  }
  return OkStatus();
}

void TtrpcClient::Read() {
  FrameParser parser;
  char bytes[16 * 1024];
  Status end = Unavailable("the shim closed the connection");
  while (true) {
    pollfd ready{socket_.get(), POLLIN, 0};
    if (poll(&ready, 1, -1) < 0 && errno != EINTR) break;
    const ssize_t n = recv(socket_.get(), bytes, sizeof(bytes), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (n < 0) end = Unavailable(Message(Errno(errno, "receive from shim")));
    if (n <= 0) break;
    parser.Feed({bytes, static_cast<size_t>(n)});
    while (std::optional<Frame> frame = parser.Next()) {
      if (frame->type != kResponseFrame) continue;
      Deliver(frame->stream,
              frame->oversized
                  ? ResourceExhausted("the shim's answer is too long")
                  : DecodeResponse(frame->data));
    }
  }
  Lose(end);
}

void TtrpcClient::Deliver(uint32_t stream, StatusOr<std::string> answer) {
  MutexLock lock(mutex_);
  const auto waiter = waiters_.find(stream);
  if (waiter == waiters_.end()) return;  // gave up
  waiter->second->answer = std::move(answer);
  eventfd_write(waiter->second->done.get(), 1);
  waiters_.erase(waiter);
}

void TtrpcClient::Lose(const Status& why) {
  MutexLock lock(mutex_);
  lost_ = why;
  for (const auto& [stream, waiter] : waiters_) {
    waiter->answer = why;
    eventfd_write(waiter->done.get(), 1);
  }
  waiters_.clear();
}

}  // namespace berth::shim
