#include "image/garbage_collector.h"

#include <glog/logging.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/failpoint.h"

namespace berth::image {
namespace {

// A half-written blob is worth going on with for a day.
constexpr UnixNanos kIngestLife = UnixNanos{24} * 3600 * 1'000'000'000;
// Between a collection that failed and the next try.
constexpr Duration kFirstPause = std::chrono::seconds(1);
constexpr Duration kLongestPause = std::chrono::minutes(10);

}  // namespace

GarbageCollector::GarbageCollector(ContentStore& content,
                                   Snapshotter& snapshots, ImageStore& images,
                                   Leases& leases, uint64_t max_partial_bytes)
    : content_(content),
      snapshots_(snapshots),
      images_(images),
      leases_(leases),
      max_partial_bytes_(max_partial_bytes),
      stop_(Context::Background("garbage").WithCancel()) {}

GarbageCollector::~GarbageCollector() {
  {
    MutexLock lock(mutex_);
    ending_ = true;
    changed_.SignalAll();
  }
  stop_.Cancel();
}

Status GarbageCollector::Start() {
  ASSIGN_OR_RETURN(thread_, StartThread("image-garbage", [this] { Run(); }));
  return OkStatus();
}

void GarbageCollector::Wake() {
  MutexLock lock(mutex_);
  woken_ = true;
  changed_.SignalAll();
}

void GarbageCollector::WakeAfter(Duration delay) {
  MutexLock lock(mutex_);
  if (later_) return;
  later_ = std::chrono::steady_clock::now() +
           std::chrono::duration_cast<SteadyTime::duration>(delay);
  changed_.SignalAll();
}

std::optional<SteadyTime> GarbageCollector::Next(
    const std::optional<SteadyTime>& again) const {
  if (!again || !later_) return again ? again : later_;
  return std::min(*again, *later_);
}

bool GarbageCollector::AwaitWork(std::optional<SteadyTime> again) {
  MutexLock lock(mutex_);
  while (!woken_ && !ending_) {
    const std::optional<SteadyTime> next = Next(again);
    if (!next) {
      changed_.Wait(mutex_);
    } else if (!changed_.WaitUntil(mutex_, *next)) {
      break;
    }
  }
  woken_ = false;
  later_.reset();
  return !ending_;
}

void GarbageCollector::Run() {
  Duration pause = kFirstPause;
  std::optional<SteadyTime> again;
  while (AwaitWork(again)) {
    const StatusOr<DiskUsage> freed = Collect(stop_);
    again.reset();
    if (freed.ok()) {
      pause = kFirstPause;
      continue;
    }
    LOG(WARNING) << "collect garbage: " << Message(freed.status());
    again = std::chrono::steady_clock::now() +
            std::chrono::duration_cast<SteadyTime::duration>(pause);
    pause = std::min<Duration>(pause * 4, kLongestPause);
  }
}

Status GarbageCollector::TrimPartial(uint64_t most) {
  return leases_.Freeze([&](const std::set<Digest>& held) {
    return content_.TrimPartial(most, Now() - kIngestLife, held);
  });
}

StatusOr<uint64_t> GarbageCollector::RemoveBlobs(
    const std::set<Digest>& needed) {
  uint64_t freed = 0;
  ASSIGN_OR_RETURN(const std::vector<BlobInfo> blobs, content_.List());
  for (const BlobInfo& blob : blobs) {
    if (needed.count(blob.digest) > 0) continue;
    RETURN_IF_ERROR(content_.Remove(blob.digest));
    RETURN_IF_ERROR(Failpoint("image.collect.blob"));
    freed += blob.size;
  }
  return freed;
}

StatusOr<DiskUsage> GarbageCollector::ForgetUnusedLayers(
    const std::set<Digest>& needed) {
  ASSIGN_OR_RETURN(const Snapshotter::Unused unused,
                   snapshots_.ForgetUnused(needed));
  doomed_.insert(unused.numbers.begin(), unused.numbers.end());
  RETURN_IF_ERROR(Failpoint("image.collect.layers"));
  return unused.usage;
}

Status GarbageCollector::RemoveDoomed(const Context& ctx) {
  while (!doomed_.empty()) {
    RETURN_IF_ERROR(ctx.Check());
    RETURN_IF_ERROR(snapshots_.Remove(*doomed_.begin()));
    doomed_.erase(doomed_.begin());
  }
  return Failpoint("image.collect.directories");
}

StatusOr<DiskUsage> GarbageCollector::Collect(const Context& ctx) {
  ASSIGN_OR_RETURN(const KeyedMutex::Lock lock,
                   collecting_.Acquire(ctx, "garbage"));
  RETURN_IF_ERROR(TrimPartial());
  DiskUsage freed;
  const Status forgotten =
      leases_.Freeze([&](const std::set<Digest>& held) -> Status {
        ASSIGN_OR_RETURN(ImageStore::Needed needed, images_.NeededByImages());
        needed.blobs.insert(held.begin(), held.end());
        needed.chains.insert(held.begin(), held.end());
        ASSIGN_OR_RETURN(const uint64_t bytes, RemoveBlobs(needed.blobs));
        ASSIGN_OR_RETURN(freed, ForgetUnusedLayers(needed.chains));
        freed.bytes += bytes;
        return OkStatus();
      });
  RETURN_IF_ERROR(RemoveDoomed(ctx));
  RETURN_IF_ERROR(forgotten);
  return freed;
}

}  // namespace berth::image
