#ifndef IMAGE_TRANSFER_TRANSFER_H_
#define IMAGE_TRANSFER_TRANSFER_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/context.h"
#include "base/http/http_client.h"
#include "base/json.h"
#include "base/status.h"
#include "base/store/metadata_store.h"
#include "base/unique_fd.h"
#include "image/archive/image_files.h"
#include "image/content/content_store.h"
#include "image/content/lease.h"
#include "image/garbage_collector.h"
#include "image/image_store.h"
#include "image/layer/byte_source.h"
#include "image/reference.h"
#include "image/registry/credentials.h"
#include "image/registry/mirrors.h"
#include "image/registry/registry_client.h"
#include "image/registry/registry_pusher.h"
#include "image/registry/registry_shares.h"
#include "image/snapshot/snapshotter.h"
#include "image/transfer/image_sink.h"
#include "image/transfer/image_source.h"
#include "image/transfer/installer.h"
#include "image/transfer/puller.h"

namespace berth::image {

struct TransferOptions {
  std::string spool;                    // directory for what archives hold
  std::string registry_config;          // certs.d; empty: none
  std::vector<std::string> plain_http;  // registries; see Mirrors
  std::string credential_file;          // Docker's form; empty: none
  std::string user_agent = "berth/0.1";
  Installer::Options install;
  TransferLimits limits;
  RetryPolicy retry;
  // Pulls at work at the same time from one registry.
  size_t pulls_per_registry = 4;
};

// Images on their way: from a source (a registry, an archive, a layout) into
// the stores, and from the stores into a sink. Thread-safe.
class Transfer {
 public:
  // What it moves images into; all must outlive it.
  struct Stores {
    MetadataStore& metadata;
    ContentStore& content;
    Snapshotter& snapshots;
    ImageStore& images;
    Leases& leases;
    GarbageCollector& garbage;
  };
  Transfer(const TransferOptions& options, const Stores& stores);

  // Always asks the registry what a tag means. An image whose blobs are kept
  // stays so, however it is pulled again. Returns when the image can be
  // used. Concurrent pulls of one image are one; pulls above a registry's share
  // wait. `progress` is called in the calling thread (Puller).
  //
  // INVALID_ARGUMENT for the image itself, NOT_FOUND, UNAUTHENTICATED,
  // PERMISSION_DENIED, DATA_LOSS when bytes do not match their digest,
  // UNAVAILABLE with the word "RegistryUnavailable" when no registry can
  // be reached.
  StatusOr<Image> Pull(const Context& ctx, const Reference& reference,
                       const RegistryAuth& auth, BlobPolicy policy,
                       const ProgressFunction& progress);
  // The tags that the registry has of a repository, sorted. Errors as Pull's.
  StatusOr<std::vector<std::string>> ListTags(const Context& ctx,
                                              const Reference& repository,
                                              const RegistryAuth& auth);
  // All images of an OCI layout, a directory, or of an archive: of a layout or
  // of what `docker save` wrote. They get the names that they give themselves;
  // one that has a tag only, or nothing, is called after `base`. If that is
  // empty, it has no name here.
  StatusOr<std::vector<Image>> ImportDirectory(const Context& ctx,
                                               const std::string& directory,
                                               const std::string& base,
                                               BlobPolicy policy);
  StatusOr<std::vector<Image>> ImportArchive(const Context& ctx,
                                             UniqueFd archive,
                                             const std::string& base,
                                             BlobPolicy policy);
  StatusOr<std::vector<Image>> ImportArchive(const Context& ctx,
                                             ByteSource& archive,
                                             const std::string& base,
                                             BlobPolicy policy);

  // An image that is made here: the layers of another, and one more.
  struct NewImage {
    std::string base;  // an id; empty: none
    // The configuration document but for rootfs, which is added. Its history
    // should have a line for the new layer.
    Json config = Json::object();
    std::optional<Reference> name;
  };
  // `layer` writes the new layer, a tar archive, into the file that it is
  // given. Its blob is kept. NOT_FOUND without the base.
  StatusOr<Image> Make(const Context& ctx, const NewImage& image,
                       const std::function<Status(int file)>& layer);

  // An image that is here, and the names that it is sent under.
  struct Departure {
    std::string id;
    std::vector<Reference> names;
  };
  // Sends images, in the form of this machine's platform. Blobs that were
  // dropped are fetched from where the images were pulled, before the sink gets
  // a byte, with the credentials of the file alone. FAILED_PRECONDITION if such
  // an image came from files.
  Status Export(const Context& ctx, const std::vector<Departure>& images,
                ImageSink& sink);
  // The same into the repository of `name`, in the registry itself.
  Status Push(const Context& ctx, const std::string& id, const Reference& name,
              const RegistryAuth& auth, const PushFunction& progress);
  // UNAUTHENTICATED unless the registry of that domain takes `auth`.
  Status Login(const Context& ctx, const std::string& domain,
               const RegistryAuth& auth);
  // Where images of that domain are pulled from, in this order; without
  // credentials. INVALID_ARGUMENT for a configuration that cannot be read.
  StatusOr<std::vector<RegistryHost>> HostsOf(const std::string& domain) const {
    return mirrors_.HostsFor(domain);
  }
  // The one file of an artifact that is no image, by a name with a digest.
  // Nothing of it is kept. Errors are Pull's; INVALID_ARGUMENT for an artifact
  // of more files, or of more than `limit` bytes.
  StatusOr<std::string> FetchArtifact(const Context& ctx,
                                      const Reference& reference,
                                      const RegistryAuth& auth, uint64_t limit);
  // What a name means in its registry now.
  struct Remote {
    Descriptor descriptor;
    std::vector<Platform> platforms;
  };
  StatusOr<Remote> Look(const Context& ctx, const Reference& name,
                        const RegistryAuth& auth);

 private:
  friend class Reception;  // what a peer sends comes in like an import
  // How an image comes in.
  struct Arrival {
    std::optional<Reference> name;
    BlobPolicy policy;
    std::string source;  // a repository; empty: files
  };
  StatusOr<std::string> PullWork(const Context& ctx, const Arrival& arrival,
                                 const std::vector<RegistryHost>& hosts,
                                 const ProgressFunction& report);
  StatusOr<std::vector<Image>> Import(const Context& ctx,
                                      const ImageFiles& files,
                                      const std::string& base,
                                      BlobPolicy policy);
  StatusOr<std::string> InstallAndName(const Context& ctx, ImageSource& source,
                                       const Arrival& arrival,
                                       const ProgressFunction& report);
  StatusOr<Installed> TryToInstall(const Context& ctx, ImageSource& source,
                                   const Arrival& arrival,
                                   const ProgressFunction& report);
  Status FetchFrom(const Context& ctx, const std::string& repository,
                   const Descriptor& blob);
  void CleanUpAfter(const Status& failure);
  bool HasBlobs(const Installed& installed) const;
  bool NeedsSync(const Installed& installed) const;
  static Status WithReason(const Status& status);
  StatusOr<std::vector<RegistryHost>> HostsFor(const Reference& reference,
                                               const RegistryAuth& auth) const;

  const TransferOptions options_;
  const Stores stores_;
  const HttpClient http_;
  const Mirrors mirrors_;
  Installer installer_;
  RegistryShares shares_;
  Puller puller_;  // last: its threads use the others
};

}  // namespace berth::image

#endif  // IMAGE_TRANSFER_TRANSFER_H_
