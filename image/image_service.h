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
  RetryPolicy retry;
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
  // used. Concurrent pulls of one image are one.
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
  // One name; the image with its last.
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
                                 const Credential& credential,
                                 const ProgressFunction& report);
  StatusOr<std::vector<Image>> Import(const Context& ctx,
                                      const ImageFiles& files,
                                      const std::string& base);
  StatusOr<std::string> InstallAndName(const Context& ctx, ImageSource& source,
                                       const Reference& name,
                                       const ProgressFunction& report);
  StatusOr<Credential> ChooseCredential(const Reference& reference,
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
  KeyedMutex rootfs_keys_;
  GarbageCollector garbage_;
  Puller puller_;  // last: its threads use the others
};

}  // namespace berth::image

#endif  // IMAGE_IMAGE_SERVICE_H_
