#include "image/transfer/installer.h"

#include <glog/logging.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "base/clock.h"
#include "base/failpoint.h"
#include "base/mutex.h"
#include "base/strings.h"
#include "base/thread.h"
#include "image/layer/byte_source.h"
#include "image/layer/decompressor.h"

namespace berth::image {
namespace {

constexpr int kMaxIndexDepth = 4;
constexpr auto kReportInterval = std::chrono::milliseconds(100);

}  // namespace

struct Installer::Documents {
  Digest resolved;
  Descriptor manifest_descriptor;
  Digest index;  // empty: the name led to the manifest itself
  Manifest manifest;
  ImageSpec spec;
  uint64_t size = 0;     // of manifest and configuration
  bool written = false;  // one that was not here
};

// The layers of one image on their way, and who commits when. Thread-safe.
class Installer::LayerJob {
 public:
  LayerJob(ImageSource& source, const Documents& documents,
           const Leases::Lease& lease, BlobPolicy policy,
           const ProgressFunction& report)
      : source_(source),
        lease_(lease),
        policy_(policy),
        layers_(documents.manifest.layers),
        diff_ids_(documents.spec.diff_ids),
        report_(report),
        reported_(layers_.size()) {
    for (size_t i = 0; i < diff_ids_.size(); ++i) {
      chains_.push_back(
          i == 0 ? diff_ids_[0]
                 : Digest::Of(chains_[i - 1].str() + " " + diff_ids_[i].str()));
    }
  }

  ImageSource& source() { return source_; }
  BlobPolicy policy() const { return policy_; }
  size_t count() const { return layers_.size(); }
  const Descriptor& layer(size_t i) const { return layers_[i]; }
  const Digest& diff_id(size_t i) const { return diff_ids_[i]; }
  const Digest& chain(size_t i) const { return chains_[i]; }
  // Empty for the first.
  Digest parent(size_t i) const { return i == 0 ? Digest() : chains_[i - 1]; }

  // The next layer to work on: lower ones first, as they can be committed
  // without waiting. Nothing: all are taken, or one has failed.
  std::optional<size_t> Take() {
    MutexLock lock(mutex_);
    if (!failure_.ok() || next_ >= layers_.size()) return std::nullopt;
    return next_++;
  }

  // The blob was not here before: this job fetched it.
  void MarkFetched(const Digest& blob) {
    MutexLock lock(mutex_);
    fetched_.insert(blob);
  }
  // Whether nobody else may rely on the blob.
  bool Owns(const Digest& blob) const {
    MutexLock lock(mutex_);
    return fetched_.count(blob) > 0 && lease_.IsAlone(blob);
  }

  void MarkCommitted(size_t i) {
    MutexLock lock(mutex_);
    committed_.insert(i);
    changed_cond_.SignalAll();
  }
  void Fail(const Status& status) {
    MutexLock lock(mutex_);
    if (failure_.ok()) failure_ = status;
    changed_cond_.SignalAll();
  }
  Status failure() const {
    MutexLock lock(mutex_);
    return failure_;
  }
  // Until the layer below is committed; CANCELLED if a layer has failed.
  Status AwaitParent(const Context& ctx, size_t i) {
    MutexLock lock(mutex_);
    const auto is_there = [&]() NO_THREAD_SAFETY_ANALYSIS {
      return i == 0 || committed_.count(i - 1) > 0;
    };
    RETURN_IF_ERROR(
        ctx.Await(mutex_, changed_cond_, [&]() NO_THREAD_SAFETY_ANALYSIS {
          return is_there() || !failure_.ok();
        }));
    return is_there() ? OkStatus() : Cancelled("another layer has failed");
  }

  void Report(size_t i, Progress::State state, uint64_t current = 0) {
    const auto now = std::chrono::steady_clock::now();
    {
      MutexLock lock(mutex_);
      Reported& last = reported_[i];
      const bool end = current == layers_[i].size;
      if (last.state == state && !end && now - last.when < kReportInterval) {
        return;
      }
      last = {state, now};
    }
    if (report_) report_({layers_[i].digest, state, current, layers_[i].size});
  }

