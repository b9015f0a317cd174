#ifndef DOOR_STREAM_SPDY_HEADERS_H_
#define DOOR_STREAM_SPDY_HEADERS_H_

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace berth::door {

// Names are in lower case.
using SpdyHeaderList = std::vector<std::pair<std::string, std::string>>;

// The header blocks of one SPDY/3.1 session, in both directions (section
// 2.6.10). Each is compressed with all that were before it: none may be left
// out, and one that cannot be read is the end of the session.
//
// Thread-compatible.
class SpdyHeaders {
 public:
  // Of a block when it is unpacked.
  static constexpr size_t kMaxBytes = 32 << 10;
  static constexpr size_t kMaxHeaders = 64;

  SpdyHeaders();
  ~SpdyHeaders();
  SpdyHeaders(const SpdyHeaders&) = delete;
  SpdyHeaders& operator=(const SpdyHeaders&) = delete;

  // INVALID_ARGUMENT; RESOURCE_EXHAUSTED beyond the limits.
  StatusOr<SpdyHeaderList> Unpack(std::string_view block);
  StatusOr<std::string> Pack(const SpdyHeaderList& headers);

 private:
  class Inflater;
  class Deflater;
  const std::unique_ptr<Inflater> inflater_;
  const std::unique_ptr<Deflater> deflater_;
};

}  // namespace berth::door

#endif  // DOOR_STREAM_SPDY_HEADERS_H_
