#ifndef IMAGE_ROOTFS_STORE_H_
#define IMAGE_ROOTFS_STORE_H_

#include <string>
#include <string_view>
#include <vector>

#include "base/keyed_mutex.h"
#include "base/status.h"
#include "base/store/metadata_store.h"
#include "image/garbage_collector.h"
#include "image/image_store.h"
#include "image/rootfs_provider.h"
#include "image/snapshot/snapshotter.h"

namespace berth::image {

// The root file systems of containers: a record in the table "rootfs" for each,
// saved before its directories are made and erased after they are gone.
// Thread-safe.
class RootfsStore : public RootfsProvider {
 public:
  // All must outlive it.
  RootfsStore(MetadataStore& metadata, const ImageStore& images,
              Snapshotter& snapshots, GarbageCollector& garbage)
      : metadata_(metadata),
        images_(images),
        snapshots_(snapshots),
        garbage_(garbage) {}

  StatusOr<Rootfs> Acquire(const Context& ctx, std::string_view image_id,
                           const std::string& key,
                           Persistence persistence) override;
  StatusOr<Rootfs> AcquireReadOnly(const Context& ctx,
                                   std::string_view image_id,
                                   const std::string& key) override;
  StatusOr<std::string> ReadFile(const std::string& key, std::string_view path,
                                 uint64_t limit) override;
  StatusOr<std::vector<Mount>> Look(const std::string& key) override;
  StatusOr<DiskUsage> Usage(const std::string& key) override;
  Status Release(const Context& ctx, const std::string& key) override;

 private:
  StatusOr<Rootfs> AcquireTree(const Context& ctx, std::string_view image_id,
                               const std::string& key, bool read_only,
                               Persistence persistence);
  StatusOr<state::v1::RootfsRecord> Get(const std::string& key) const;

  MetadataStore& metadata_;
  const ImageStore& images_;
  Snapshotter& snapshots_;
  GarbageCollector& garbage_;
  KeyedMutex keys_;
};

}  // namespace berth::image

#endif  // IMAGE_ROOTFS_STORE_H_
