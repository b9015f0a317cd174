#ifndef SANDBOX_USAGE_FILE_SYSTEM_H_
#define SANDBOX_USAGE_FILE_SYSTEM_H_

#include <cstdint>
#include <string>

#include "base/status.h"

namespace berth::sandbox {

struct FileSystemStats {
  std::string device;  // as BlockDeviceName
  uint64_t bytes = 0;  // its size
  uint64_t inodes = 0;
  uint64_t inodes_free = 0;
};

// Of the file system that `path` is on. Asks that file system: only for our
// own folders.
StatusOr<FileSystemStats> ReadFileSystem(const std::string& path);

// "/dev/sda1"; "0:45" for one without a device, such as tmpfs.
std::string BlockDeviceName(uint64_t major, uint64_t minor);

}  // namespace berth::sandbox

#endif  // SANDBOX_USAGE_FILE_SYSTEM_H_
