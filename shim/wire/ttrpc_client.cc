#include "shim/wire/ttrpc_client.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "base/io/await_ready.h"
#include "base/sys/socket.h"
#include "shim/wire/ttrpc.h"

namespace berth::shim {
namespace {

// For what nobody waits for: a peer that reads nothing for so long is stuck.
constexpr Duration kSendTime = std::chrono::seconds(10);
constexpr Duration kConnectPause = std::chrono::milliseconds(20);

Status Sleep(const Context& ctx, Duration time) {
  const Context until = ctx.WithTimeout(time);
  pollfd cancelled{ctx.cancel_fd(), POLLIN, 0};
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(until.Remaining(time));
  poll(&cancelled, 1, static_cast<int>(left.count()));
  return ctx.Check();
}

Status Add(int events, int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  if (epoll_ctl(events, EPOLL_CTL_ADD, fd, &event) == 0) return OkStatus();
  return Errno(errno, "epoll_ctl");
}

}  // namespace

StatusOr<std::unique_ptr<TtrpcClient>> TtrpcClient::Connect(
    const Context& ctx, const std::string& path, std::string name_space) {
  StatusOr<UniqueFd> socket = ConnectUnix(path);
  while (ErrnoOf(socket.status()) == EAGAIN) {
    RETURN_IF_ERROR_AS(Sleep(ctx, kConnectPause), "connect to " + path);
    socket = ConnectUnix(path);
  }
  RETURN_IF_ERROR(socket.status());
  RETURN_IF_ERROR(SetNonBlocking(socket->get()));
  UniqueFd events(epoll_create1(EPOLL_CLOEXEC));
  if (!events.valid()) return Errno(errno, "epoll_create");
  RETURN_IF_ERROR(Add(events.get(), socket->get()));
  auto client = std::unique_ptr<TtrpcClient>(new TtrpcClient(
      *std::move(socket), std::move(events), std::move(name_space)));
  ASSIGN_OR_RETURN(client->reader_, StartThread("ttrpc", [self = client.get()] {
                     self->Read();
                   }));
  return client;
}

TtrpcClient::TtrpcClient(UniqueFd socket, UniqueFd events,
                         std::string name_space)
    : socket_(std::move(socket)),
      events_(std::move(events)),
      name_space_(std::move(name_space)) {}

TtrpcClient::~TtrpcClient() {
  {
    MutexLock lock(mutex_);
    ending_ = true;
  }
  shutdown(socket_.get(), SHUT_RDWR);  // wakes the reader
  reader_.Join();
}

Status TtrpcClient::LoseWith(int process) {
  return Add(events_.get(), process);
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

bool TtrpcClient::Forget(uint32_t stream) {
  MutexLock lock(mutex_);
  return waiters_.erase(stream) > 0;
}

StatusOr<uint32_t> TtrpcClient::SendRequest(
    const Context& ctx, const std::string& service, const std::string& method,
    const std::string& payload, const std::shared_ptr<Waiter>& waiter) {
  CallOptions options;
  options.name_space = name_space_;
  // An answer that may take for ever has no time limit at the server.
  if (ctx.deadline() && !waiter->told) {
    options.timeout = ctx.Remaining(Duration::max());
  }
  // The server wants rising numbers, so number and send are one step.
  MutexLock lock(write_mutex_);
  ASSIGN_OR_RETURN(const uint32_t stream, Register(waiter));
  const StatusOr<std::string> frame =
      EncodeRequest(stream, service, method, payload, options);
  const Status sent = frame.ok() ? Send(ctx, *frame) : frame.status();
  // Who was told already, as the connection was lost, is not told twice.
  const bool waits = sent.ok() || Forget(stream);
  if (sent.ok() || (!waits && waiter->told)) return stream;
  return Annotate(sent, method);
}

void TtrpcClient::CallLater(const std::string& service,
                            const std::string& method,
                            const std::string& payload, Told told) {
  auto waiter = std::make_shared<Waiter>();
  waiter->told = std::move(told);
  const Status sent = SendRequest(Context::Background().WithTimeout(kSendTime),
                                  service, method, payload, waiter)
                          .status();
  if (!sent.ok()) waiter->told(sent);
}

void TtrpcClient::WhenLost(std::function<void(const Status& why)> told) {
  Status why;
  {
    MutexLock lock(mutex_);
    if (lost_.ok()) {
      when_lost_ = std::move(told);
      return;
    }
    why = lost_;
  }
  told(why);
}

StatusOr<std::string> TtrpcClient::Call(const Context& ctx,
                                        const std::string& service,
                                        const std::string& method,
                                        const std::string& payload) {
  RETURN_IF_ERROR_AS(ctx.Check(), method);
  auto waiter = std::make_shared<Waiter>();
  waiter->done.reset(eventfd(0, EFD_CLOEXEC));
  if (!waiter->done.valid()) return Errno(errno, "eventfd");
  ASSIGN_OR_RETURN(const uint32_t stream,
                   SendRequest(ctx, service, method, payload, waiter));
  const Status waited = AwaitReady(ctx, waiter->done.get(), POLLIN);
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
                        ? AwaitReady(ctx, socket_.get(), POLLOUT)
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
  Status end;
  while (end.ok()) {
    epoll_event ready[2] = {};
    const int count = epoll_wait(events_.get(), ready, 2, -1);
    if (count < 0 && errno != EINTR) {
      end = Unavailable(Message(Errno(errno, "wait for the shim")));
    }
    const bool ended = std::any_of(
        ready, ready + std::max(count, 0),
        [this](const epoll_event& e) { return e.data.fd != socket_.get(); });
    // What it said before its end still counts.
    if (end.ok()) end = ReadSome(parser);
    if (end.ok() && ended) end = Unavailable("the shim has ended");
  }
  Lose(end);
}

Status TtrpcClient::ReadSome(FrameParser& parser) {
  char bytes[16 * 1024];
  while (true) {
    const ssize_t n = recv(socket_.get(), bytes, sizeof(bytes), MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return OkStatus();
    if (n < 0) return Unavailable(Message(Errno(errno, "receive from shim")));
    if (n == 0) return Unavailable("the shim closed the connection");
    parser.Feed({bytes, static_cast<size_t>(n)});
    while (std::optional<Frame> frame = parser.Next()) {
      if (frame->type != kResponseFrame) continue;
      Deliver(frame->stream,
              frame->oversized
                  ? ResourceExhausted("the shim's answer is too long")
                  : DecodeResponse(frame->data));
    }
  }
}

void TtrpcClient::Deliver(uint32_t stream, StatusOr<std::string> answer) {
  std::shared_ptr<Waiter> waiter;
  {
    MutexLock lock(mutex_);
    const auto found = waiters_.find(stream);
    if (found == waiters_.end()) return;  // gave up
    waiter = std::move(found->second);
    waiters_.erase(found);
    if (!waiter->told) {
      waiter->answer = std::move(answer);
      eventfd_write(waiter->done.get(), 1);
      return;
    }
  }
  waiter->told(std::move(answer));
}

void TtrpcClient::Lose(const Status& why) {
  std::vector<std::shared_ptr<Waiter>> to_tell;
  std::function<void(const Status&)> when_lost;
  {
    MutexLock lock(mutex_);
    lost_ = why;
    if (ending_) return;  // nobody is left
    for (const auto& [stream, waiter] : waiters_) {
      if (waiter->told) {
        to_tell.push_back(waiter);
        continue;
      }
      waiter->answer = why;
      eventfd_write(waiter->done.get(), 1);
    }
    waiters_.clear();
    when_lost.swap(when_lost_);
  }
  for (const auto& waiter : to_tell) waiter->told(why);
  if (when_lost) when_lost(why);
}

}  // namespace berth::shim
