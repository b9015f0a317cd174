#include "door/stream/client.h"

namespace berth::door {
namespace {

constexpr size_t kPiece = 32 << 10;
constexpr size_t kFull = 256 << 10;

}  // namespace

StatusOr<std::optional<std::string>> StreamClient::TryRead() {
  return connection_.TryRead(kPiece);
}

bool StreamClient::IsFull() const { return unsent_.size() >= kFull; }

Status StreamClient::Flush(const Context& ctx) {
  if (unsent_.empty()) return OkStatus();
  ASSIGN_OR_RETURN(const size_t sent, connection_.TryWrite(ctx, unsent_));
  unsent_.erase(0, sent);
  return OkStatus();
}

Status StreamClient::FlushAll(const Context& ctx) {
  if (unsent_.empty()) return OkStatus();
  return connection_.Write(ctx, std::exchange(unsent_, ""));
}

}  // namespace berth::door
