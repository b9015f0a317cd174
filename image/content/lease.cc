#include "image/content/lease.h"

namespace berth::image {

Leases::Lease::~Lease() {
  MutexLock lock(owner_.mutex_);
  for (const Digest& digest : held_) {
    const auto it = owner_.counts_.find(digest);
    if (--it->second == 0) owner_.counts_.erase(it);
  }
}

void Leases::Lease::Add(const Digest& digest) {
  MutexLock lock(owner_.mutex_);
  if (held_.insert(digest).second) ++owner_.counts_[digest];
}

bool Leases::Lease::IsAlone(const Digest& digest) const {
  MutexLock lock(owner_.mutex_);
  const auto it = owner_.counts_.find(digest);
  return it == owner_.counts_.end() ||
         it->second == static_cast<int>(held_.count(digest));
}

Status Leases::Freeze(
    const std::function<Status(const std::set<Digest>&)>& collect) {
  MutexLock lock(mutex_);
  std::set<Digest> held;
  for (const auto& [digest, count] : counts_) held.insert(digest);
  return collect(held);
}

}  // namespace berth::image
