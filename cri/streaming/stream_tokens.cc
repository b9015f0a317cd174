#include "cri/streaming/stream_tokens.h"

#include <utility>

#include "base/strings.h"

namespace berth::cri {
namespace {

size_t SizeOf(const StreamRequest& request) {
  return std::visit([](const auto& message) { return message.ByteSizeLong(); },
                    request);
}

}  // namespace

StatusOr<std::string> StreamTokens::Issue(StreamRequest request) {
  const size_t bytes = SizeOf(request);
  MutexLock lock(mutex_);
  DropExpired();
  if (waiting_.size() >= limits_.tokens || bytes_ + bytes > limits_.bytes) {
    return ResourceExhausted("too many streams wait for their clients: " +
                             std::to_string(waiting_.size()));
  }
  std::string token = RandomId();
  bytes_ += bytes;
  waiting_[token] = {std::move(request), bytes,
                     std::chrono::steady_clock::now() + limits_.lifetime};
  return token;
}

std::optional<StreamRequest> StreamTokens::Redeem(const std::string& token) {
  MutexLock lock(mutex_);
  DropExpired();
  const auto found = waiting_.find(token);
  if (found == waiting_.end()) return std::nullopt;
  std::optional<StreamRequest> request = std::move(found->second.request);
  bytes_ -= found->second.bytes;
  waiting_.erase(found);
  return request;
}

void StreamTokens::DropExpired() {
  const SteadyTime now = std::chrono::steady_clock::now();
  for (auto one = waiting_.begin(); one != waiting_.end();) {
    if (one->second.until > now) {
      ++one;
      continue;
    }
    bytes_ -= one->second.bytes;
    one = waiting_.erase(one);
  }
}

}  // namespace berth::cri
