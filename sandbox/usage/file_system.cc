#include "sandbox/usage/file_system.h"

#include <limits.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

#include "base/strings.h"

namespace berth::sandbox {

StatusOr<FileSystemStats> ReadFileSystem(const std::string& path) {
  struct statvfs sizes = {};
  if (statvfs(path.c_str(), &sizes) != 0) {
    return Errno(errno, "statvfs " + Quoted(path));
  }
  struct stat info = {};
  if (stat(path.c_str(), &info) != 0) {
    return Errno(errno, "stat " + Quoted(path));
  }
  return FileSystemStats{
      .device = BlockDeviceName(major(info.st_dev), minor(info.st_dev)),
      .bytes = uint64_t{sizes.f_blocks} * sizes.f_frsize,
      .inodes = sizes.f_files,
      .inodes_free = sizes.f_favail};
}

std::string BlockDeviceName(uint64_t major, uint64_t minor) {
  const std::string numbers =
      std::to_string(major) + ":" + std::to_string(minor);
  char target[PATH_MAX];  // "../../devices/.../block/sda/sda1"
  const ssize_t n =
      readlink(("/sys/dev/block/" + numbers).c_str(), target, sizeof(target));
  if (n <= 0) return numbers;
  const std::string_view link(target, static_cast<size_t>(n));
  return "/dev/" + std::string(link.substr(link.rfind('/') + 1));
}

}  // namespace berth::sandbox
