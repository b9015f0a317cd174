#include "image/transfer/transfer.h"

#include <errno.h>
#include <glog/logging.h>
#include <malloc.h>

#include <algorithm>
#include <utility>

#include "base/error/word.h"
#include "base/failpoint.h"
#include "base/strings.h"
#include "image/snapshot/rootfs_records.h"

namespace berth::image {
namespace {

// Pulls with other credentials are other pulls: one must not get what only the
// other may have.
std::string PullKey(const Reference& reference, BlobPolicy policy,
                    const std::vector<RegistryHost>& hosts) {
  std::string secrets;
  for (const RegistryHost& host : hosts) {
    const Credential& credential = host.credential;
    secrets += host.api + "\n" + credential.username + "\n" +
               credential.password + "\n" + credential.identity_token + "\n" +
               credential.registry_token + "\n";
  }
  return reference.str() + (policy == BlobPolicy::kKeep ? " keep " : " drop ") +
         Digest::Of(secrets).str();
}

// How long blobs and layers that no image names wait for another try.
constexpr Duration kTryAgainWithin = std::chrono::hours(1);

// Then what is there already is of use; else nobody asks for it again.
bool IsWorthAnotherTry(const Status& status) {
  return status.ok() || status.code() == StatusCode::kUnavailable ||
         status.code() == StatusCode::kCancelled ||
         status.code() == StatusCode::kDeadlineExceeded;
}

}  // namespace

// The kubelet looks for this word (CRI, errors of PullImage).
Status Transfer::WithReason(const Status& status) {
  if (status.code() != StatusCode::kUnavailable) return status;
  constexpr char kWord[] = "RegistryUnavailable";
  return WithWord(Annotate(status, kWord), kWord);
}

Transfer::Transfer(const TransferOptions& options, const Stores& stores)
    : options_(options),
      stores_(stores),
      http_(options.user_agent, options.limits),
      mirrors_(options.registry_config, options.plain_http),
      installer_(stores.content, stores.snapshots, options.install),
      shares_(std::max<size_t>(options.pulls_per_registry, 1)) {}

StatusOr<std::vector<RegistryHost>> Transfer::HostsFor(
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

StatusOr<Image> Transfer::Pull(const Context& ctx, const Reference& reference,
                               const RegistryAuth& auth, BlobPolicy policy,
                               const ProgressFunction& progress) {
  ASSIGN_OR_RETURN(const std::vector<RegistryHost> hosts,
                   HostsFor(reference, auth));
  const Arrival arrival = {reference, policy, reference.name()};
  const StatusOr<std::string> id = puller_.Pull(
      ctx, PullKey(reference, policy, hosts),
      [this, arrival, hosts](const Context& work_ctx,
                             const ProgressFunction& report) {
        return PullWork(work_ctx, arrival, hosts, report);
      },
      progress);
  if (!id.ok()) {
    return WithReason(Annotate(id.status(), "pull " + Quoted(reference.str())));
  }
  return stores_.images.Resolve(*id);
}

StatusOr<std::vector<std::string>> Transfer::ListTags(
    const Context& ctx, const Reference& repository, const RegistryAuth& auth) {
  ASSIGN_OR_RETURN(const std::vector<RegistryHost> hosts,
                   HostsFor(repository, auth));
  RegistryClient client(http_, repository, hosts, options_.retry);
  StatusOr<std::vector<std::string>> tags = client.ListTags(ctx);
  if (!tags.ok()) return WithReason(tags.status());
  return tags;
}

StatusOr<std::string> Transfer::PullWork(const Context& ctx,
                                         const Arrival& arrival,
                                         const std::vector<RegistryHost>& hosts,
                                         const ProgressFunction& report) {
  ASSIGN_OR_RETURN(const RegistryShares::Place place,
                   shares_.Acquire(ctx, arrival.name->domain()));
  RegistryClient client(http_, *arrival.name, hosts, options_.retry);
  // To others a HEAD would only be one request more.
  if (stores_.images.Resolve(arrival.name->str()).ok()) {
    client.set_known([this](const Digest& digest) {
      return stores_.content.Read(digest, kMaxManifestBytes);
    });
  }
  return InstallAndName(ctx, client, arrival, report);
}

StatusOr<std::string> Transfer::InstallAndName(const Context& ctx,
                                               ImageSource& source,
                                               const Arrival& arrival,
                                               const ProgressFunction& report) {
  const StatusOr<Installed> installed =
      TryToInstall(ctx, source, arrival, report);
  if (!installed.ok()) {
    CleanUpAfter(installed.status());
    return installed.status();
  }
  // Blobs that were shared with other pulls, or had been here before.
  const bool may_go = arrival.policy == BlobPolicy::kDrop && installed->changed;
  if (may_go && HasBlobs(*installed)) stores_.garbage.Wake();
  return installed->record.id();
}

bool Transfer::HasBlobs(const Installed& installed) const {
  const auto& layers = installed.record.layer_digests();
  return std::any_of(layers.begin(), layers.end(),
                     [this](const std::string& text) {
                       const StatusOr<Digest> digest = Digest::Parse(text);
                       return digest.ok() && stores_.content.Stat(*digest).ok();
                     });
}

// What did not fit is gone before the caller hears of it.
void Transfer::CleanUpAfter(const Status& failure) {
  const bool full = failure.code() == StatusCode::kResourceExhausted;
  Status cleaned =
      full ? stores_.garbage.TrimPartial(0) : stores_.garbage.TrimPartial();
  if (full) {
    cleaned.Update(stores_.garbage.Collect(Context::Background()).status());
  } else if (IsWorthAnotherTry(failure)) {
    stores_.garbage.WakeAfter(kTryAgainWithin);
  } else {
    stores_.garbage.Wake();
  }
  if (!cleaned.ok()) {
    LOG(WARNING) << "clean up after a failed pull: " << Message(cleaned);
  }
}

// Whether a part of it may be in the kernel's memory alone. That may be what
// another pull wrote, which has not come so far or was killed.
bool Transfer::NeedsSync(const Installed& installed) const {
  if (installed.changed) return true;
  const state::v1::ImageRecord& record = installed.record;
  // What is recorded was flushed before.
  const StatusOr<Image> known = stores_.images.Resolve(record.id());
  return !known.ok() ||
         known->record.manifest_digest() != record.manifest_digest() ||
         known->record.index_digest() != record.index_digest() ||
         (record.keep_blobs() && !known->record.keep_blobs());
}

StatusOr<Installed> Transfer::TryToInstall(const Context& ctx,
                                           ImageSource& source,
                                           const Arrival& arrival,
                                           const ProgressFunction& report) {
  Leases::Lease lease(stores_.leases);
  ASSIGN_OR_RETURN(
      Installed installed,
      installer_.Install(ctx, source, lease, arrival.policy, report));
  if (!arrival.source.empty()) installed.record.add_sources(arrival.source);
  // A name that outlasts a power cut must not lead to files that did not.
  const bool needs_sync = NeedsSync(installed);
  if (needs_sync) RETURN_IF_ERROR(stores_.content.Sync());
  RETURN_IF_ERROR(Failpoint("image.pull.sync"));
  ASSIGN_OR_RETURN(const Digest chain, ParseChain(installed.record.chain_id()));
  RETURN_IF_ERROR(stores_.metadata.Update(
      [&](Transaction& tx) -> Status {
        if (needs_sync) {
          RETURN_IF_ERROR(stores_.snapshots.MarkFlushed(tx, chain));
        }
        return arrival.name
                   ? stores_.images.Put(tx, installed.record, *arrival.name,
                                        installed.resolved)
                   : stores_.images.PutUnnamed(tx, installed.record);
      },
      Durability::kPowerCut));
  RETURN_IF_ERROR(Failpoint("image.pull.name"));
  // Its buffers are as much as all else that an idle daemon has.
  if (installed.changed) malloc_trim(0);
  return installed;
}

}  // namespace berth::image
