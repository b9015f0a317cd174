// What containers, images and volumes take on the disk.
#ifndef DOCKER_ROUTES_DISK_USAGE_H_
#define DOCKER_ROUTES_DISK_USAGE_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/digest.h"
#include "base/json.h"
#include "base/status.h"
#include "docker/container_json.h"
#include "docker/convert/filters.h"
#include "docker/engine.h"
#include "docker/volume_store.h"
#include "image/image_store.h"

namespace berth::docker {

// The bytes that a container has written over its image; 0 if they cannot be
// counted.
uint64_t WrittenBy(const Engine& engine, const View& view);
// The bytes of a volume; -1 if they cannot be counted.
int64_t VolumeSize(const Volume& volume);
// SizeRw and SizeRootFs, of a list's row or of an inspection.
void AddSizes(const Engine& engine, const View& view, Json& json);

// How many containers each image has, by its id.
std::map<std::string, int> ContainersByImage(const std::vector<View>& views);

// The filter "until"; 0 if there is none. INVALID_ARGUMENT.
StatusOr<UnixNanos> UntilOf(const Filters& filters);

// Which layers several images have. A value; thread-compatible.
class SharedSizes {
 public:
  SharedSizes(const Engine& engine, const std::vector<image::Image>& images);
  // The bytes of the image's layers that other images have too.
  uint64_t Of(const image::Image& image) const;
  // Of all images, each layer once.
  uint64_t total() const { return total_; }

 private:
  const Engine& engine_;
  std::map<Digest, int> users_;
  uint64_t total_ = 0;
};

}  // namespace berth::docker

#endif  // DOCKER_ROUTES_DISK_USAGE_H_
