#include "image/garbage_collector.h"

#include <glog/logging.h>

#include "base/clock.h"
#include "base/failpoint.h"

namespace berth::image {
namespace {

// A half-written blob is worth going on with for a day.
constexpr UnixNanos kIngestLife = UnixNanos{24} * 3600 * 1'000'000'000;

}  // namespace

GarbageCollector::GarbageCollector(MetadataStore& metadata,
                                   ContentStore& content, LayerStore& layers,
                                   ImageStore& images, Leases& leases)
    : metadata_(metadata),
      content_(content),
      layers_(layers),
      images_(images),
      leases_(leases),
      stop_(Context::Background("garbage").WithCancel()),
      thread_([this] { Run(); }) {}

GarbageCollector::~GarbageCollector() {
  {
    MutexLock lock(mutex_);
    ending_ = true;
    changed_.SignalAll();
  }
  stop_.Cancel();
  thread_.join();
}

void GarbageCollector::Wake() {
  MutexLock lock(mutex_);
  woken_ = true;
  changed_.SignalAll();
}

void GarbageCollector::Run() {
  while (true) {
    {
      MutexLock lock(mutex_);
      while (!woken_ && !ending_) changed_.Wait(mutex_);
      if (ending_) return;
      woken_ = false;
    }
    const StatusOr<DiskUsage> freed = Collect(stop_);
    if (!freed.ok()) {
      LOG(WARNING) << "collect garbage: " << Message(freed.status());
    }
  }
}

StatusOr<std::set<Digest>> GarbageCollector::ChainsOfContainers() const {
  std::set<Digest> chains;
  RETURN_IF_ERROR(metadata_.View([&](const Transaction& tx) -> Status {
    ASSIGN_OR_RETURN(const auto records, kRootfs.All(tx));
    for (const auto& [key, record] : records) {
      const StatusOr<Digest> chain = Digest::Parse(record.chain_id());
      if (chain.ok()) chains.insert(*chain);
    }
    return OkStatus();
  }));
  return chains;
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

StatusOr<DiskUsage> GarbageCollector::Collect(const Context& ctx) {
  MutexLock lock(collecting_);
  RETURN_IF_ERROR(content_.RemoveAbandoned(Now() - kIngestLife));
  DiskUsage freed;
  LayerStore::Unused unused;
  RETURN_IF_ERROR(leases_.Freeze([&](const std::set<Digest>& held) -> Status {
    ASSIGN_OR_RETURN(ImageStore::Needed needed, images_.NeededByImages());
    ASSIGN_OR_RETURN(const std::set<Digest> used, ChainsOfContainers());
    needed.blobs.insert(held.begin(), held.end());
    needed.chains.insert(held.begin(), held.end());
    needed.chains.insert(used.begin(), used.end());
    ASSIGN_OR_RETURN(unused, layers_.ForgetUnused(needed.chains));
    RETURN_IF_ERROR(Failpoint("image.collect.layers"));
    ASSIGN_OR_RETURN(const uint64_t bytes, RemoveBlobs(needed.blobs));
    freed.bytes += bytes;
    return OkStatus();
  }));
  for (const uint64_t number : unused.numbers) {
    RETURN_IF_ERROR(ctx.Check());
    RETURN_IF_ERROR(layers_.RemoveDirectory(number));
  }
  RETURN_IF_ERROR(Failpoint("image.collect.directories"));
  freed.bytes += unused.usage.bytes;
  freed.inodes += unused.usage.inodes;
  return freed;
}

}  // namespace berth::image
