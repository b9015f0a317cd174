#ifndef DOOR_STREAM_NUMBERED_MESSAGES_H_
#define DOOR_STREAM_NUMBERED_MESSAGES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "door/stream/websocket.h"

namespace berth::door {

// Channels within a WebSocket, as Kubernetes has them: the first byte of a
// message is the number of its channel. In the base64 form a message is a text
// of a digit and what follows it, encoded. Thread-compatible.
class NumberedMessages {
 public:
  struct Part {
    uint8_t channel;
    std::string bytes;
  };

  explicit NumberedMessages(bool base64) : base64_(base64) {}

  // The frame of one message.
  std::string Pack(uint8_t channel, std::string_view bytes) const;
  // The next part of a message; nothing until its channel is known, and in
  // base64 until all of it is there. INVALID_ARGUMENT, RESOURCE_EXHAUSTED: the
  // connection cannot go on.
  StatusOr<std::optional<Part>> Take(const Websocket::Piece& piece);

 private:
  StatusOr<std::optional<Part>> TakeText(const Websocket::Piece& piece);

  const bool base64_;
  std::optional<uint8_t> channel_;  // of the message that is coming
  std::string text_;                // of such a message, in base64
};

}  // namespace berth::door

#endif  // DOOR_STREAM_NUMBERED_MESSAGES_H_
