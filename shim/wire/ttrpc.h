// ttrpc: calls in frames on a stream socket; what client and server share.
//
//   frame     u32 length of data · u32 stream · u8 type · u8 flags · data
//             (big-endian, 10 bytes before the data, data at most 4 MiB)
//   request   type 1, data = ttrpc.Request{service, method, payload, ...}
//   response  type 2, data = ttrpc.Response{status, payload}
//
// A client numbers its calls 1, 3, 5 and so on; the answers come in any
// order. There is no ping and no cancel: who gives up forgets the stream.
// Only unary calls are spoken here (type 3, data of streams, is not).
// Source: PROTOCOL.md of containerd/ttrpc.
#ifndef SHIM_WIRE_TTRPC_H_
#define SHIM_WIRE_TTRPC_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "api/shim/ttrpc/request.pb.h"
#include "base/clock.h"
#include "base/status.h"

namespace berth::shim {

inline constexpr size_t kFrameHeaderSize = 10;
inline constexpr size_t kMaxFrameData = 4u << 20;

enum FrameType : uint8_t { kRequestFrame = 1, kResponseFrame = 2 };

struct Frame {
  uint32_t stream = 0;
  uint8_t type = 0;  // unknown types are to be ignored
  uint8_t flags = 0;
  bool oversized = false;  // was longer than allowed: its data was dropped
  std::string data;
};

// `data` is at most kMaxFrameData.
std::string EncodeFrame(uint32_t stream, FrameType type, std::string_view data);

// Cuts a stream of bytes into frames. Keeps no more than one frame of the
// allowed size, and never reserves what a header merely promises.
// Single-threaded.
class FrameParser {
 public:
  void Feed(std::string_view bytes) { buffer_.append(bytes); }
  // The next whole frame; an oversized one as soon as its header is there.
  std::optional<Frame> Next();

 private:
  std::string buffer_;
  size_t used_ = 0;    // bytes of buffer_ that were handed out
  uint64_t skip_ = 0;  // bytes of an oversized frame still to be dropped
};

struct CallOptions {
  std::string name_space;  // containerd's; empty: not sent
  Duration timeout{0};     // 0: none
};

// RESOURCE_EXHAUSTED if the whole is more than a frame may carry.
StatusOr<std::string> EncodeRequest(uint32_t stream, const std::string& service,
                                    const std::string& method,
                                    const std::string& payload,
                                    const CallOptions& options);

// Of an answer that is an error or a payload; one that is too long becomes the
// error that says so.
std::string EncodeResponse(uint32_t stream,
                           const StatusOr<std::string>& payload);
StatusOr<std::string> DecodeResponse(const std::string& data);

}  // namespace berth::shim

#endif  // SHIM_WIRE_TTRPC_H_
