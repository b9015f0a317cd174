#ifndef IMAGE_TRANSFER_INSTALLER_H_
#define IMAGE_TRANSFER_INSTALLER_H_

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/context.h"
#include "base/keyed_mutex.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "image/content/content_store.h"
#include "image/content/incoming_blob.h"
#include "image/content/lease.h"
#include "image/manifest.h"
#include "image/snapshot/snapshotter.h"
#include "image/transfer/fetch_turns.h"
#include "image/transfer/image_source.h"

namespace berth::image {

// How far one layer is.
struct Progress {
  enum class State { kWaiting, kDownloading, kUnpacking, kDone, kExists };
  Digest layer;
  State state = State::kWaiting;
  uint64_t current = 0;  // bytes, while downloading
  uint64_t total = 0;
};
// Called from several threads, at most ten times a second for one layer in
// one state.
using ProgressFunction = std::function<void(const Progress&)>;

// What becomes of compressed layers after they were unpacked. Dropped ones can
// be fetched again, by their digests, from where the image was pulled.
enum class BlobPolicy { kDrop, kKeep };

// What an image became in the stores; no name refers to it yet.
struct Installed {
  state::v1::ImageRecord record;
  Digest resolved;       // what the source's name meant: manifest or index
  bool changed = false;  // something was written
};

// Brings an image from a source into the content store and the snapshotter:
// documents first, then three layers at a time, each unpacked into a directory
// of its own while it is fetched, verified, and committed in the image's order.
//
// Of one blob and of one layer there is one worker at a time, whichever pulls
// want it; a silent registry holds up its own pulls only. Thread-safe.
class Installer {
 public:
  struct Options {
    int parallel_layers = 3;
    // Unpacked bytes of a layer: the larger of the two. Others have no such
    // bound, and fill the disk with what a layer of some MiB expands to.
    uint64_t min_unpacked_limit = uint64_t{1} << 30;
    uint64_t max_ratio = 200;
    // How long a pull waits for the registry of another one that brings it
    // nothing, before it asks its own.
    Duration patience = std::chrono::seconds(10);
  };

  // The stores must outlive it.
  Installer(ContentStore& content, Snapshotter& snapshots,
            const Options& options)
      : content_(content),
        snapshots_(snapshots),
        options_(options),
        turns_(options.patience) {}

  // `lease` keeps what is installed from the garbage collector until a record
  // names it. A blob that is to be dropped goes at once if this call brought it
  // and no other lease holds it: else the garbage collector decides.
  StatusOr<Installed> Install(const Context& ctx, ImageSource& source,
                              Leases::Lease& lease, BlobPolicy policy,
                              const ProgressFunction& report);

  // Into the content store a blob of an image; OK if it is there.
  Status FetchBlob(const Context& ctx, ImageSource& source,
                   const Descriptor& blob);

 private:
  class LayerJob;
  struct Documents;

  StatusOr<Documents> FetchDocuments(const Context& ctx, ImageSource& source,
                                     Leases::Lease& lease);
  StatusOr<std::string> FetchConfig(const Context& ctx, ImageSource& source,
                                    Documents& documents);
  // From the source, unless it is here.
  StatusOr<ImageSource::Fetched> FetchManifest(const Context& ctx,
                                               ImageSource& source,
                                               const Descriptor& wanted);
  Status WriteDocument(const Digest& digest, std::string_view bytes,
                       Documents& documents);
  Status InTurn(const Context& ctx, const Digest& blob,
                const std::string& origin,
                const std::function<Status(FetchTurns::Turn&)>& work);
  StatusOr<KeyedMutex::Lock> HoldLayer(const Context& ctx, LayerJob& job,
                                       size_t index);
  Status InstallLayer(const Context& ctx, LayerJob& job, size_t index);
  StatusOr<UniqueFd> FetchLayer(const Context& ctx, LayerJob& job, size_t index,
                                IncomingBlob& blob);
  bool HasLayer(const Digest& chain) const;
  StatusOr<uint64_t> SizeOf(const LayerJob& job) const;
  Status UnpackLayer(const Context& ctx, LayerJob& job, size_t index,
                     ByteSource& blob);
  Status FetchAndUnpackLayer(const Context& ctx, LayerJob& job, size_t index);
  Status KeepBlob(const Context& ctx, LayerJob& job, size_t index);
  Status DropBlob(const Context& ctx, const LayerJob& job, size_t index,
                  const Status& unpacked);

  ContentStore& content_;
  Snapshotter& snapshots_;
  const Options options_;
  KeyedMutex working_;  // by chain
  FetchTurns turns_;    // by blob
};

}  // namespace berth::image

#endif  // IMAGE_TRANSFER_INSTALLER_H_
