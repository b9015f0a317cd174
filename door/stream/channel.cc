#include "door/stream/channel.h"

namespace berth::door {
namespace {

constexpr size_t kPiece = 32 << 10;

}  // namespace

StatusOr<std::optional<ChannelInput>> StreamChannel::TryRead() {
  ASSIGN_OR_RETURN(const std::optional<std::string> received,
                   client_.TryRead(kPiece));
  if (!received.has_value()) return std::optional<ChannelInput>();
  return Decode(*received);
}

Status StreamChannel::Flush(const Context& ctx) {
  if (unsent_.empty()) return OkStatus();
  ASSIGN_OR_RETURN(const size_t sent, client_.TryWrite(ctx, unsent_));
  unsent_.erase(0, sent);
  return OkStatus();
}

Status StreamChannel::Write(const Context& ctx, Stream stream,
                            std::string_view bytes) {
  Put(stream, bytes);
  return client_.Write(ctx, std::exchange(unsent_, ""));
}

Status StreamChannel::End(const Context& ctx, std::optional<int> exit_code) {
  unsent_ += EncodeEnd(exit_code);
  if (unsent_.empty()) return OkStatus();
  return client_.Write(ctx, std::exchange(unsent_, ""));
}

}  // namespace berth::door
