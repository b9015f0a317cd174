#ifndef SANDBOX_PROCESS_SESSION_FIFOS_H_
#define SANDBOX_PROCESS_SESSION_FIFOS_H_

#include <memory>
#include <string>

#include "base/status.h"
#include "base/unique_fd.h"
#include "sandbox/stream_session.h"
#include "shim/shim.h"

namespace berth::sandbox {

// Opens one end of a fifo without waiting for the other; the descriptor blocks
// afterwards.
StatusOr<UniqueFd> OpenFifoEnd(const std::string& path, int flags);

// Our ends of a session's streams. The fifos have names only until the shim
// has opened them: nothing is left behind when we die later. Single-threaded.
class SessionFifos {
 public:
  explicit SessionFifos(const std::string& directory);
  ~SessionFifos() { Unlink(); }
  SessionFifos(const SessionFifos&) = delete;
  SessionFifos& operator=(const SessionFifos&) = delete;

  Status Make(bool want_in, bool want_out, bool want_err);
  shim::Stdio& stdio() { return stdio_; }
  // Call when the shim has opened its ends. A writer that is not also a
  // reader is told when the process's end is gone.
  void Opened();
  // Nobody will open them: their readers see the end.
  void Abandon();

  StreamSession Take(bool tty, std::shared_ptr<StreamSession::Control> control);

  // Input by another way than a fifo of our own.
  void set_in(UniqueFd in) { in_ = std::move(in); }

 private:
  void Unlink();

  const std::string base_;
  shim::Stdio stdio_;
  UniqueFd in_, out_, err_;
};

}  // namespace berth::sandbox

#endif  // SANDBOX_PROCESS_SESSION_FIFOS_H_
