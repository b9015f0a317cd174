#include "door/stream/numbered_messages.h"

#include <utility>

#include "base/base64.h"

namespace berth::door {
namespace {

constexpr size_t kMaxText = 1 << 20;

}  // namespace

std::string NumberedMessages::Pack(uint8_t channel,
                                   std::string_view bytes) const {
  if (base64_) {
    return Websocket::Text(static_cast<char>('0' + channel) +
                           Base64Encode(bytes));
  }
  return Websocket::Binary(static_cast<char>(channel) + std::string(bytes));
}

StatusOr<std::optional<NumberedMessages::Part>> NumberedMessages::Take(
    const Websocket::Piece& piece) {
  if (base64_) return TakeText(piece);
  std::string_view bytes = piece.bytes;
  if (piece.first) channel_.reset();
  if (!channel_.has_value() && !bytes.empty()) {
    channel_ = static_cast<uint8_t>(bytes[0]);
    bytes.remove_prefix(1);
  }
  if (!channel_.has_value()) return std::optional<Part>();
  return std::optional<Part>(Part{*channel_, std::string(bytes)});
}

StatusOr<std::optional<NumberedMessages::Part>> NumberedMessages::TakeText(
    const Websocket::Piece& piece) {
  text_ += piece.bytes;
  if (text_.size() > kMaxText) {
    return ResourceExhausted("websocket: a text of more than " +
                             std::to_string(kMaxText) + " bytes");
  }
  if (!piece.last) return std::optional<Part>();
  const std::string text = std::exchange(text_, "");
  if (text.empty()) return std::optional<Part>();
  ASSIGN_OR_RETURN(std::string bytes,
                   Base64Decode(std::string_view(text).substr(1)));
  return std::optional<Part>(
      Part{static_cast<uint8_t>(text[0] - '0'), std::move(bytes)});
}

}  // namespace berth::door
