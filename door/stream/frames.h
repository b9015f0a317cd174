// The multiplexed stream of attach, exec and logs without a terminal.
#ifndef DOOR_STREAM_FRAMES_H_
#define DOOR_STREAM_FRAMES_H_

#include <string>
#include <string_view>

#include "base/status.h"
#include "door/stream/stream.h"

namespace berth::door {

// The eight bytes before each piece: stream, three zeros, length in network
// order. A piece must be shorter than 4 GiB.
std::string FrameHead(Stream stream, size_t length);
// Head and piece.
std::string Frame(Stream stream, std::string_view bytes);

// Finds the keys that end an attachment ("ctrl-p,ctrl-q" by default) in what a
// client types. Single-threaded.
class DetachKeys {
 public:
  DetachKeys() : DetachKeys("\x10\x11") {}
  // "ctrl-X" and single characters, separated by commas; "" is the default.
  static StatusOr<DetachKeys> Parse(std::string_view keys);

  // What of `typed` goes on to the program: keys that may be the beginning of
  // the sequence are held back until the next call. Nothing more passes once
  // `detached`.
  std::string Pass(std::string_view typed);
  bool detached() const { return matched_ == keys_.size(); }

 private:
  explicit DetachKeys(std::string keys) : keys_(std::move(keys)) {}
  std::string keys_;
  size_t matched_ = 0;
};

}  // namespace berth::door

#endif  // DOOR_STREAM_FRAMES_H_
