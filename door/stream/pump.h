#ifndef DOOR_STREAM_PUMP_H_
#define DOOR_STREAM_PUMP_H_

#include <optional>

#include "base/context.h"
#include "base/status.h"
#include "door/http/upgrade.h"
#include "door/stream/frames.h"
#include "sandbox/stream_session.h"

namespace berth::door {

// Which streams a client asked for; the others are read and dropped.
struct PumpOptions {
  bool want_stdout = true;
  bool want_stderr = true;
  bool want_stdin = false;
  DetachKeys detach_keys;  // with a terminal
  // End of the client's input is the end of the program's. Not with a
  // terminal: who detaches from one means to come back.
  bool close_stdin = true;
  // Whether the outputs are framed for the client; unset: without a terminal.
  std::optional<bool> framed = std::nullopt;
};

// How a pump ended.
enum class PumpEnd { kOutputsEnded, kDetached, kClientGone };

// Carries bytes between a client and a process until both outputs have ended,
// the client is gone or detaches, or the context ends. With a terminal they
// are plain, else framed.
StatusOr<PumpEnd> Pump(const Context& ctx, UpgradedConnection& client,
                       sandbox::StreamSession& session, PumpOptions options);

}  // namespace berth::door

#endif  // DOOR_STREAM_PUMP_H_
