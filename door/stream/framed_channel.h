#ifndef DOOR_STREAM_FRAMED_CHANNEL_H_
#define DOOR_STREAM_FRAMED_CHANNEL_H_

#include <string>
#include <string_view>

#include "door/stream/frames.h"
#include "door/stream/raw_channel.h"
#include "door/stream/stream.h"

namespace berth::door {

// Docker's multiplexed stream, which keeps both outputs apart (frames.h). The
// input is not framed. Thread-compatible.
class FramedChannel : public RawChannel {
 public:
  using RawChannel::RawChannel;

 protected:
  std::string Encode(Stream stream, std::string_view bytes) override {
    return Frame(stream, bytes);
  }
};

}  // namespace berth::door

#endif  // DOOR_STREAM_FRAMED_CHANNEL_H_
