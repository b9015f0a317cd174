#ifndef IMAGE_GARBAGE_COLLECTOR_H_
#define IMAGE_GARBAGE_COLLECTOR_H_

#include <thread>

#include "base/context.h"
#include "base/mutex.h"
#include "base/status.h"
#include "image/content/content_store.h"
#include "image/content/lease.h"
#include "image/image_store.h"
#include "image/rootfs_provider.h"
#include "image/snapshot/layer_store.h"

namespace berth::image {

// Removes blobs and layers that nothing needs: no image, no container's root
// file system, no pull in progress. References are derived each time from the
// records, never counted.
//
// Records go first, in one transaction, then files: a crash in between leaves
// directories that LayerStore::Open sweeps. Runs on a thread of its own when
// woken. Thread-safe.
class GarbageCollector {
 public:
  // All must outlive it.
  GarbageCollector(MetadataStore& metadata, ContentStore& content,
                   LayerStore& layers, ImageStore& images, Leases& leases);
  ~GarbageCollector();

  // Soon, in the background.
  void Wake();
  // Now, or when a collection that is under way has ended. Returns what was
  // freed.
  StatusOr<DiskUsage> Collect(const Context& ctx);

 private:
  void Run();
  StatusOr<std::set<Digest>> ChainsOfContainers() const;
  StatusOr<uint64_t> RemoveBlobs(const std::set<Digest>& needed);

  MetadataStore& metadata_;
  ContentStore& content_;
  LayerStore& layers_;
  ImageStore& images_;
  Leases& leases_;
  const Context stop_;
  Mutex collecting_;  // held through a whole collection; taken first
  Mutex mutex_;
  CondVar changed_;
  bool woken_ GUARDED_BY(mutex_) = false;
  bool ending_ GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace berth::image

#endif  // IMAGE_GARBAGE_COLLECTOR_H_
