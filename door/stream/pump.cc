#include "door/stream/pump.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/unique_fd.h"
#include "door/stream/stream.h"

namespace berth::door {
namespace {

constexpr size_t kPiece = 32 << 10;
// Input that is held for a program. A client that keeps to the window of its
// stream sends no more, so that its other streams are always read.
constexpr size_t kMaxInput = 64 << 10;
// For a shim that does not answer.
constexpr Duration kShimLimit = std::chrono::seconds(10);

int MillisUntil(SteadyTime at) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
      at - std::chrono::steady_clock::now());
  return static_cast<int>(std::clamp<int64_t>(left.count() + 1, 0, 3'600'000));
}

// Both ways in one thread: at most a few pieces each way are held, and what
// cannot go on is not read.
class Pumping {
 public:
  Pumping(const Context& ctx, StreamChannel& client,
          sandbox::StreamSession& session, PumpOptions& options)
      : ctx_(ctx), client_(client), session_(session), options_(options) {
    // The open file is ours alone: the shim's end stays as it is.
    const int in = session_.stdin_fd().get();
    if (in >= 0) (void)fcntl(in, F_SETFL, O_WRONLY | O_NONBLOCK);
  }

  // CANCELLED, DEADLINE_EXCEEDED: the context ended.
  StatusOr<PumpEnd> Run() {
    while (!OutputsEnded()) {
      Watch();
      const bool pending = WantsInput() && client_.HasPending();
      const int n = poll(polled_, 5, pending ? 0 : MillisUntil(idle_at_));
      if (n < 0 && errno != EINTR) return Errno(errno, "poll streams");
      RETURN_IF_ERROR(ctx_.Check());
      if (n > 0 || pending) {
        idle_at_ = std::chrono::steady_clock::now() + options_.idle_limit;
      } else if (n == 0 && idle_at_ <= std::chrono::steady_clock::now()) {
        return PumpEnd::kIdle;
      }
      if (ClientIsGone() || !Show()) return PumpEnd::kClientGone;
      if (!Type()) return PumpEnd::kClientGone;
      if (Detached() && input_.empty()) return PumpEnd::kDetached;
    }
    return PumpEnd::kOutputsEnded;
  }

 private:
  enum Watched { kClient, kStdin, kStdout, kStderr, kEnd };

  bool Detached() const {
    return options_.detach_keys.has_value() && options_.detach_keys->detached();
  }
  bool OutputsEnded() {
    return client_.Takes(Stream::kStdout) && client_.Takes(Stream::kStderr) &&
           !session_.stdout_fd().valid() && !session_.stderr_fd().valid();
  }
  // A client whose connection is more than the program's input is read on when
  // that has ended.
  bool WantsInput() const {
    return input_.size() < kMaxInput && !Detached() &&
           (!input_ended_ || client_.EndsWithClient()) &&
           !client_.client().IsFull();
  }
  // What it has sent before is not worth waiting for when the program does not
  // read.
  bool ClientIsGone() const {
    const short revents = polled_[kClient].revents;
    return (revents & (POLLHUP | POLLERR)) != 0 ||
           ((revents & POLLRDHUP) != 0 && !WantsInput());
  }

  void Watch() {
    const auto source = [&](const UniqueFd& fd, Stream stream) {
      return pollfd{client_.Takes(stream) ? fd.get() : -1, POLLIN, 0};
    };
    short client = 0;
    if (WantsInput()) client |= POLLIN;
    if (client_.client().HasUnsent()) client |= POLLOUT;
    if (client_.EndsWithClient()) client |= POLLRDHUP;
    polled_[kClient] = {client_.client().fd(), client, 0};
    polled_[kStdin] = {input_.empty() ? -1 : session_.stdin_fd().get(), POLLOUT,
                       0};
    polled_[kStdout] = source(session_.stdout_fd(), Stream::kStdout);
    polled_[kStderr] = source(session_.stderr_fd(), Stream::kStderr);
    polled_[kEnd] = {ctx_.cancel_fd(), POLLIN, 0};
  }

  // Program to client. False when the client is gone.
  bool Show() {
    Carry(kStdout, session_.stdout_fd(), Stream::kStdout, options_.want_stdout);
    if (!Flush()) return false;
    Carry(kStderr, session_.stderr_fd(), Stream::kStderr, options_.want_stderr);
    return Flush();
  }

  void Carry(Watched watched, UniqueFd& fd, Stream stream, bool wanted) {
    if (!fd.valid() || polled_[watched].revents == 0) return;
    if (!client_.Takes(stream)) return;
    char bytes[kPiece];
    const ssize_t n = TEMP_FAILURE_RETRY(read(fd.get(), bytes, sizeof(bytes)));
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) return fd.reset();  // a terminal ends with EIO
    if (!wanted) return;
    client_.Put(stream, std::string_view(bytes, static_cast<size_t>(n)));
  }

  bool Flush() { return client_.Flush(ctx_).ok(); }

  // Client to program. False when the client is gone.
  bool Type() {
    if (WantsInput() &&
        (polled_[kClient].revents != 0 || client_.HasPending())) {
      StatusOr<std::optional<ChannelInput>> input = client_.TryRead();
      if (!input.ok()) return false;
      if (input->has_value()) Take(**input);
    }
    if (polled_[kStdin].revents != 0) Deliver();
    if (input_ended_ && input_.empty()) CloseInput();
    return true;
  }

  void Take(const ChannelInput& input) {
    if (input.size.has_value()) {
      (void)session_.Resize(ctx_.WithTimeout(kShimLimit), *input.size);
    }
    // Input that nobody wants is dropped, and so is what a program that has
    // closed its input is sent: its outputs decide when this ends.
    if (!options_.want_stdin || input_ended_ || !session_.stdin_fd().valid()) {
      client_.Took(input.bytes.size());
    } else {
      const bool keys = session_.tty() && options_.detach_keys.has_value();
      input_ += keys ? options_.detach_keys->Pass(input.bytes) : input.bytes;
    }
    input_ended_ = input_ended_ || input.ended;
  }

  void Deliver() {
    const ssize_t n =
        write(session_.stdin_fd().get(), input_.data(), input_.size());
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) return;
    const size_t taken = n > 0 ? static_cast<size_t>(n) : input_.size();
    client_.Took(taken);
    input_.erase(0, taken);
    if (n <= 0) options_.want_stdin = false;
  }

  void CloseInput() {
    if (!options_.want_stdin || !options_.close_stdin) return;
    options_.want_stdin = false;
    (void)session_.CloseStdin(ctx_.WithTimeout(kShimLimit));
  }

  const Context& ctx_;
  StreamChannel& client_;
  sandbox::StreamSession& session_;
  PumpOptions& options_;
  pollfd polled_[5] = {};
  std::string input_;  // for the program
  bool input_ended_ = false;
  SteadyTime idle_at_ = std::chrono::steady_clock::now() + options_.idle_limit;
};

}  // namespace

StatusOr<PumpEnd> Pump(const Context& ctx, StreamChannel& client,
                       sandbox::StreamSession& session, PumpOptions options) {
  return Pumping(ctx, client, session, options).Run();
}

}  // namespace berth::door
