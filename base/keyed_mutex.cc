#include "base/keyed_mutex.h"

#include <utility>

namespace berth {

KeyedMutex::Lock::Lock(KeyedMutex& owner, std::string key)
    : owner_(owner), key_(std::move(key)) {
  Retake();
}

KeyedMutex::Lock::~Lock() { Give(); }

void KeyedMutex::Lock::Give() {
  if (held_) owner_.Release(key_);
  held_ = false;
}

void KeyedMutex::Lock::Retake() {
  if (!held_) owner_.Acquire(key_);
  held_ = true;
}

void KeyedMutex::Acquire(const std::string& key) {
  MutexLock lock(mutex_);
  Entry& entry = entries_[key];
  ++entry.waiters;
  while (entry.held) released_.Wait(mutex_);
  --entry.waiters;
  entry.held = true;
}

void KeyedMutex::Release(const std::string& key) {
  MutexLock lock(mutex_);
  const auto it = entries_.find(key);
  it->second.held = false;
  if (it->second.waiters == 0) {
    entries_.erase(it);
  } else {
    released_.SignalAll();
  }
}

}  // namespace berth
