#ifndef SANDBOX_STREAM_SESSION_H_
#define SANDBOX_STREAM_SESSION_H_

#include <cstdint>
#include <functional>
#include <memory>

#include "base/context.h"
#include "base/status.h"
#include "base/unique_fd.h"

namespace berth::sandbox {

struct TerminalSize {
  uint16_t width = 0;
  uint16_t height = 0;
};

// A live connection to one process: what an Exec or Attach gives to a door,
// which pumps bytes between these fds and its client until both outputs end,
// and then asks Wait for the exit code.
//
// Movable. The fds are the caller's, non-blocking off, close-on-exec. Closing
// them detaches; it does not end the process. Thread-compatible, except that
// Resize, Signal and Wait may be called from any thread at any time.
class StreamSession {
 public:
  // What the session can do besides carrying bytes. Thread-safe.
  class Control {
   public:
    virtual ~Control() = default;
    virtual Status Resize(const Context& ctx, TerminalSize size) = 0;
    virtual Status Signal(const Context& ctx, int signal) = 0;
    // The exit code, 128 + number for a signal. Repeatable.
    virtual StatusOr<int> Wait(const Context& ctx) = 0;
    virtual Status CloseStdin(const Context& ctx) = 0;
    // As the host sees it; 0 if not known.
    virtual int pid() const = 0;
  };

  StreamSession() = default;
  StreamSession(UniqueFd in, UniqueFd out, UniqueFd err, bool tty,
                std::shared_ptr<Control> control)
      : stdin_(std::move(in)),
        stdout_(std::move(out)),
        stderr_(std::move(err)),
        tty_(tty),
        control_(std::move(control)) {}

  // Not valid() if not asked for. With a terminal, stderr is never there.
  UniqueFd& stdin_fd() { return stdin_; }
  UniqueFd& stdout_fd() { return stdout_; }
  UniqueFd& stderr_fd() { return stderr_; }
  bool tty() const { return tty_; }
  int pid() const { return control_->pid(); }

  Status Resize(const Context& ctx, TerminalSize size) const {
    return control_->Resize(ctx, size);
  }
  Status Signal(const Context& ctx, int signal) const {
    return control_->Signal(ctx, signal);
  }
  StatusOr<int> Wait(const Context& ctx) const { return control_->Wait(ctx); }
  // End of input for the process: closes our end and tells the shim, which
  // holds another.
  Status CloseStdin(const Context& ctx) {
    stdin_.reset();
    return control_->CloseStdin(ctx);
  }

 private:
  UniqueFd stdin_;
  UniqueFd stdout_;
  UniqueFd stderr_;
  bool tty_ = false;
  std::shared_ptr<Control> control_;
};

}  // namespace berth::sandbox

#endif  // SANDBOX_STREAM_SESSION_H_
