#include "image/image_service.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <utility>

#include "base/fs/tree.h"
#include "base/strings.h"
#include "base/sys/file.h"
#include "image/snapshot/overlay_snapshotter.h"

namespace berth::image {
namespace {

constexpr char kImportFolder[] = "/import";

// What half-written blobs may take on the file system of `directory`.
StatusOr<uint64_t> MaxPartialBytes(const ImageServiceOptions& options) {
  struct statvfs info;
  if (statvfs(options.root.c_str(), &info) != 0) {
    return Errno(errno, "statvfs " + Quoted(options.root));
  }
  return std::min<uint64_t>(options.max_partial_bytes,
                            uint64_t{info.f_blocks} * info.f_frsize / 10);
}

}  // namespace

StatusOr<std::unique_ptr<ImageService>> ImageService::Open(
    const ImageServiceOptions& options, MetadataStore& metadata) {
  ASSIGN_OR_RETURN(std::unique_ptr<ContentStore> content,
                   ContentStore::Open(options.root + "/content"));
  // What an import left that was killed.
  RETURN_IF_ERROR(RemoveTree(AT_FDCWD, options.root + kImportFolder));
  RETURN_IF_ERROR(MakeDirectories(options.root + kImportFolder, 0700));
  ASSIGN_OR_RETURN(
      std::unique_ptr<Snapshotter> snapshots,
      OverlaySnapshotter::Open(options.root + "/snapshots", metadata));
  ImageServiceOptions bounded = options;
  ASSIGN_OR_RETURN(bounded.max_partial_bytes, MaxPartialBytes(options));
  bounded.transfer.spool = options.root + kImportFolder;
  std::unique_ptr<ImageService> service(new ImageService(
      bounded, metadata, std::move(content), std::move(snapshots)));
  RETURN_IF_ERROR(service->garbage_.Start());
  service->garbage_.Wake();  // what a pull left that was killed
  return service;
}

ImageService::ImageService(const ImageServiceOptions& options,
                           MetadataStore& metadata,
                           std::unique_ptr<ContentStore> content,
                           std::unique_ptr<Snapshotter> snapshots)
    : content_(std::move(content)),
      snapshots_(std::move(snapshots)),
      store_(metadata, options.pinned),
      garbage_(*content_, *snapshots_, store_, leases_,
               options.max_partial_bytes),
      images_(store_, *content_, *snapshots_, garbage_),
      rootfs_(metadata, store_, *snapshots_, garbage_),
      changes_(metadata, *snapshots_),
      transfer_(options.transfer,
                {metadata, *content_, *snapshots_, store_, leases_, garbage_}),
      profiles_(metadata, transfer_) {}

}  // namespace berth::image
