#ifndef CRI_STREAMING_STREAM_TOKENS_H_
#define CRI_STREAMING_STREAM_TOKENS_H_

#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <variant>

#include "api/cri/v1/api.pb.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "base/status.h"

namespace berth::cri {

namespace v1 = ::runtime::v1;

// What a client may come for. Ids are whole.
using StreamRequest =
    std::variant<v1::ExecRequest, v1::AttachRequest, v1::PortForwardRequest>;

struct StreamTokenLimits {
  size_t tokens = 1000;
  size_t bytes = 64 << 20;  // of all requests together
  Duration lifetime = std::chrono::minutes(1);
};

// Requests for streams whose client has not come yet, by the secret that it
// shows when it does: at once, and once.
//
// Thread-safe.
class StreamTokens {
 public:
  explicit StreamTokens(StreamTokenLimits limits = {}) : limits_(limits) {}

  // RESOURCE_EXHAUSTED if too many wait.
  StatusOr<std::string> Issue(StreamRequest request);
  // Nothing if there is no such token, or none any more.
  std::optional<StreamRequest> Redeem(const std::string& token);

 private:
  struct Waiting {
    StreamRequest request;
    size_t bytes;
    SteadyTime until;
  };

  void DropExpired() REQUIRES(mutex_);

  const StreamTokenLimits limits_;
  Mutex mutex_;
  std::map<std::string, Waiting> waiting_ GUARDED_BY(mutex_);
  size_t bytes_ GUARDED_BY(mutex_) = 0;
};

}  // namespace berth::cri

#endif  // CRI_STREAMING_STREAM_TOKENS_H_
