#ifndef IMAGE_TRANSFER_EXPORTER_H_
#define IMAGE_TRANSFER_EXPORTER_H_

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "api/state/v1/image.pb.h"
#include "base/context.h"
#include "base/digest.h"
#include "base/status.h"
#include "image/content/content_store.h"
#include "image/content/lease.h"
#include "image/manifest.h"
#include "image/reference.h"
#include "image/transfer/image_sink.h"

namespace berth::image {

// Brings images from the content store into a sink: first all blobs that are
// not here are fetched from where their images were pulled, so that what cannot
// be had is known before the sink gets a byte. Single-threaded.
class Exporter {
 public:
  // Brings a blob into the store from a repository ("host/path").
  using Fetch = std::function<Status(
      const Context& ctx, const std::string& repository, const Descriptor&)>;

  // `content` and `lease` must outlive it.
  Exporter(ContentStore& content, Leases::Lease& lease, Fetch fetch)
      : content_(content), lease_(lease), fetch_(std::move(fetch)) {}

  // An image, or further names of it. FAILED_PRECONDITION if a blob was dropped
  // and the image came from files.
  Status Add(const Context& ctx, const state::v1::ImageRecord& image,
             const std::vector<Reference>& names);
  // All that was added. A blob that does not match its digest is removed from
  // the store, for the next try to fetch it, and DATA_LOSS.
  Status WriteTo(const Context& ctx, ImageSink& sink);

 private:
  Status Have(const Context& ctx, const state::v1::ImageRecord& image,
              const Descriptor& blob);
  Status WriteBlob(const Context& ctx, const Descriptor& blob, ImageSink& sink);

  ContentStore& content_;
  Leases::Lease& lease_;
  const Fetch fetch_;
  std::vector<ImageSink::Entry> entries_;
};

}  // namespace berth::image

#endif  // IMAGE_TRANSFER_EXPORTER_H_
