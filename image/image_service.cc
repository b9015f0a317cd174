#include "image/image_service.h"

#include <errno.h>
#include <fcntl.h>
#include <glog/logging.h>
#include <malloc.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <utility>

#include "base/failpoint.h"
#include "base/fs/tree.h"
#include "base/strings.h"
#include "base/sys/file.h"
#include "image/layer/layer_stack.h"
#include "image/snapshot/overlay_snapshotter.h"

namespace berth::image {

using state::v1::ImageRecord;
using state::v1::RootfsRecord;

namespace {

constexpr char kImportFolder[] = "/import";

StatusOr<Digest> ChainOf(const std::string& text) {
  if (text.empty()) return Digest();
  return Digest::Parse(text);
}

// Pulls with other credentials are other pulls: one must not get what only the
// other may have.
std::string PullKey(const Reference& reference,
                    const std::vector<RegistryHost>& hosts) {
  std::string secrets;
  for (const RegistryHost& host : hosts) {
    const Credential& credential = host.credential;
    secrets += host.api + "\n" + credential.username + "\n" +
               credential.password + "\n" + credential.identity_token + "\n" +
               credential.registry_token + "\n";
  }
  return reference.str() + " " + Digest::Of(secrets).str();
}

// What half-written blobs may take on the file system of `directory`.
StatusOr<uint64_t> MaxPartialBytes(const ImageServiceOptions& options) {
  struct statvfs info;
  if (statvfs(options.root.c_str(), &info) != 0) {
    return Errno(errno, "statvfs " + Quoted(options.root));
  }
  return std::min<uint64_t>(options.max_partial_bytes,
                            uint64_t{info.f_blocks} * info.f_frsize / 10);
}

// Then what is there already is of use; else nobody asks for it again.
bool IsWorthAnotherTry(const Status& status) {
  return status.ok() || status.code() == StatusCode::kUnavailable ||
         status.code() == StatusCode::kCancelled ||
         status.code() == StatusCode::kDeadlineExceeded;
}

// The kubelet looks for this word (CRI, errors of PullImage).
Status WithReason(const Status& status) {
  if (status.code() != StatusCode::kUnavailable) return status;
  return Annotate(status, "RegistryUnavailable");
}

}  // namespace

StatusOr<std::unique_ptr<ImageService>> ImageService::Open(
    const ImageServiceOptions& options, MetadataStore& metadata) {
  ASSIGN_OR_RETURN(std::unique_ptr<ContentStore> content,
                   ContentStore::Open(options.root + "/content"));
  // What an import left that was killed.
  RETURN_IF_ERROR(RemoveTree(AT_FDCWD, options.root + kImportFolder));
  RETURN_IF_ERROR(MakeDirectories(options.root + kImportFolder, 0700));
  ASSIGN_OR_RETURN(std::unique_ptr<LayerStore> layers,
                   LayerStore::Open(options.root + "/snapshots", metadata));
  StatusOr<std::unique_ptr<OverlaySnapshotter>> snapshotter =
      OverlaySnapshotter::Open(*layers);
  if (!snapshotter.ok()) {
    return Error(StatusCode::kFailedPrecondition,
                 Quoted(options.root) +
                     " cannot hold layers: " + Message(snapshotter.status()));
  }
  ImageServiceOptions bounded = options;
  ASSIGN_OR_RETURN(bounded.max_partial_bytes, MaxPartialBytes(options));
  std::unique_ptr<ImageService> service(
      new ImageService(bounded, metadata, std::move(content), std::move(layers),
                       *std::move(snapshotter)));
  RETURN_IF_ERROR(service->garbage_.Start());
  service->garbage_.Wake();  // what a pull left that was killed
  return service;
}

ImageService::ImageService(const ImageServiceOptions& options,
                           MetadataStore& metadata,
                           std::unique_ptr<ContentStore> content,
                           std::unique_ptr<LayerStore> layers,
                           std::unique_ptr<Snapshotter> snapshotter)
    : options_(options),
      metadata_(metadata),
      content_(std::move(content)),
      layers_(std::move(layers)),
      snapshotter_(std::move(snapshotter)),
      http_(options.user_agent, options.transfer),
      mirrors_(options.registry_config, options.plain_http),
      images_(metadata, options.pinned),
      installer_(*content_, *layers_, options.install),
      shares_(std::max<size_t>(options.pulls_per_registry, 1)),
      garbage_(metadata, *content_, *layers_, images_, leases_,
               options.max_partial_bytes) {}

ImageService::~ImageService() = default;

StatusOr<std::vector<RegistryHost>> ImageService::HostsFor(
    const Reference& reference, const RegistryAuth& auth) const {
  ASSIGN_OR_RETURN(std::vector<RegistryHost> hosts,
                   mirrors_.HostsFor(reference.domain()));
  CredentialFile file;
  if (!options_.credential_file.empty()) {
    StatusOr<CredentialFile> loaded =
        CredentialFile::Load(options_.credential_file);
    if (!loaded.ok() && ErrnoOf(loaded.status()) != ENOENT) {
      return loaded.status();
    }
    if (loaded.ok()) file = *std::move(loaded);
  }
  for (RegistryHost& host : hosts) {
    ASSIGN_OR_RETURN(host.credential,
                     CredentialFor(host, reference, auth, file));
  }
  return hosts;
}

StatusOr<Image> ImageService::Pull(const Context& ctx,
                                   const Reference& reference,
                                   const RegistryAuth& auth,
                                   const ProgressFunction& progress) {
  ASSIGN_OR_RETURN(const std::vector<RegistryHost> hosts,
                   HostsFor(reference, auth));
  const StatusOr<std::string> id = puller_.Pull(
      ctx, PullKey(reference, hosts),
      [this, reference, hosts](const Context& work_ctx,
                               const ProgressFunction& report) {
        return PullWork(work_ctx, reference, hosts, report);
      },
      progress);
  if (!id.ok()) {
    return WithReason(Annotate(id.status(), "pull " + Quoted(reference.str())));
  }
  return images_.Resolve(*id);
}

StatusOr<std::string> ImageService::PullWork(
    const Context& ctx, const Reference& reference,
    const std::vector<RegistryHost>& hosts, const ProgressFunction& report) {
  ASSIGN_OR_RETURN(const RegistryShares::Place place,
                   shares_.Acquire(ctx, reference.domain()));
  RegistryClient client(http_, reference, hosts, options_.retry);
  return InstallAndName(ctx, client, reference, report);
}

StatusOr<std::string> ImageService::InstallAndName(
    const Context& ctx, ImageSource& source, const Reference& name,
    const ProgressFunction& report) {
  StatusOr<std::string> id = TryToInstall(ctx, source, name, report);
  if (!id.ok()) CleanUpAfter(id.status());
  return id;
}

// What did not fit is gone before the caller hears of it.
void ImageService::CleanUpAfter(const Status& failure) {
  const bool full = failure.code() == StatusCode::kResourceExhausted;
  Status cleaned = full ? garbage_.TrimPartial(0) : garbage_.TrimPartial();
  if (full) {
    cleaned.Update(garbage_.Collect(Context::Background()).status());
  } else if (!IsWorthAnotherTry(failure)) {
    garbage_.Wake();
  }
  if (!cleaned.ok()) {
    LOG(WARNING) << "clean up after a failed pull: " << Message(cleaned);
  }
}

StatusOr<std::string> ImageService::TryToInstall(
    const Context& ctx, ImageSource& source, const Reference& name,
    const ProgressFunction& report) {
  Leases::Lease lease(leases_);
  ASSIGN_OR_RETURN(const Installed installed,
                   installer_.Install(ctx, source, lease, report));
  // A name that outlasts a power cut must not lead to files that did not.
  if (installed.changed) RETURN_IF_ERROR(content_->Sync());
  RETURN_IF_ERROR(Failpoint("image.pull.sync"));
  ASSIGN_OR_RETURN(const Digest chain, ChainOf(installed.record.chain_id()));
  RETURN_IF_ERROR(metadata_.Update(
      [&](Transaction& tx) -> Status {
        RETURN_IF_ERROR(layers_->MarkFlushed(tx, chain));
        return images_.Put(tx, installed.record, name, installed.resolved);
      },
      Durability::kPowerCut));
  RETURN_IF_ERROR(Failpoint("image.pull.name"));
  // Its buffers are as much as all else that an idle daemon has.
  if (installed.changed) malloc_trim(0);
  return installed.record.id();
}

StatusOr<Image> ImageService::Resolve(std::string_view text) const {
  return images_.Resolve(text);
}

StatusOr<std::vector<Image>> ImageService::List(
    const ImageFilter& filter) const {
  if (filter.reference.empty()) return images_.List();
  StatusOr<Image> image = images_.Resolve(filter.reference);
  if (IsNotFound(image.status())) return std::vector<Image>();
  if (!image.ok()) return image.status();
  return std::vector<Image>{*std::move(image)};
}

Status ImageService::Tag(std::string_view reference_or_id,
                         const Reference& name) {
  ASSIGN_OR_RETURN(const Image image, images_.Resolve(reference_or_id));
  return images_.Tag(image.id(), name);
}

Status ImageService::Remove(std::string_view reference_or_id) {
  const StatusOr<Image> image = images_.Resolve(reference_or_id);
  if (!image.ok()) return IgnoreNotFound(image.status());
  RETURN_IF_ERROR(images_.Remove(image->id()));
  const Status removed = Failpoint("image.remove.records");
  garbage_.Wake();
  return removed;
}

Status ImageService::RemoveName(const Reference& name) {
  RETURN_IF_ERROR(images_.RemoveName(name));
  const Status removed = Failpoint("image.remove.name");
  garbage_.Wake();
  return removed;
}

StatusOr<std::string> ImageService::ConfigJson(
    const std::string& image_id) const {
  ASSIGN_OR_RETURN(const Digest digest, Digest::Parse(image_id));
  return content_->Read(digest, kMaxConfigBytes);
}

StatusOr<DiskUsage> ImageService::CollectGarbage(const Context& ctx) {
  return garbage_.Collect(ctx);
}

StatusOr<StoreUsage> ImageService::StoreUsageNow() const {
  StoreUsage store;
  store.mountpoint = layers_->directory();
  store.timestamp = Now();
  ASSIGN_OR_RETURN(store.usage, layers_->TotalUsage());
  ASSIGN_OR_RETURN(std::vector<BlobInfo> blobs, content_->List());
  ASSIGN_OR_RETURN(const std::vector<BlobInfo> partial,
                   content_->ListPartial());
  blobs.insert(blobs.end(), partial.begin(), partial.end());
  for (const BlobInfo& blob : blobs) {
    store.usage.bytes += blob.size;
    ++store.usage.inodes;
  }
  return store;
}

StatusOr<Rootfs> ImageService::Acquire(std::string_view image_id,
                                       const std::string& key,
                                       Persistence persistence) {
  return AcquireTree(image_id, key, /*read_only=*/false, persistence);
}

StatusOr<Rootfs> ImageService::AcquireReadOnly(std::string_view image_id,
                                               const std::string& key) {
  return AcquireTree(image_id, key, /*read_only=*/true, Persistence::kDurable);
}

StatusOr<RootfsRecord> ImageService::RootfsOf(const std::string& key) const {
  RootfsRecord record;
  RETURN_IF_ERROR(metadata_.View([&](const Transaction& tx) -> Status {
    ASSIGN_OR_RETURN(record, kRootfs.Get(tx, key));
    return OkStatus();
  }));
  return record;
}

StatusOr<Rootfs> ImageService::AcquireTree(std::string_view image_id,
                                           const std::string& key,
                                           bool read_only,
                                           Persistence persistence) {
  const Digest id = ParseImageId(image_id);
  if (id.empty()) {
    return InvalidArgument("invalid image id " + Quoted(image_id));
  }
  if (key.empty()) return InvalidArgument("root file system without a key");
  const KeyedMutex::Lock lock(rootfs_keys_, key);
  StatusOr<RootfsRecord> record = RootfsOf(key);
  if (IsNotFound(record.status())) {
    record = RootfsRecord();
    record->set_number(layers_->NextNumber());
    record->set_image_id(id.str());
    record->set_read_only(read_only);
    record->set_created(Now());
    RETURN_IF_ERROR(metadata_.Update([&](Transaction& tx) -> Status {
      ASSIGN_OR_RETURN(const ImageRecord image, images_.Get(tx, id.str()));
      record->set_chain_id(image.chain_id());
      *record->mutable_config() = image.config();
      return kRootfs.Put(tx, key, *record);
    }));
  }
  if (!record.ok()) return record.status();
  if (record->image_id() != id.str() || record->read_only() != read_only) {
    return AlreadyExists("root file system " + Quoted(key) + " of image " +
                         record->image_id());
  }
  RETURN_IF_ERROR(Failpoint("image.acquire.recorded"));
  ASSIGN_OR_RETURN(const Digest chain, ChainOf(record->chain_id()));
  Rootfs rootfs;
  rootfs.image_id = record->image_id();
  rootfs.config = record->config();
  RETURN_IF_ERROR_AS(snapshotter_->Prepare(record->number(), chain),
                     "prepare root file system " + Quoted(key));
  RETURN_IF_ERROR(Failpoint("image.acquire.prepared"));
  ASSIGN_OR_RETURN(
      rootfs.mounts,
      read_only ? snapshotter_->ReadOnlyMounts(record->number(), chain)
                : snapshotter_->Mounts(record->number(), chain, persistence));
  return rootfs;
}

StatusOr<std::string> ImageService::ReadFile(const std::string& key,
                                             std::string_view path,
                                             uint64_t limit) {
  ASSIGN_OR_RETURN(const RootfsRecord record, RootfsOf(key));
  ASSIGN_OR_RETURN(const Digest chain, ChainOf(record.chain_id()));
  ASSIGN_OR_RETURN(const std::vector<std::string> directories,
                   snapshotter_->Directories(record.number(), chain));
  ASSIGN_OR_RETURN(const LayerStack stack, LayerStack::Open(directories));
  ASSIGN_OR_RETURN(const UniqueFd file, stack.OpenFile(path));
  return ReadAll(file.get(), limit, std::string(path));
}

StatusOr<DiskUsage> ImageService::Usage(const std::string& key) {
  ASSIGN_OR_RETURN(const RootfsRecord record, RootfsOf(key));
  return snapshotter_->Usage(record.number());
}

Status ImageService::Release(const std::string& key) {
  const KeyedMutex::Lock lock(rootfs_keys_, key);
  const StatusOr<RootfsRecord> record = RootfsOf(key);
  if (!record.ok()) return layers_->ForgetUnreadable(record.status(), key);
  RETURN_IF_ERROR_AS(snapshotter_->Remove(record->number()),
                     "remove root file system " + Quoted(key));
  RETURN_IF_ERROR(Failpoint("image.release.removed"));
  bool image_is_gone = false;
  RETURN_IF_ERROR(metadata_.Update([&](Transaction& tx) -> Status {
    image_is_gone = !images_.Get(tx, record->image_id()).ok();
    return kRootfs.Erase(tx, key);
  }));
  if (image_is_gone) garbage_.Wake();
  return OkStatus();
}

}  // namespace berth::image
