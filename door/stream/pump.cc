#include "door/stream/pump.h"

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
// A fifo that says POLLOUT takes PIPE_BUF bytes without blocking.
constexpr size_t kFifoPiece = 4096;
// For a shim that does not answer.
constexpr Duration kShimLimit = std::chrono::seconds(10);

// Both ways in one thread: at most a piece each way is held, and what cannot
// go on is not read.
class Pumping {
 public:
  Pumping(const Context& ctx, StreamChannel& client,
          sandbox::StreamSession& session, PumpOptions& options)
      : ctx_(ctx), client_(client), session_(session), options_(options) {}

  // CANCELLED, DEADLINE_EXCEEDED: the context ended.
  StatusOr<PumpEnd> Run() {
    while (!OutputsEnded()) {
      Watch();
      const int wait = WantsInput() && client_.HasPending() ? 0 : -1;
      if (poll(polled_, 5, wait) < 0 && errno != EINTR) {
        return Errno(errno, "poll streams");
      }
      RETURN_IF_ERROR(ctx_.Check());
      if ((polled_[kClient].revents & (POLLHUP | POLLERR)) != 0) {
        return PumpEnd::kClientGone;
      }
      if (!Show()) return PumpEnd::kClientGone;
      if (!Type()) return PumpEnd::kClientGone;
      if (options_.detach_keys.detached() && input_.empty()) {
        return PumpEnd::kDetached;
      }
    }
    return PumpEnd::kOutputsEnded;
  }

 private:
  enum Watched { kClient, kStdin, kStdout, kStderr, kEnd };

  bool OutputsEnded() {
    return !client_.HasUnsent() && !session_.stdout_fd().valid() &&
           !session_.stderr_fd().valid();
  }
  bool WantsInput() const {
    return input_.empty() && !input_ended_ && !options_.detach_keys.detached();
  }

  void Watch() {
    const auto source = [&](const UniqueFd& fd) {
      return pollfd{!client_.HasUnsent() ? fd.get() : -1, POLLIN, 0};
    };
    short client = 0;
    if (WantsInput()) client |= POLLIN;
    if (client_.HasUnsent()) client |= POLLOUT;
    polled_[kClient] = {client_.fd(), client, 0};
    polled_[kStdin] = {input_.empty() ? -1 : session_.stdin_fd().get(), POLLOUT,
                       0};
    polled_[kStdout] = source(session_.stdout_fd());
    polled_[kStderr] = source(session_.stderr_fd());
    polled_[kEnd] = {ctx_.cancel_fd(), POLLIN, 0};
  }

  // Program to client. False when the client is gone.
  bool Show() {
    if (!client_.HasUnsent()) {
      Carry(kStdout, session_.stdout_fd(), Stream::kStdout,
            options_.want_stdout);
    }
    if (!Flush()) return false;
    if (!client_.HasUnsent()) {
      Carry(kStderr, session_.stderr_fd(), Stream::kStderr,
            options_.want_stderr);
    }
    return Flush();
  }

  void Carry(Watched watched, UniqueFd& fd, Stream stream, bool wanted) {
    if (!fd.valid() || polled_[watched].revents == 0) return;
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
    input_ended_ = input.ended;
    if (input.size.has_value()) {
      (void)session_.Resize(ctx_.WithTimeout(kShimLimit), *input.size);
    }
    input_ =
        session_.tty() ? options_.detach_keys.Pass(input.bytes) : input.bytes;
    // Input that nobody wants is dropped, and so is what a program that has
    // closed its input is sent: its outputs decide when this ends.
    if (!options_.want_stdin || !session_.stdin_fd().valid()) input_.clear();
  }

  void Deliver() {
    const ssize_t n = write(session_.stdin_fd().get(), input_.data(),
                            std::min(input_.size(), kFifoPiece));
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (n > 0) {
      input_.erase(0, static_cast<size_t>(n));
    } else {
      input_.clear();
      options_.want_stdin = false;
    }
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
};

}  // namespace

StatusOr<PumpEnd> Pump(const Context& ctx, StreamChannel& client,
                       sandbox::StreamSession& session, PumpOptions options) {
  return Pumping(ctx, client, session, options).Run();
}

}  // namespace berth::door
