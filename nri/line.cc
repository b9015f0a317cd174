#include "nri/line.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <optional>
#include <string_view>
#include <utility>

#include "base/io/await_ready.h"

namespace berth::nri {
namespace {

constexpr char kPluginService[] = "nri.pkg.api.v1alpha1.Plugin";

}  // namespace

Line::~Line() = default;

void Line::Open(LoopThread& loop, Events events) {
  loop.Do([self = shared_from_this(),
           events = std::move(events)](EventLoop& loop) mutable {
    self->events_ = std::move(events);
    const Status added =
        loop.Add(self->socket_.get(), EPOLLIN,
                 [self, &loop](uint32_t) { self->Hear(loop); });
    if (added.ok()) return;
    self->Close(added);
    self->events_.lost(added);
    self->events_ = {};
  });
}

StatusOr<uint32_t> Line::Register(Waiter* waiter) {
  MutexLock lock(mutex_);
  RETURN_IF_ERROR(why_);
  if (next_stream_ > UINT32_MAX - 2) {
    return Unavailable("the connection's call numbers are used up");
  }
  const uint32_t stream = next_stream_;
  next_stream_ += 2;
  waiters_[stream] = waiter;
  return stream;
}

Status Line::SendRequest(const Context& ctx, const std::string& method,
                         const std::string& payload, Waiter* waiter,
                         uint32_t& stream) {
  shim::CallOptions options;
  if (ctx.deadline()) options.timeout = ctx.Remaining(Duration::max());
  // The plugin wants rising numbers, so number and send are one step.
  MutexLock lock(write_mutex_);
  ASSIGN_OR_RETURN(stream, Register(waiter));
  ASSIGN_OR_RETURN(
      const std::string frame,
      shim::EncodeRequest(stream, kPluginService, method, payload, options));
  return Send(ctx, kPluginConnection, frame);
}

Reply Line::Call(const Context& ctx, const std::string& method,
                 const std::string& payload) {
  Waiter waiter;
  uint32_t stream = 0;
  const Status sent = SendRequest(ctx, method, payload, &waiter, stream);
  MutexLock lock(mutex_);
  Status waited = sent;
  if (waited.ok()) {
    waited = ctx.Await(mutex_, changed_, [&]() NO_THREAD_SAFETY_ANALYSIS {
      return waiter.answered || !why_.ok();
    });
  }
  waiters_.erase(stream);
  if (waiter.answered) return {true, std::move(waiter.payload)};
  return {false, Annotate(why_.ok() ? waited : why_, method)};
}

void Line::Answer(const Context& ctx, uint32_t stream,
                  const StatusOr<std::string>& payload) {
  MutexLock lock(write_mutex_);
  const Status sent =
      Send(ctx, kRuntimeConnection, shim::EncodeResponse(stream, payload));
  if (!sent.ok()) Close(sent);
}

Status Line::Send(const Context& ctx, uint32_t connection,
                  const std::string& ttrpc_frame) {
  const std::string frames = EncodeMux(connection, ttrpc_frame);
  std::string_view rest = frames;
  while (!rest.empty()) {
    const ssize_t n = send(socket_.get(), rest.data(), rest.size(),
                           MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n >= 0) {
      rest.remove_prefix(static_cast<size_t>(n));
      continue;
    }
    if (errno == EINTR) continue;
    const Status failed = errno == EAGAIN
                              ? AwaitReady(ctx, socket_.get(), POLLOUT)
                              : Errno(errno, "send");
    if (failed.ok()) continue;
    // Half a frame makes the rest of the stream unreadable.
    if (rest.size() < frames.size()) Close(failed);
    return failed;
  }
  return OkStatus();
}

void Line::Close(const Status& why) {
  MutexLock lock(mutex_);
  if (!why_.ok()) return;
  why_ = why;
  shutdown(socket_.get(), SHUT_RDWR);  // the loop hears of it
  changed_.SignalAll();
}

bool Line::closed() const {
  MutexLock lock(mutex_);
  return !why_.ok();
}

void Line::Hear(EventLoop& loop) {
  const Status heard = ReadSome();
  if (heard.ok()) return;
  Close(heard);
  const auto self = shared_from_this();  // survives its own removal
  loop.Remove(socket_.get());
  const Events events = std::exchange(events_, {});
  Status why;
  {
    MutexLock lock(mutex_);
    why = why_;
  }
  events.lost(why);
}

Status Line::ReadSome() {
  char bytes[16 * 1024];
  // Not until it is empty: a plugin that writes all the time must not keep the
  // others from being heard.
  const ssize_t n = recv(socket_.get(), bytes, sizeof(bytes), MSG_DONTWAIT);
  if (n < 0 && (errno == EINTR || errno == EAGAIN)) return OkStatus();
  if (n < 0) return Unavailable(Message(Errno(errno, "receive")));
  if (n == 0) return Unavailable("the plugin closed the connection");
  frames_.Feed({bytes, static_cast<size_t>(n)});
  while (true) {
    ASSIGN_OR_RETURN(const std::optional<MuxFrame> frame, frames_.Next());
    if (!frame) return OkStatus();
    RETURN_IF_ERROR(Take(*frame));
  }
}

Status Line::Take(const MuxFrame& frame) {
  // Frames of other connections are skipped: NRI has these two alone.
  if (frame.connection == kPluginConnection) {
    answers_.Feed(frame.payload);
    while (std::optional<shim::Frame> answer = answers_.Next()) {
      if (answer->type == shim::kResponseFrame) Deliver(*std::move(answer));
    }
  } else if (frame.connection == kRuntimeConnection) {
    questions_.Feed(frame.payload);
    while (const std::optional<shim::Frame> question = questions_.Next()) {
      if (question->type == shim::kRequestFrame)
        RETURN_IF_ERROR(Ask(*question));
    }
  }
  return OkStatus();
}

void Line::Deliver(shim::Frame frame) {
  StatusOr<std::string> payload =
      frame.oversized ? ResourceExhausted("the plugin's answer is too long")
                      : shim::DecodeResponse(frame.data);
  MutexLock lock(mutex_);
  const auto waiter = waiters_.find(frame.stream);
  if (waiter == waiters_.end()) return;  // gave up
  waiter->second->payload = std::move(payload);
  waiter->second->answered = true;
  changed_.SignalAll();
}

Status Line::Ask(const shim::Frame& frame) {
  ttrpc::Request request;
  if (frame.oversized || frame.flags != 0 ||
      !request.ParseFromString(frame.data)) {
    return DataLoss("the plugin sent what is no unary request");
  }
  events_.asked({frame.stream, request.service(), request.method(),
                 std::move(*request.mutable_payload())});
  return OkStatus();
}

}  // namespace berth::nri
