#include "cri/usage/cache.h"

#include <algorithm>
#include <utility>

namespace berth::cri {
namespace {

constexpr Duration kLeastAge = std::chrono::seconds(10);
// At most a twentieth of the time goes into measuring one layer.
constexpr int kPause = 20;
// Of layers that nobody asks about any more.
constexpr Duration kForget = std::chrono::minutes(10);

}  // namespace

UsageCache::UsageCache(Measure measure, Clock clock)
    : measure_(std::move(measure)), clock_(std::move(clock)) {}

StatusOr<v1::FilesystemUsage> UsageCache::Get(const std::string& key) {
  const SteadyTime asked = clock_();
  {
    MutexLock lock(mutex_);
    const auto found = entries_.find(key);
    if (found != entries_.end() && asked < found->second.good_until) {
      return found->second.usage;
    }
  }
  ASSIGN_OR_RETURN(const v1::FilesystemUsage usage, measure_(key));
  const SteadyTime now = clock_();
  MutexLock lock(mutex_);
  entries_[key] = {usage,
                   now + std::max<Duration>(kLeastAge, (now - asked) * kPause)};
  if (now - swept_ > kForget) {
    swept_ = now;
    std::erase_if(entries_, [now](const auto& entry) {
      return entry.second.good_until + kForget < now;
    });
  }
  return usage;
}

}  // namespace berth::cri
