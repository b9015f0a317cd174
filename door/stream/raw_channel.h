#ifndef DOOR_STREAM_RAW_CHANNEL_H_
#define DOOR_STREAM_RAW_CHANNEL_H_

#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "door/stream/channel.h"
#include "door/stream/stream.h"

namespace berth::door {

// Docker's stream of a terminal: bytes as they are, both outputs in one.
// Thread-compatible.
class RawChannel : public StreamChannel {
 public:
  using StreamChannel::StreamChannel;

 protected:
  std::string Encode(Stream /*stream*/, std::string_view bytes) override {
    return std::string(bytes);
  }
  StatusOr<std::optional<ChannelInput>> Decode(
      const std::string& received) override {
    return ChannelInput{received, /*ended=*/received.empty(), std::nullopt};
  }
  std::string EncodeEnd(std::optional<int> /*exit_code*/) override {
    return "";  // the client asks for it by another request
  }
};

}  // namespace berth::door

#endif  // DOOR_STREAM_RAW_CHANNEL_H_
