#ifndef IMAGE_TRANSFER_IMAGE_SOURCE_H_
#define IMAGE_TRANSFER_IMAGE_SOURCE_H_

#include <cstdint>
#include <functional>
#include <string>

#include "base/context.h"
#include "base/status.h"
#include "image/content/content_store.h"
#include "image/manifest.h"

namespace berth::image {

// Where one image comes from. A seam: RegistryClient, and LayoutSource for
// images in files. Thread-safe.
class ImageSource {
 public:
  virtual ~ImageSource() = default;

  // A manifest or index, whole: its bytes match `descriptor`.
  struct Fetched {
    Descriptor descriptor;
    std::string bytes;
  };
  // What the image's name means now.
  virtual StatusOr<Fetched> Resolve(const Context& ctx) = 0;
  // A child of an index.
  virtual StatusOr<Fetched> FetchManifest(const Context& ctx,
                                          const Descriptor& descriptor) = 0;
  // Whether its blobs can be fetched again later, when a container or a peer
  // wants them: a registry, but no file that a client sent.
  virtual bool IsLasting() const = 0;
  // Where its bytes come from: sources with one origin are slow together. Empty
  // for one whose bytes cannot come twice, or that does not wait for anybody.
  virtual std::string Origin() const { return {}; }
  // Into the store, whole and verified; goes on where an earlier try ended.
  // `progress` is told how many bytes are there; fewer than before when they
  // have to come anew.
  virtual Status FetchBlob(const Context& ctx, const Descriptor& descriptor,
                           ContentStore& store,
                           const std::function<void(uint64_t)>& progress) = 0;
};

}  // namespace berth::image

#endif  // IMAGE_TRANSFER_IMAGE_SOURCE_H_
