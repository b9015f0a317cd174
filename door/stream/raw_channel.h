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

  // `docker attach < file` shuts its side down and reads on.
  bool EndsWithClient() const override { return false; }

 protected:
  std::string Encode(Stream /*stream*/, std::string_view bytes) override {
    return std::string(bytes);
  }
  StatusOr<std::optional<ChannelInput>> Decode(
      std::string_view received) override {
    return ChannelInput{std::string(received), /*ended=*/received.empty(),
                        std::nullopt};
  }
  std::string EncodeEnd(const StreamEnd& /*end*/) override {
    return "";  // the client asks for it by another request
  }
};

}  // namespace berth::door

#endif  // DOOR_STREAM_RAW_CHANNEL_H_