  void MarkChanged() { changed_ = true; }
  bool changed() const { return changed_; }

 private:
  struct Reported {
    Progress::State state = Progress::State::kWaiting;
    std::chrono::steady_clock::time_point when;
  };

  ImageSource& source_;
  const Leases::Lease& lease_;
  const BlobPolicy policy_;
  const std::vector<Descriptor> layers_;
  const std::vector<Digest> diff_ids_;
  const ProgressFunction& report_;
  std::vector<Digest> chains_;
  std::atomic<bool> changed_{false};

  mutable Mutex mutex_;
  CondVar changed_cond_;
  size_t next_ GUARDED_BY(mutex_) = 0;
  std::set<Digest> fetched_ GUARDED_BY(mutex_);
  std::set<size_t> committed_ GUARDED_BY(mutex_);
  Status failure_ GUARDED_BY(mutex_);
  std::vector<Reported> reported_ GUARDED_BY(mutex_);
};

StatusOr<ImageSource::Fetched> Installer::FetchManifest(
    const Context& ctx, ImageSource& source, const Descriptor& wanted) {
  StatusOr<std::string> here = content_.Read(wanted.digest, kMaxManifestBytes);
  if (!here.ok() || here->size() != wanted.size) {
    return source.FetchManifest(ctx, wanted);
  }
  return ImageSource::Fetched{wanted, *std::move(here)};
}

Status Installer::WriteDocument(const Digest& digest, std::string_view bytes,
                                Documents& documents) {
  ASSIGN_OR_RETURN(const bool written, content_.Write(digest, bytes));
  documents.written |= written;
  return OkStatus();
}

// Again, if it has lost its turn: then the blob is most likely there.
Status Installer::InTurn(const Context& ctx, const Digest& blob,
                         const std::string& origin,
                         const std::function<Status(FetchTurns::Turn&)>& work) {
  while (true) {
    ASSIGN_OR_RETURN(FetchTurns::Turn turn,
                     turns_.Take(ctx, blob.str(), origin));
    const Status done = work(turn);
    if (done.ok() || !turn.lost()) return done;
  }
}

StatusOr<std::string> Installer::FetchConfig(const Context& ctx,
                                             ImageSource& source,
                                             Documents& documents) {
  const Descriptor& config = documents.manifest.config;
  if (config.size > kMaxConfigBytes) {
    return FailedPrecondition(
        "image configuration of " + std::to_string(config.size) +
        " bytes is over the limit of " + std::to_string(kMaxConfigBytes));
  }
  std::string bytes;
  RETURN_IF_ERROR(InTurn(
      ctx, config.digest, source.Origin(),
      [&](FetchTurns::Turn& turn) -> Status {
        if (!config.data.empty()) {
          RETURN_IF_ERROR(WriteDocument(config.digest, config.data, documents));
        }
        StatusOr<std::string> here =
            content_.Read(config.digest, kMaxConfigBytes);
        if (!here.ok()) {
          // Not there, or damaged by a power cut.
          RETURN_IF_ERROR(content_.Remove(config.digest));
          documents.written = true;
          RETURN_IF_ERROR(
              source.FetchBlob(turn.ctx(), config, content_,
                               [&](uint64_t got) { turn.Advance(got); }));
          here = content_.Read(config.digest, kMaxConfigBytes);
          RETURN_IF_ERROR(here.status());
        }
        bytes = *std::move(here);
        return OkStatus();
      }));
  return bytes;
}

StatusOr<Installer::Documents> Installer::FetchDocuments(const Context& ctx,
                                                         ImageSource& source,
                                                         Leases::Lease& lease) {
  Documents documents;
  ASSIGN_OR_RETURN(ImageSource::Fetched fetched, source.Resolve(ctx));
  documents.resolved = fetched.descriptor.digest;
  const Platform host = HostPlatform();
  for (int depth = 0;; ++depth) {
    const Digest digest = fetched.descriptor.digest;
    lease.Add(digest);
    ASSIGN_OR_RETURN_AS(
        Document document,
        ParseDocument(fetched.bytes, fetched.descriptor.media_type),
        digest.str());
    // Two names may mean the same document.
    RETURN_IF_ERROR(InTurn(ctx, digest, "", [&](FetchTurns::Turn&) {
      return WriteDocument(digest, fetched.bytes, documents);
    }));
    if (Manifest* manifest = std::get_if<Manifest>(&document)) {
      documents.manifest = std::move(*manifest);
      documents.manifest_descriptor = fetched.descriptor;
      break;
    }
    if (depth == kMaxIndexDepth) {
      return InvalidArgument("index " + digest.str() + " nests too deeply");
    }
    if (depth == 0) documents.index = digest;
    ASSIGN_OR_RETURN(const Descriptor chosen,
                     ChooseManifest(std::get<Index>(document), host));
    ASSIGN_OR_RETURN(fetched, FetchManifest(ctx, source, chosen));
  }
  RETURN_IF_ERROR(Failpoint("image.pull.manifest"));
  const Descriptor& config = documents.manifest.config;
  lease.Add(config.digest);
  ASSIGN_OR_RETURN(const std::string bytes,
                   FetchConfig(ctx, source, documents));
  ASSIGN_OR_RETURN(documents.spec, ParseImageSpec(bytes));
  documents.size = documents.manifest_descriptor.size + bytes.size();
  if (documents.spec.diff_ids.size() != documents.manifest.layers.size()) {
    return InvalidArgument(
        "image has " + std::to_string(documents.manifest.layers.size()) +
        " layers and " + std::to_string(documents.spec.diff_ids.size()) +
        " diff ids");
  }
  for (const Descriptor& layer : documents.manifest.layers) {
    if (!IsLayerType(layer.media_type) &&
        !IsForeignLayerType(layer.media_type)) {
      return InvalidArgument("layer of unknown type " +
                             Quoted(layer.media_type));
    }
  }
  if (PlatformRank(documents.spec.platform, host) == 0) {
    LOG(WARNING) << "image " << config.digest.str() << " is for "
                 << PlatformText(documents.spec.platform) << ", this host is "
                 << PlatformText(host);
  }
  return documents;
}

StatusOr<UniqueFd> Installer::FetchLayer(const Context& ctx, LayerJob& job,
                                         size_t index, IncomingBlob& blob) {
  const Descriptor& layer = job.layer(index);
  UniqueFd file;
  const auto fetch = [&](FetchTurns::Turn& turn) -> Status {
    const auto progress = [&](uint64_t bytes) {
      turn.Advance(bytes);
      if (!blob.following()) {
        // Without it, the reader waits for the whole.
        StatusOr<UniqueFd> partial = content_.OpenPartial(layer.digest);
        if (partial.ok()) blob.Follow(*std::move(partial));
      }
      blob.Grow(bytes);
      job.Report(index, Progress::State::kDownloading, bytes);
    };
    if (!content_.Stat(layer.digest).ok()) {
      const Status fetched =
          job.source().FetchBlob(turn.ctx(), layer, content_, progress);
      // Who has the turn next may begin the file anew.
      if (!fetched.ok() && turn.lost()) blob.Grow(0);
      RETURN_IF_ERROR(fetched);
      job.MarkFetched(layer.digest);
      RETURN_IF_ERROR(Failpoint("image.pull.blob"));
    }
    job.Report(index, Progress::State::kUnpacking);
    // Within the turn: a worker that unpacks the same blob for another layer
    // removes it when it has finished.
    ASSIGN_OR_RETURN(file, content_.Open(layer.digest));
    return OkStatus();
  };
  RETURN_IF_ERROR(InTurn(ctx, layer.digest, job.source().Origin(), fetch));
  return file;
}

Status Installer::UnpackLayer(const Context& ctx, LayerJob& job, size_t index,
                              ByteSource& blob) {
  const Descriptor& layer = job.layer(index);
  ASSIGN_OR_RETURN(const std::unique_ptr<Decompressor> tar,
                   Decompressor::Open(blob));
  HashingSource hashed(*tar, std::max(options_.min_unpacked_limit,
                                      options_.max_ratio * layer.size));
  ASSIGN_OR_RETURN(const std::unique_ptr<Snapshotter::Unpacked> unpacked,
                   snapshots_.Unpack(ctx, hashed));
  // The word on the blob's own digest comes with its end.
  ASSIGN_OR_RETURN(const std::string_view more, blob.Next());
  if (!more.empty()) return InvalidArgument("it goes on behind its end");
  if (hashed.digest() != job.diff_id(index)) {
    return DataLoss("it unpacks to " + hashed.digest().str() +
                    ", the configuration says " + job.diff_id(index).str());
  }
  RETURN_IF_ERROR(job.AwaitParent(ctx, index));
  return snapshots_.Commit(
      *unpacked, {job.chain(index), job.parent(index), job.diff_id(index)});
}

bool Installer::HasLayer(const Digest& chain) const {
  return snapshots_.LayerUsage(chain).ok();
}

// Of the unpacked layers.
StatusOr<uint64_t> Installer::SizeOf(const LayerJob& job) const {
  uint64_t bytes = 0;
  for (size_t i = 0; i < job.count(); ++i) {
    ASSIGN_OR_RETURN(const DiskUsage usage,
                     snapshots_.LayerUsage(job.chain(i)));
    bytes += usage.bytes;
  }
  return bytes;
}

// One pass: the layer is unpacked while it arrives.
Status Installer::FetchAndUnpackLayer(const Context& ctx, LayerJob& job,
                                      size_t index) {
  IncomingBlob blob;
  const Context fetching = ctx.WithCancel();
  ASSIGN_OR_RETURN(Thread fetch, StartThread("image-fetch", [&] {
                     const absl::Cleanup end = [&] { blob.End(); };
                     blob.Finish(FetchLayer(fetching, job, index, blob));
                   }));
  const Status unpacked = UnpackLayer(ctx, job, index, blob);
  const bool full = unpacked.code() == StatusCode::kResourceExhausted;
  // The rest would take more of what there is not enough of.
  if (full) fetching.Cancel();
  fetch.Join();
  if (full) return unpacked;
  // Bytes that are wrong cannot be unpacked either: the digest says why.
  RETURN_IF_ERROR(blob.fetched());
  if (unpacked.ok() || !blob.restarted()) return unpacked;
  FileSource whole(blob.TakeWhole());
  return UnpackLayer(ctx, job, index, whole);
}

// A blob that does not unpack must not be met again by a next try; one that
// unpacks to something else than its image says may be a good one of another
// image.
Status Installer::DropBlob(const Context& ctx, const LayerJob& job,
                           size_t index, const Status& unpacked) {
  const bool bad = unpacked.code() == StatusCode::kDataLoss ||
                   unpacked.code() == StatusCode::kInvalidArgument;
  const bool drop = unpacked.ok() && job.policy() == BlobPolicy::kDrop;
  if (!bad && !drop) return OkStatus();
  const Digest& digest = job.layer(index).digest;
  return InTurn(ctx, digest, "", [&](FetchTurns::Turn&) {
    if (job.Owns(digest)) return content_.Remove(digest);
    return bad ? content_.RemoveIfDamaged(digest) : OkStatus();
  });
}

// Of a layer that is unpacked already.
Status Installer::KeepBlob(const Context& ctx, LayerJob& job, size_t index) {
  const bool is_wanted = job.policy() == BlobPolicy::kKeep &&
                         !job.source().IsLasting() &&
                         !content_.Stat(job.layer(index).digest).ok();
  if (!is_wanted) return OkStatus();
  job.MarkChanged();
  IncomingBlob unread;
  return FetchLayer(ctx, job, index, unread).status();
}

// Held until the layer is committed, for which it needs nothing that those who
// wait here have: they want this layer or a higher one. But its registry may be
// silent: who has waited for a while sees to the blob itself, and leaves the
// rest to whoever holds the layer.
StatusOr<KeyedMutex::Lock> Installer::HoldLayer(const Context& ctx,
                                                LayerJob& job, size_t index) {
  const std::string chain = "chain " + job.chain(index).str();
  while (true) {
    StatusOr<KeyedMutex::Lock> lock =
        working_.Acquire(ctx.WithTimeout(options_.patience), chain);
    if (lock.ok() || !ctx.Check().ok()) return lock;
    if (content_.Stat(job.layer(index).digest).ok()) continue;
    IncomingBlob unread;
    // Then it is the other's registry that may have it.
    if (!FetchLayer(ctx, job, index, unread).ok()) break;
    job.MarkChanged();
  }
  return working_.Acquire(ctx, chain);
}

Status Installer::InstallLayer(const Context& ctx, LayerJob& job,
                               size_t index) {
  ASSIGN_OR_RETURN(const KeyedMutex::Lock chain_lock,
                   HoldLayer(ctx, job, index));
  if (HasLayer(job.chain(index))) {
    RETURN_IF_ERROR(KeepBlob(ctx, job, index));
    job.Report(index, Progress::State::kExists);
    job.MarkCommitted(index);
    return OkStatus();
  }
  job.MarkChanged();
  const Status done = FetchAndUnpackLayer(ctx, job, index);
  const Status dropped = DropBlob(ctx, job, index, done);
  if (!dropped.ok() && ctx.Check().ok()) LOG(WARNING) << Message(dropped);
  RETURN_IF_ERROR(done);
  job.MarkCommitted(index);
  job.Report(index, Progress::State::kDone);
  return OkStatus();
}

Status Installer::FetchBlob(const Context& ctx, ImageSource& source,
                            const Descriptor& blob) {
  return InTurn(ctx, blob.digest, source.Origin(), [&](FetchTurns::Turn& turn) {
    if (content_.Stat(blob.digest).ok()) return OkStatus();
    return source.FetchBlob(turn.ctx(), blob, content_,
                            [&](uint64_t got) { turn.Advance(got); });
  });
}

StatusOr<Installed> Installer::Install(const Context& ctx, ImageSource& source,
                                       Leases::Lease& lease, BlobPolicy policy,
                                       const ProgressFunction& report) {
  ASSIGN_OR_RETURN(const Documents documents,
                   FetchDocuments(ctx, source, lease));
  LayerJob job(source, documents, lease, policy, report);
  for (size_t i = 0; i < job.count(); ++i) {
    lease.Add(job.chain(i));
    lease.Add(job.layer(i).digest);
    job.Report(i, Progress::State::kWaiting);
  }
  // The first failure ends the others.
  const Context work = ctx.WithCancel();
  const auto worker = [&] {
    while (const std::optional<size_t> index = job.Take()) {
      const Status done = InstallLayer(work, job, *index);
      if (done.ok()) continue;
      job.Fail(Annotate(done, "layer " + job.layer(*index).digest.str()));
      work.Cancel();
    }
  };
  std::vector<Thread> threads;
  const size_t extra = std::min<size_t>(
      job.count(), static_cast<size_t>(options_.parallel_layers));
  for (size_t i = 1; i < extra; ++i) {
    StatusOr<Thread> thread = StartThread("image-layer", worker);
    if (!thread.ok()) break;  // fewer layers at a time, then
    threads.push_back(*std::move(thread));
  }
  worker();
  for (Thread& thread : threads) thread.Join();
  RETURN_IF_ERROR(job.failure());

  Installed installed;
  installed.resolved = documents.resolved;
  installed.changed = job.changed() || documents.written;
  state::v1::ImageRecord& record = installed.record;
  record.set_id(documents.manifest.config.digest.str());
  *record.mutable_platform() = documents.spec.platform;
  *record.mutable_config() = documents.spec.config;
  record.set_manifest_digest(documents.manifest_descriptor.digest.str());
  record.set_index_digest(documents.index.str());
  record.set_created(documents.spec.created);
  record.set_author(documents.spec.author);
  for (size_t i = 0; i < job.count(); ++i) {
    record.add_diff_ids(job.diff_id(i).str());
    record.add_layer_digests(job.layer(i).digest.str());
    record.set_chain_id(job.chain(i).str());
  }
  ASSIGN_OR_RETURN(const uint64_t unpacked, SizeOf(job));
  record.set_size(unpacked + documents.size);
  record.set_pulled(Now());
  record.set_keep_blobs(policy == BlobPolicy::kKeep);
  return installed;
}

}  // namespace berth::image
