#ifndef DOCKER_ROUTES_BODY_SOURCE_H_
#define DOCKER_ROUTES_BODY_SOURCE_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "base/status.h"
#include "base/strings.h"
#include "door/http/http_server.h"
#include "image/layer/byte_source.h"

namespace berth::docker {

// The body of a request as a stream of bytes: an archive that the client sends.
// Single-threaded.
class BodySource : public image::ByteSource {
 public:
  // `http` must outlive it.
  explicit BodySource(door::HttpExchange& http) : http_(http) {}

  // UNIMPLEMENTED for the two compressions that no code here undoes: programs
  // found in a container's PATH are not to do it (CVE-2026-41567).
  StatusOr<std::string_view> Next() override {
    constexpr size_t kPiece = 256 << 10;
    ASSIGN_OR_RETURN(piece_, http_.ReadSome(kPiece));
    if (std::exchange(first_, false) &&
        (StartsWith(piece_, "BZh") ||
         StartsWith(piece_, std::string_view("\xfd"
                                             "7zXZ\0",
                                             6)))) {
      return Unimplemented(
          "archives compressed with bzip2 or xz are not supported: use gzip, "
          "zstd or none");
    }
    return std::string_view(piece_);
  }

 private:
  door::HttpExchange& http_;
  std::string piece_;
  bool first_ = true;
};

}  // namespace berth::docker

#endif  // DOCKER_ROUTES_BODY_SOURCE_H_
