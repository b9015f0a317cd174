#include "door/stream/channel.h"

namespace berth::door {
namespace {

constexpr size_t kMaxEarly = 1 << 20;

}  // namespace

StatusOr<std::optional<ChannelInput>> StreamChannel::TryRead() {
  if (early_.has_value()) return std::exchange(early_, std::nullopt);
  ASSIGN_OR_RETURN(const std::optional<std::string> received,
                   client_.TryRead());
  if (!received.has_value()) return std::optional<ChannelInput>();
  return Take(*received);
}

StatusOr<std::optional<ChannelInput>> StreamChannel::Take(
    std::string_view received) {
  if (received.empty() && EndsWithClient()) {
    return Unavailable("the client has gone");
  }
  return Decode(received);
}

Status StreamChannel::ReadAhead(const Context& ctx) {
  RETURN_IF_ERROR(client_.FlushAll(ctx));
  if (!client_.HasPending()) RETURN_IF_ERROR(AwaitReadable(ctx, client_.fd()));
  ASSIGN_OR_RETURN(const std::optional<std::string> received,
                   client_.TryRead());
  if (!received.has_value()) return OkStatus();
  ASSIGN_OR_RETURN(std::optional<ChannelInput> input, Take(*received));
  if (!input.has_value() ||
      (input->bytes.empty() && !input->ended && !input->size.has_value())) {
    return OkStatus();
  }
  if (!early_.has_value()) early_.emplace();
  early_->bytes += input->bytes;
  early_->ended = early_->ended || input->ended;
  if (input->size.has_value()) early_->size = input->size;
  if (early_->bytes.size() <= kMaxEarly) return OkStatus();
  return ResourceExhausted("the client sends input before it may");
}

Status StreamChannel::Write(const Context& ctx, Stream stream,
                            std::string_view bytes) {
  Put(stream, bytes);
  return client_.FlushAll(ctx);
}

Status StreamChannel::End(const Context& ctx, const StreamEnd& end) {
  client_.Put(EncodeEnd(end));
  return client_.FlushAll(ctx);
}

}  // namespace berth::door
