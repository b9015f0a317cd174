#ifndef IMAGE_SNAPSHOT_LAYER_STORE_H_
#define IMAGE_SNAPSHOT_LAYER_STORE_H_

#include <atomic>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/digest.h"
#include "base/mutex.h"
#include "base/status.h"
#include "base/store/metadata_store.h"
#include "base/unique_fd.h"
#include "image/rootfs_provider.h"
#include "image/snapshot/rootfs_records.h"
#include "image/snapshot/snapshotter.h"

namespace berth::image {

// Numbered directories below one, DIR/<n>: unpacked layers, which never change
// once committed, and what containers write. A layer is shared by all images
// whose first layers are the same: its key is the chain id.
//
// A directory without a record is garbage of a crash and swept by Open. While a
// record that may own a directory or need a layer cannot be read, none is swept
// or forgotten: nobody knows which are in use. Part of OverlaySnapshotter.
// Thread-safe.
class LayerStore {
 public:
  // `metadata` must outlive this. Drops layers that a power cut may have
  // damaged, then sweeps.
  static StatusOr<std::unique_ptr<LayerStore>> Open(
      const std::string& directory, MetadataStore& metadata);

  // A new empty directory (0755, root's), removed by its destructor unless it
  // was kept. Thread-compatible.
  class Staging {
   public:
    Staging(LayerStore& store, uint64_t number);
    ~Staging();
    Staging(const Staging&) = delete;
    Staging& operator=(const Staging&) = delete;
    uint64_t number() const { return number_; }
    std::string path() const { return store_.PathOf(number_); }
    void Keep() { kept_ = true; }

   private:
    LayerStore& store_;
    const uint64_t number_;
    bool kept_ = false;
  };
  StatusOr<std::unique_ptr<Staging>> Stage();
  // A name that no other directory has or had.
  uint64_t NextNumber() { return next_number_.fetch_add(1); }

  // Of one layer alone. NOT_FOUND.
  StatusOr<DiskUsage> LayerUsage(const Digest& chain) const;
  // Makes what was unpacked a layer. `parent` is empty for a base layer.
  Status Commit(Staging& staging, const Digest& chain, const Digest& parent,
                const Digest& diff_id, DiskUsage usage);

  // The directories of a stack, topmost first; none for the empty chain.
  StatusOr<std::vector<std::string>> Directories(const Digest& chain) const;
  // See Snapshotter.
  Status MarkFlushed(Transaction& tx, const Digest& chain) const;
  StatusOr<Snapshotter::Unused> ForgetUnused(const std::set<Digest>& wanted);
  // Deletes one directory, now. OK if it is not there.
  Status RemoveDirectory(uint64_t number);
  // All of the layers.
  StatusOr<DiskUsage> TotalUsage() const;

  std::string PathOf(uint64_t number) const;
  const std::string& directory() const { return directory_; }

 private:
  LayerStore(std::string directory, UniqueFd fd, MetadataStore& metadata)
      : directory_(std::move(directory)),
        fd_(std::move(fd)),
        metadata_(metadata) {}
  Status DropDamaged();
  Status Sweep();

  const std::string directory_;
  const UniqueFd fd_;
  MetadataStore& metadata_;
  std::atomic<uint64_t> next_number_{1};
};

// "layers". Beside kRootfs the table whose records own directories.
extern const Table<state::v1::LayerRecord> kLayers;

}  // namespace berth::image

#endif  // IMAGE_SNAPSHOT_LAYER_STORE_H_
