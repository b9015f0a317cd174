#include "nri/mux.h"

#include <algorithm>

#include "base/io/big_endian.h"

namespace berth::nri {
namespace {

constexpr size_t kReadersBuffer = 4096;

void AppendFrame(std::string& target, uint32_t connection,
                 std::string_view payload) {
  AppendBigEndian(target, connection);
  AppendBigEndian(target, static_cast<uint32_t>(payload.size()));
  target.append(payload);
}

}  // namespace

std::string EncodeMux(uint32_t connection, std::string_view bytes) {
  const std::string_view first = bytes.substr(0, kReadersBuffer);
  const std::string_view rest = bytes.substr(first.size());
  std::string frames;
  frames.reserve(2 * kMuxHeaderSize + bytes.size());
  AppendFrame(frames, connection, first);
  if (!rest.empty()) AppendFrame(frames, connection, rest);
  return frames;
}

StatusOr<std::optional<MuxFrame>> MuxParser::Next() {
  const char* bytes = buffer_.data() + used_;
  const size_t available = buffer_.size() - used_;
  const uint32_t length =
      available < kMuxHeaderSize ? 0 : ReadBigEndian(bytes + 4);
  if (length > kMaxMuxPayload) {
    return DataLoss("a frame of " + std::to_string(length) +
                    " bytes is longer than one may be");
  }
  if (available < kMuxHeaderSize + length) {
    buffer_.erase(0, used_);
    used_ = 0;
    if (buffer_.empty() && buffer_.capacity() > kReadersBuffer) {
      std::string().swap(buffer_);
    }
    return std::optional<MuxFrame>();
  }
  MuxFrame frame{ReadBigEndian(bytes), {}};
  frame.payload.assign(buffer_, used_ + kMuxHeaderSize, length);
  used_ += kMuxHeaderSize + length;
  return std::optional<MuxFrame>(std::move(frame));
}

}  // namespace berth::nri
