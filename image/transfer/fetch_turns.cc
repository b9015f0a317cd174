#include "image/transfer/fetch_turns.h"

#include <algorithm>

namespace berth::image {
namespace {

// What comes slower than so many bytes in one `patience` does not come.
constexpr uint64_t kHeadway = 64 * 1024;

}  // namespace

FetchTurns::Turn::~Turn() {
  if (owner_ == nullptr) return;
  MutexLock lock(owner_->mutex_);
  owner_->entries_[key_].work.reset();
  owner_->Changed(key_);
}

void FetchTurns::Turn::Advance(uint64_t bytes) {
  MutexLock lock(owner_->mutex_);
  Entry& entry = owner_->entries_[key_];
  if (bytes >= entry.counted && bytes - entry.counted < kHeadway) return;
  entry.counted = bytes;
  entry.moved = std::chrono::steady_clock::now();
}

bool FetchTurns::Turn::lost() const {
  MutexLock lock(owner_->mutex_);
  return owner_->entries_[key_].lost;
}

// After each change of an entry: it is forgotten when nobody needs it.
void FetchTurns::Changed(const std::string& key) {
  const auto found = entries_.find(key);
  ++found->second.changes;
  if (!found->second.work.has_value() && found->second.waiting.empty()) {
    entries_.erase(found);
  }
  changed_.SignalAll();
}

bool FetchTurns::IsNext(const Entry& entry, const std::string& origin) {
  if (entry.work.has_value()) return false;
  return entry.silent.count(origin) == 0 ||
         std::all_of(entry.waiting.begin(), entry.waiting.end(),
                     [&](const auto& one) {
                       return entry.silent.count(one.first) > 0;
                     });
}

Status FetchTurns::Await(const Context& ctx, Entry& entry,
                         const std::string& origin) {
  while (true) {
    RETURN_IF_ERROR(ctx.Check());
    if (IsNext(entry, origin)) return OkStatus();
    Context until = ctx;
    if (entry.work.has_value() && !entry.lost && !entry.origin.empty() &&
        entry.origin != origin && entry.silent.count(origin) == 0) {
      const SteadyTime end = entry.moved + patience_;
      if (std::chrono::steady_clock::now() >= end) {
        entry.lost = true;
        entry.silent.insert(entry.origin);
        entry.work->Cancel();
        ++entry.changes;
        changed_.SignalAll();
        continue;
      }
      until = ctx.WithDeadline(end);
    }
    const uint64_t seen = entry.changes;
    // That the time is over is looked at above.
    (void)until.Await(mutex_, changed_, [&] { return entry.changes != seen; });
  }
}

StatusOr<FetchTurns::Turn> FetchTurns::Take(const Context& ctx,
                                            const std::string& key,
                                            const std::string& origin) {
  MutexLock lock(mutex_);
  Entry& entry = entries_[key];
  ++entry.waiting[origin];
  const Status next = Await(ctx, entry, origin);
  if (--entry.waiting[origin] == 0) entry.waiting.erase(origin);
  if (next.ok()) {
    entry.work = ctx.WithCancel();
    entry.origin = origin;
    entry.lost = false;
    entry.moved = std::chrono::steady_clock::now();
    entry.counted = 0;
  }
  Turn turn(next.ok() ? this : nullptr, key, ctx);
  if (next.ok()) turn.work_ = *entry.work;
  Changed(key);
  if (!next.ok()) return Annotate(next, "wait for the fetch of " + key);
  return turn;
}

}  // namespace berth::image
