// Failpoints (base/failpoint.h), in the order of an image's life. Each stands
// right after the step that it is named for, so that `kill` there is a daemon
// that died between two steps:
//
//   image.import.spooled      an archive's files are in import/
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

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/context.h"
#include "base/http/http_client.h"
#include "base/keyed_mutex.h"
#include "base/status.h"
#include "base/store/metadata_store.h"
#include "base/unique_fd.h"
#include "image/archive/image_files.h"
#include "image/content/lease.h"
#include "image/garbage_collector.h"
#include "image/image_store.h"
#include "image/installer.h"
#include "image/puller.h"
#include "image/reference.h"
#include "image/registry/credentials.h"
#include "image/registry/mirrors.h"
#include "image/registry/registry_client.h"
#include "image/registry/registry_shares.h"
#include "image/rootfs_provider.h"
#include "image/snapshot/snapshotter.h"

namespace berth::image {

struct ImageServiceOptions {
  std::string root;             // content/ and snapshots/ are made below it
  std::string registry_config;  // certs.d; empty: none
  std::vector<std::string> plain_http;  // registries; see Mirrors
  std::string credential_file;          // Docker's form; empty: none
  std::vector<std::string> pinned;      // patterns of names
  std::string user_agent = "berth/0.1";
  Installer::Options install;
  TransferLimits transfer;
  RetryPolicy retry;
  // Pulls at work at the same time from one registry.
  size_t pulls_per_registry = 4;
  // What half-written blobs may take that wait for another try: not more than
  // this, nor than a tenth of the file system.
  uint64_t max_partial_bytes = uint64_t{2} << 30;
};

// What the image side takes on the disk.
struct StoreUsage {
  std::string mountpoint;  // the directory of the store
  DiskUsage usage;
  UnixNanos timestamp = 0;
};

struct ImageFilter {
  std::string reference;  // empty: all
};

// Everything that the doors do with images.
//
// Errors of Pull: INVALID_ARGUMENT for the image itself, NOT_FOUND,
// UNAUTHENTICATED, PERMISSION_DENIED, DATA_LOSS when bytes do not match their
// digest, UNAVAILABLE with the text "RegistryUnavailable: ..." when no
// registry can be reached. Thread-safe.
class ImageService : public RootfsProvider {
 public:
  // `metadata` must outlive it. FAILED_PRECONDITION if the file system of the
  // root can hold no layers.
  static StatusOr<std::unique_ptr<ImageService>> Open(
      const ImageServiceOptions& options, MetadataStore& metadata);
  ~ImageService() override;

  // Always asks the registry what a tag means. Returns when the image can be
  // used. Concurrent pulls of one image are one; pulls above a registry's share
  // wait. `progress` is called in the calling thread (Puller).
  StatusOr<Image> Pull(const Context& ctx, const Reference& reference,
                       const RegistryAuth& auth,
                       const ProgressFunction& progress);
  // All images of an OCI layout, a directory, or of an archive: of a layout or
  // of what `docker save` wrote. They get the names that they give themselves;
  // one that has a tag only, or nothing, is called after `base`, which may be
  // empty if there is none such.
  StatusOr<std::vector<Image>> ImportDirectory(const Context& ctx,
                                               const std::string& directory,
                                               const std::string& base);
  StatusOr<std::vector<Image>> ImportArchive(const Context& ctx,
                                             UniqueFd archive,
                                             const std::string& base);

  StatusOr<Image> Resolve(std::string_view reference_or_id) const;
  StatusOr<std::vector<Image>> List(const ImageFilter& filter) const;
  Status Tag(std::string_view reference_or_id, const Reference& name);
  // With all names; OK if there is no such image. Containers that use it keep
  // their root file systems; the disk space is freed in the background.
  Status Remove(std::string_view reference_or_id);
  // One name, a tag or a digest; the image with its last (ImageStore).
  Status RemoveName(const Reference& name);
  // The image's configuration document as it is.
  StatusOr<std::string> ConfigJson(const std::string& image_id) const;

  StatusOr<DiskUsage> CollectGarbage(const Context& ctx);
  StatusOr<StoreUsage> StoreUsageNow() const;

  StatusOr<Rootfs> Acquire(std::string_view image_id, const std::string& key,
                           Persistence persistence) override;
  StatusOr<Rootfs> AcquireReadOnly(std::string_view image_id,
                                   const std::string& key) override;
  StatusOr<std::string> ReadFile(const std::string& key, std::string_view path,
                                 uint64_t limit) override;
  StatusOr<DiskUsage> Usage(const std::string& key) override;
  Status Release(const std::string& key) override;

 private:
  ImageService(const ImageServiceOptions& options, MetadataStore& metadata,
               std::unique_ptr<ContentStore> content,
               std::unique_ptr<LayerStore> layers,
               std::unique_ptr<Snapshotter> snapshotter);

  StatusOr<std::string> PullWork(const Context& ctx, const Reference& reference,
                                 const std::vector<RegistryHost>& hosts,
                                 const ProgressFunction& report);
  StatusOr<std::vector<Image>> Import(const Context& ctx,
                                      const ImageFiles& files,
                                      const std::string& base);
  StatusOr<std::string> InstallAndName(const Context& ctx, ImageSource& source,
                                       const Reference& name,
                                       const ProgressFunction& report);
  StatusOr<std::string> TryToInstall(const Context& ctx, ImageSource& source,
                                     const Reference& name,
                                     const ProgressFunction& report);
  void CleanUpAfter(const Status& failure);
  StatusOr<std::vector<RegistryHost>> HostsFor(const Reference& reference,
                                               const RegistryAuth& auth) const;
  StatusOr<Rootfs> AcquireTree(std::string_view image_id,
                               const std::string& key, bool read_only,
                               Persistence persistence);
  StatusOr<state::v1::RootfsRecord> RootfsOf(const std::string& key) const;

  const ImageServiceOptions options_;
  MetadataStore& metadata_;
  const std::unique_ptr<ContentStore> content_;
  const std::unique_ptr<LayerStore> layers_;
  const std::unique_ptr<Snapshotter> snapshotter_;
  const HttpClient http_;
  const Mirrors mirrors_;
  ImageStore images_;
  Leases leases_;
  Installer installer_;
  RegistryShares shares_;
  KeyedMutex rootfs_keys_;
  GarbageCollector garbage_;
  Puller puller_;  // last: its threads use the others
};

}  // namespace berth::image

#endif  // IMAGE_IMAGE_SERVICE_H_
