#include "docker/stream_pump.h"

#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <string>
#include <thread>
#include <utility>

#include "base/unique_fd.h"

namespace berth::docker {
namespace {

constexpr size_t kPiece = 32 << 10;

// Client to program, in a thread of its own.
class Typing {
 public:
  Typing(const Context& ctx, UpgradedConnection& client,
         sandbox::StreamSession& session, PumpOptions& options)
      : ctx_(ctx), client_(client), session_(session), options_(options) {}

  void Run() {
    while (true) {
      StatusOr<std::string> typed = client_.Read(ctx_, kPiece);
      if (!typed.ok()) return;
      if (typed->empty()) break;
      if (session_.tty()) {
        *typed = options_.detach_keys.Pass(*typed);
      }
      // Input that nobody wants is dropped, and so is what a program that has
      // closed its input is sent: its outputs decide when this ends.
      if (options_.want_stdin && session_.stdin_fd().valid()) Deliver(*typed);
      if (session_.tty() && options_.detach_keys.detached()) {
        detached_ = true;
        ctx_.Cancel();
        return;
      }
    }
    if (options_.want_stdin && options_.close_stdin) {
      (void)session_.CloseStdin(ctx_);
    }
  }

  bool detached() const { return detached_; }

 private:
  void Deliver(std::string_view bytes) {
    const int fd = session_.stdin_fd().get();
    while (!bytes.empty()) {
      pollfd polled[] = {{fd, POLLOUT, 0}, {ctx_.cancel_fd(), POLLIN, 0}};
      if (poll(polled, 2, -1) < 0 && errno != EINTR) return;
      if (ctx_.cancelled()) return;
      // A fifo that says POLLOUT takes PIPE_BUF bytes without blocking.
      const size_t piece = std::min<size_t>(bytes.size(), 4096);
      const ssize_t n = write(fd, bytes.data(), piece);
      if (n < 0 && errno != EINTR && errno != EAGAIN) return;
      if (n > 0) bytes.remove_prefix(static_cast<size_t>(n));
    }
  }

  const Context& ctx_;
  UpgradedConnection& client_;
  sandbox::StreamSession& session_;
  PumpOptions& options_;
  std::atomic<bool> detached_ = false;
};

// One output of the program.
struct Source {
  UniqueFd& fd;
  Stream stream;
  bool wanted;
};

// True if there was something; closes the source at its end.
StatusOr<bool> Carry(const Context& ctx, UpgradedConnection& client,
                     Source& source, bool framed) {
  char bytes[kPiece];
  const ssize_t n =
      TEMP_FAILURE_RETRY(read(source.fd.get(), bytes, sizeof(bytes)));
  if (n < 0 && errno == EAGAIN) return true;
  if (n <= 0) {  // a terminal ends with EIO
    source.fd.reset();
    return false;
  }
  if (!source.wanted) return true;
  const std::string_view piece(bytes, static_cast<size_t>(n));
  RETURN_IF_ERROR(client.Write(
      ctx, framed ? Frame(source.stream, piece) : std::string(piece)));
  return true;
}

// Program to client. OK when both outputs have ended.
Status Show(const Context& ctx, UpgradedConnection& client,
            sandbox::StreamSession& session, const PumpOptions& options) {
  Source sources[] = {
      {session.stdout_fd(), Stream::kStdout, options.want_stdout},
      {session.stderr_fd(), Stream::kStderr, options.want_stderr}};
  while (session.stdout_fd().valid() || session.stderr_fd().valid()) {
    // The client's own end is seen without being asked for (POLLHUP).
    pollfd polled[] = {{sources[0].fd.get(), POLLIN, 0},
                       {sources[1].fd.get(), POLLIN, 0},
                       {client.fd(), 0, 0},
                       {ctx.cancel_fd(), POLLIN, 0}};
    if (poll(polled, 4, -1) < 0 && errno != EINTR) return Errno(errno, "poll");
    if (polled[3].revents != 0) return Cancelled("detached");
    if (polled[2].revents != 0) return Unavailable("the client is gone");
    for (int i = 0; i < 2; ++i) {
      if (polled[i].revents == 0) continue;
      RETURN_IF_ERROR(Carry(ctx, client, sources[i], !session.tty()).status());
    }
  }
  return OkStatus();
}

}  // namespace

StatusOr<PumpEnd> Pump(const Context& ctx, UpgradedConnection& client,
                       sandbox::StreamSession& session, PumpOptions options) {
  const Context both = ctx.WithCancel();
  Typing typing(both, client, session, options);
  std::thread typist([&] { typing.Run(); });
  const Status shown = Show(both, client, session, options);
  both.Cancel();
  typist.join();
  if (shown.ok()) return PumpEnd::kOutputsEnded;
  if (typing.detached()) return PumpEnd::kDetached;
  RETURN_IF_ERROR(ctx.Check());
  return PumpEnd::kClientGone;
}

}  // namespace berth::docker
