#ifndef DOOR_STREAM_PUMP_H_
#define DOOR_STREAM_PUMP_H_

#include <chrono>
#include <optional>

#include "base/clock.h"
#include "base/context.h"
#include "base/status.h"
#include "door/stream/channel.h"
#include "door/stream/frames.h"
#include "sandbox/stream_session.h"

namespace berth::door {

// Which streams a client asked for; the others are read and dropped.
struct PumpOptions {
  bool want_stdout = true;
  bool want_stderr = true;
  bool want_stdin = false;
  std::optional<DetachKeys> detach_keys;  // with a terminal
  // End of the client's input is the end of the program's. Not with a
  // terminal: who detaches from one means to come back.
  bool close_stdin = true;
  // Without a byte either way for so long, it ends. A quiet program is none of
  // Docker's business.
  Duration idle_limit = std::chrono::hours(24 * 365);
};

// How a pump ended. kIdle: by its limit.
enum class PumpEnd { kOutputsEnded, kDetached, kClientGone, kIdle };

// Carries bytes between a client and a process until both outputs have ended,
// the client is gone, detaches or is idle, or the context ends. A client that
// does not read stops its own program's output and nothing else.
// StreamChannel::End is left to the caller, who knows how the process ended.
StatusOr<PumpEnd> Pump(const Context& ctx, StreamChannel& client,
                       sandbox::StreamSession& session, PumpOptions options);

}  // namespace berth::door

#endif  // DOOR_STREAM_PUMP_H_
