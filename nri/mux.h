// The frames that carry two ttrpc connections over one socket to a plugin.
//
//   frame   u32 connection · u32 length of payload · payload   (big-endian)
//
// A connection is there as soon as somebody uses its number. Pure.
#ifndef NRI_MUX_H_
#define NRI_MUX_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace berth::nri {

// On the first the plugin answers us, on the second we answer it.
inline constexpr uint32_t kPluginConnection = 1;
inline constexpr uint32_t kRuntimeConnection = 2;

inline constexpr size_t kMuxHeaderSize = 8;
// A whole ttrpc frame: 10 bytes of header and 4 MiB of data.
inline constexpr size_t kMaxMuxPayload = 10 + (4u << 20);

// One ttrpc frame, in one or two frames of ours. A plugin in Go reads through a
// buffer of 4096 bytes, refuses a payload that is longer than the room it has
// at that moment, and gives up when 256 payloads wait: so the first has at most
// as many bytes as its buffer, and the second all the rest, which it reads
// directly to where it belongs.
std::string EncodeMux(uint32_t connection, std::string_view bytes);

struct MuxFrame {
  uint32_t connection = 0;
  std::string payload;
};

// Cuts a stream of bytes into frames. Keeps no more than one frame, and never
// reserves what a header merely promises. Single-threaded.
class MuxParser {
 public:
  void Feed(std::string_view bytes) { buffer_.append(bytes); }
  // The next whole frame; nothing until more has come. DATA_LOSS for one that
  // is longer than allowed: what follows cannot be read then.
  StatusOr<std::optional<MuxFrame>> Next();

 private:
  std::string buffer_;
  size_t used_ = 0;  // bytes of buffer_ that were handed out
};

}  // namespace berth::nri

#endif  // NRI_MUX_H_
