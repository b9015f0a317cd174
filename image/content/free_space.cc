#include "image/content/free_space.h"

#include <errno.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <string>

namespace berth::image {
namespace {

constexpr uint64_t kSpaceFloor = uint64_t{1} << 30;

}  // namespace

Status CheckFreeSpace(int fd) {
  struct statvfs info;
  if (fstatvfs(fd, &info) != 0) return Errno(errno, "statvfs");
  const uint64_t total = info.f_blocks * info.f_frsize;
  const uint64_t free = info.f_bavail * info.f_frsize;
  const uint64_t floor = std::min(kSpaceFloor, total / 20);
  if (free >= floor) return OkStatus();
  return ResourceExhausted("no space left on device: " + std::to_string(free) +
                           " bytes are free, " + std::to_string(floor) +
                           " are kept");
}

}  // namespace berth::image
