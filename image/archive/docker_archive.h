#ifndef IMAGE_ARCHIVE_DOCKER_ARCHIVE_H_
#define IMAGE_ARCHIVE_DOCKER_ARCHIVE_H_

#include <map>
#include <string>
#include <vector>

#include "base/context.h"
#include "base/status.h"
#include "image/archive/image_files.h"
#include "image/transfer/image_source.h"

namespace berth::image {

// What `docker save` wrote: manifest.json names, for each image, a
// configuration and plain layers. It has no manifest in the sense of a
// registry: one is made, of digests that are computed here.
struct DockerArchiveImage {
  std::string config;
  std::vector<std::string> layers;
  std::vector<std::string> tags;
};
StatusOr<std::vector<DockerArchiveImage>> ReadDockerArchive(
    const ImageFiles& files);

// One image of it as a source. Thread-safe.
class DockerArchiveSource : public ImageSource {
 public:
  // Reads all layers once, to name them. `files` must outlive it.
  static StatusOr<std::unique_ptr<DockerArchiveSource>> Open(
      const Context& ctx, const ImageFiles& files,
      const DockerArchiveImage& image);

  StatusOr<Fetched> Resolve(const Context& ctx) override;
  bool IsLasting() const override { return false; }
  StatusOr<Fetched> FetchManifest(const Context& ctx,
                                  const Descriptor& descriptor) override;
  Status FetchBlob(const Context& ctx, const Descriptor& descriptor,
                   ContentStore& store,
                   const std::function<void(uint64_t)>& progress) override;

 private:
  explicit DockerArchiveSource(const ImageFiles& files) : files_(files) {}

  const ImageFiles& files_;
  Fetched manifest_;
  std::map<Digest, std::string> members_;
};

}  // namespace berth::image

#endif  // IMAGE_ARCHIVE_DOCKER_ARCHIVE_H_
