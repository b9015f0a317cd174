#include "cni/plugin/status_check.h"

#include <chrono>

namespace berth::cni {

std::optional<Status> StatusCheck::Last(const std::string& what) {
  MutexLock lock(mutex_);
  const bool counts = answered_.has_value() && what_ == what &&
                      std::chrono::steady_clock::now() - *answered_ < good_for_;
  if (!counts) return std::nullopt;
  return answer_;
}

Status StatusCheck::Get(const std::string& what, const Ask& ask) {
  if (const auto last = Last(what)) return *last;
  const Context wait = Context::Background("network-status");
  // Whoever asks is done after the limit; a moment later there is an answer.
  const StatusOr<KeyedMutex::Lock> lock =
      asking_.Acquire(wait.WithTimeout(2 * limit_), "");
  if (const auto last = Last(what)) return *last;
  if (!lock.ok()) return Unavailable("the network plugins do not answer");
  Status answer = ask(wait.WithTimeout(limit_));
  if (!answer.ok()) answer = Unavailable(Message(answer));
  MutexLock kept(mutex_);
  what_ = what;
  answer_ = answer;
  answered_ = std::chrono::steady_clock::now();
  return answer;
}

}  // namespace berth::cni
