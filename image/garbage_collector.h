#ifndef IMAGE_GARBAGE_COLLECTOR_H_
#define IMAGE_GARBAGE_COLLECTOR_H_

#include <cstdint>
#include <optional>
#include <set>

#include "base/clock.h"
#include "base/context.h"
#include "base/keyed_mutex.h"
#include "base/mutex.h"
#include "base/status.h"
#include "base/thread.h"
#include "image/content/content_store.h"
#include "image/content/lease.h"
#include "image/image_store.h"
#include "image/rootfs_provider.h"
#include "image/snapshot/snapshotter.h"

namespace berth::image {

// Removes blobs and layers that nothing needs: no image, no container's root
// file system, no pull in progress. References are derived each time from the
// records, never counted.
//
// Blobs go first: that needs no room for a record, so that it works on a full
// disk. Of a layer the record goes before its directory: a crash in between
// leaves directories that the next start sweeps. Runs on a thread of its own
// when woken, again after a while if it failed. Thread-safe.
class GarbageCollector {
 public:
  // All must outlive it. Half-written blobs that nobody works on are kept for
  // a later try up to `max_partial_bytes` in sum, and for a day.
  GarbageCollector(ContentStore& content, Snapshotter& snapshots,
                   ImageStore& images, Leases& leases,
                   uint64_t max_partial_bytes);
  ~GarbageCollector();

  // Makes Wake work. RESOURCE_EXHAUSTED if no thread can be made.
  Status Start();
  // Soon, in the background.
  void Wake();
  // After a while, unless it is woken before. The first call counts.
  void WakeAfter(Duration delay);
  // Now, or when a collection that is under way has ended. Returns what was
  // freed.
  StatusOr<DiskUsage> Collect(const Context& ctx);
  // Removes half-written blobs that nobody works on, the oldest first, until
  // they take no more than `most` bytes in sum.
  Status TrimPartial(uint64_t most);
  // The same down to what may be kept.
  Status TrimPartial() { return TrimPartial(max_partial_bytes_); }

 private:
  void Run();
  StatusOr<DiskUsage> ForgetUnusedLayers(const std::set<Digest>& needed);
  Status RemoveDoomed(const Context& ctx);
  // Until it is woken or `again` comes; false when it has to end.
  bool AwaitWork(std::optional<SteadyTime> again);
  std::optional<SteadyTime> Next(const std::optional<SteadyTime>& again) const
      REQUIRES(mutex_);
  StatusOr<uint64_t> RemoveBlobs(const std::set<Digest>& needed);

  ContentStore& content_;
  Snapshotter& snapshots_;
  ImageStore& images_;
  Leases& leases_;
  const uint64_t max_partial_bytes_;
  const Context stop_;
  KeyedMutex collecting_;  // one key, held through a whole collection
  // Its holder's: directories of layers that no record names any more.
  std::set<uint64_t> doomed_;
  Mutex mutex_;
  CondVar changed_;
  bool woken_ GUARDED_BY(mutex_) = false;
  std::optional<SteadyTime> later_ GUARDED_BY(mutex_);
  bool ending_ GUARDED_BY(mutex_) = false;
  Thread thread_;  // last: it uses the others
};

}  // namespace berth::image

#endif  // IMAGE_GARBAGE_COLLECTOR_H_
