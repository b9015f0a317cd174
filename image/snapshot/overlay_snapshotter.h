#ifndef IMAGE_SNAPSHOT_OVERLAY_SNAPSHOTTER_H_
#define IMAGE_SNAPSHOT_OVERLAY_SNAPSHOTTER_H_

#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "image/snapshot/layer_store.h"
#include "image/snapshot/snapshotter.h"

namespace berth::image {

// overlayfs: DIR/<n> is the upper directory, DIR/<n>.work its work directory.
//
// The kernel stacks 500 layers; more is FAILED_PRECONDITION. Their paths need
// not fit into the options of one mount(2): MountAt sees to that. A single
// layer without a writable one on top is a bind mount, as overlayfs wants two.
class OverlaySnapshotter : public Snapshotter {
 public:
  // Makes the directory. `metadata` must outlive it. FAILED_PRECONDITION if
  // overlayfs with trusted xattrs does not work there.
  static StatusOr<std::unique_ptr<OverlaySnapshotter>> Open(
      const std::string& directory, MetadataStore& metadata);

  StatusOr<std::unique_ptr<Unpacked>> Unpack(const Context& ctx,
                                             ByteSource& tar) override;
  Status Commit(Unpacked& layer, const LayerName& name) override;
  StatusOr<DiskUsage> LayerUsage(const Digest& chain) const override;
  Status MarkFlushed(Transaction& tx, const Digest& chain) const override;
  StatusOr<Unused> ForgetUnused(const std::set<Digest>& wanted) override;
  StatusOr<DiskUsage> TotalUsage() const override;

  uint64_t NextNumber() override { return layers_->NextNumber(); }
  Status Prepare(uint64_t number, const Digest& chain) override;
  StatusOr<std::vector<Mount>> Mounts(uint64_t number, const Digest& chain,
                                      Access access) const override;
  StatusOr<LayerStack> Stack(uint64_t number,
                             const Digest& chain) const override;
  StatusOr<DiskUsage> Usage(uint64_t number) const override;
  Status Remove(uint64_t number) override;

 private:
  class Layer;

  OverlaySnapshotter(std::unique_ptr<LayerStore> layers, bool can_be_volatile)
      : layers_(std::move(layers)), can_be_volatile_(can_be_volatile) {}
  StatusOr<std::vector<Mount>> ReadOnlyMounts(
      uint64_t number, const std::vector<std::string>& lower) const;

  const std::unique_ptr<LayerStore> layers_;
  const bool can_be_volatile_;  // Linux 5.10
};

}  // namespace berth::image

#endif  // IMAGE_SNAPSHOT_OVERLAY_SNAPSHOTTER_H_
