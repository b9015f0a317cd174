#ifndef IMAGE_SNAPSHOT_OVERLAY_SNAPSHOTTER_H_
#define IMAGE_SNAPSHOT_OVERLAY_SNAPSHOTTER_H_

#include <memory>
#include <string>
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
  // `layers` must outlive it. An error if overlayfs with trusted xattrs does
  // not work in its directory.
  static StatusOr<std::unique_ptr<OverlaySnapshotter>> Open(LayerStore& layers);

  Status Prepare(uint64_t number, const Digest& chain) override;
  StatusOr<std::vector<Mount>> Mounts(uint64_t number, const Digest& chain,
                                      Persistence persistence) const override;
  StatusOr<std::vector<Mount>> ReadOnlyMounts(
      uint64_t number, const Digest& chain) const override;
  StatusOr<std::vector<std::string>> Directories(
      uint64_t number, const Digest& chain) const override;
  StatusOr<DiskUsage> Usage(uint64_t number) const override;
  Status Remove(uint64_t number) override;

 private:
  OverlaySnapshotter(LayerStore& layers, bool can_be_volatile)
      : layers_(layers), can_be_volatile_(can_be_volatile) {}

  LayerStore& layers_;
  const bool can_be_volatile_;  // Linux 5.10
};

}  // namespace berth::image

#endif  // IMAGE_SNAPSHOT_OVERLAY_SNAPSHOTTER_H_
