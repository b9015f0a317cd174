#include "base/keyed_mutex.h"

#include <utility>

namespace berth {

KeyedMutex::Lock::Lock(KeyedMutex& owner, std::string key)
    : owner_(owner), key_(std::move(key)) {}

KeyedMutex::Lock::Lock(Lock&& other) noexcept
    : owner_(other.owner_),
      key_(other.key_),
      held_(std::exchange(other.held_, false)) {}

KeyedMutex::Lock::~Lock() { Give(); }

void KeyedMutex::Lock::Give() {
  if (held_) owner_.Release(key_);
  held_ = false;
}

Status KeyedMutex::Lock::Retake(const Context& ctx) {
  if (held_) return OkStatus();
  RETURN_IF_ERROR(owner_.Take(ctx, key_));
  held_ = true;
  return OkStatus();
}

StatusOr<KeyedMutex::Lock> KeyedMutex::Acquire(const Context& ctx,
                                               const std::string& key) {
  RETURN_IF_ERROR(Take(ctx, key));
  return Lock(*this, key);
}

Status KeyedMutex::Take(const Context& ctx, const std::string& key) {
  MutexLock lock(mutex_);
  Entry& entry = entries_[key];
  ++entry.waiters;
  const Status waited =
      ctx.Await(mutex_, released_, [&entry] { return !entry.held; });
  --entry.waiters;
  if (!waited.ok()) {
    Forget(key);
    return Annotate(waited, "wait for another request that holds " + key);
  }
  entry.held = true;
  return OkStatus();
}

void KeyedMutex::Forget(const std::string& key) {
  const auto it = entries_.find(key);
  if (!it->second.held && it->second.waiters == 0) entries_.erase(it);
}

void KeyedMutex::Release(const std::string& key) {
  MutexLock lock(mutex_);
  entries_.find(key)->second.held = false;
  Forget(key);
  released_.SignalAll();
}

}  // namespace berth
