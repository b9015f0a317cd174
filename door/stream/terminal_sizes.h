#ifndef DOOR_STREAM_TERMINAL_SIZES_H_
#define DOOR_STREAM_TERMINAL_SIZES_H_

#include <optional>
#include <string>
#include <string_view>

#include "sandbox/stream_session.h"

namespace berth::door {

// The sizes of a client's terminal as Kubernetes sends them: JSON objects
// {"Width":80,"Height":24}, one after another, in pieces of any size. What is
// no size ends it: nothing more is heard. Thread-compatible.
class TerminalSizes {
 public:
  // The last size that is complete by now, if there is a new one.
  std::optional<sandbox::TerminalSize> Take(std::string_view bytes);

 private:
  std::string text_;
  bool broken_ = false;
};

}  // namespace berth::door

#endif  // DOOR_STREAM_TERMINAL_SIZES_H_
