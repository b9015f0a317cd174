#ifndef IMAGE_CONTENT_FREE_SPACE_H_
#define IMAGE_CONTENT_FREE_SPACE_H_

#include <cstdint>

#include "base/status.h"

namespace berth::image {

// Whoever writes more than this looks at the disk each time.
constexpr uint64_t kSpaceCheckInterval = 64 << 20;

// RESOURCE_EXHAUSTED if the file system of `fd` has less left than what images
// leave to others: 1 GiB, or a twentieth of a small disk.
Status CheckFreeSpace(int fd);

}  // namespace berth::image

#endif  // IMAGE_CONTENT_FREE_SPACE_H_
