// Failpoints (base/failpoint.h), in the order of an image's life. Each stands
// right after the step that it is named for, so that `kill` there is a daemon
// that died between two steps:
//
//   image.import.spooled      an archive's files are in import/
//   image.make.spooled        the layer of a new image is in a nameless file
//   image.blob.begun          file of a half-written blob made or reopened
//   image.blob.whole          all bytes verified, not yet a blob of the store
//   image.blob.committed      blob in the store, no record names it
//   image.pull.blob           blob of a layer fetched, not yet unpacked
//   image.layer.staged        empty directory made, no record owns it
//   image.layer.unpacked      entries written
//   image.layer.completed     attributes of the layers below applied
//   image.layer.committed     record of the layer saved, no image needs it
//   image.pull.sync           all flushed to the disk
//   image.pull.name           image and name saved, nobody told
//   image.acquire.recorded    record of a root file system saved
//   image.acquire.prepared    its directories made
//   image.release.removed     its directories gone, record still there
//   image.remove.records      image and names gone, files still there
//   image.remove.name         one name gone
//   image.collect.blob        one blob removed that no image needs
//   image.collect.layers      records of layers gone, directories still there
//   image.collect.directories directories gone
#ifndef IMAGE_IMAGE_SERVICE_H_
#define IMAGE_IMAGE_SERVICE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/store/metadata_store.h"
#include "image/content/lease.h"
#include "image/garbage_collector.h"
#include "image/image_store.h"
#include "image/images.h"
#include "image/profiles.h"
#include "image/rootfs_changes.h"
#include "image/rootfs_store.h"
#include "image/snapshot/snapshotter.h"
#include "image/transfer/transfer.h"

namespace berth::image {

struct ImageServiceOptions {
  // content/, snapshots/ and import/, the spool of `transfer`, are made below
  // it.
  std::string root;
  std::vector<std::string> pinned;  // patterns of names
  // What half-written blobs may take that wait for another try: not more than
  // this, nor than a tenth of the file system.
  uint64_t max_partial_bytes = uint64_t{2} << 30;
  TransferOptions transfer;
};

// Owns the stores of the image side and what the doors and sandbox/ see of it.
// Thread-safe.
class ImageService {
 public:
  // `metadata` must outlive it. FAILED_PRECONDITION if the file system of the
  // root can hold no layers.
  static StatusOr<std::unique_ptr<ImageService>> Open(
      const ImageServiceOptions& options, MetadataStore& metadata);

  Images& images() { return images_; }
  Transfer& transfer() { return transfer_; }
  RootfsProvider& rootfs() { return rootfs_; }
  const RootfsChanges& changes() const { return changes_; }
  Profiles& profiles() { return profiles_; }

 private:
  ImageService(const ImageServiceOptions& options, MetadataStore& metadata,
               std::unique_ptr<ContentStore> content,
               std::unique_ptr<Snapshotter> snapshots);

  const std::unique_ptr<ContentStore> content_;
  const std::unique_ptr<Snapshotter> snapshots_;
  ImageStore store_;
  Leases leases_;
  GarbageCollector garbage_;
  Images images_;
  RootfsStore rootfs_;
  const RootfsChanges changes_;
  Transfer transfer_;  // its threads use the others
  Profiles profiles_;
};

}  // namespace berth::image

#endif  // IMAGE_IMAGE_SERVICE_H_
