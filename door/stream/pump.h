#ifndef DOOR_STREAM_PUMP_H_
#define DOOR_STREAM_PUMP_H_

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
  DetachKeys detach_keys;  // with a terminal
  // End of the client's input is the end of the program's. Not with a
  // terminal: who detaches from one means to come back.
  bool close_stdin = true;
};

// How a pump ended.
enum class PumpEnd { kOutputsEnded, kDetached, kClientGone };

// Carries bytes between a client and a process until both outputs have ended,
// the client is gone or detaches, or the context ends. A client that does not
// read stops its own program's output and nothing else. StreamChannel::End is
// left to the caller, who knows how the process ended.
StatusOr<PumpEnd> Pump(const Context& ctx, StreamChannel& client,
                       sandbox::StreamSession& session, PumpOptions options);

}  // namespace berth::door

#endif  // DOOR_STREAM_PUMP_H_
