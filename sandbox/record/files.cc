#include "sandbox/record/files.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs/tree.h"
#include "base/strings.h"
#include "base/sys/mount.h"
#include "base/unique_fd.h"

namespace berth::sandbox {

Status MakeDirectory(const std::string& path, mode_t mode) {
  if (mkdir(path.c_str(), mode) == 0) {
    // The umask may have taken bits away, and mkdir ignores the sticky bit's
    // neighbours (mkdir(2)).
    if (chmod(path.c_str(), mode) != 0) {
      return Errno(errno, "chmod " + Quoted(path));
    }
    return OkStatus();
  }
  if (errno == EEXIST) return OkStatus();
  return Errno(errno, "mkdir " + Quoted(path));
}

Status MakeDirectories(const std::string& path, mode_t mode) {
  const Status made = MakeDirectory(path, mode);
  if (!IsNotFound(made)) return made;
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos || slash == 0) return made;
  RETURN_IF_ERROR(MakeDirectories(path.substr(0, slash), mode));
  return MakeDirectory(path, mode);
}

Status WriteSmallFile(const std::string& path, std::string_view contents,
                      mode_t mode) {
  // Not O_TRUNC: on a full disk the file, which a container may see, would be
  // left empty.
  const UniqueFd file(
      open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, mode));
  if (!file.valid()) return Errno(errno, "create " + Quoted(path));
  const off_t size = static_cast<off_t>(contents.size());
  while (!contents.empty()) {
    const ssize_t n =
        TEMP_FAILURE_RETRY(write(file.get(), contents.data(), contents.size()));
    if (n < 0) return Errno(errno, "write " + Quoted(path));
    contents.remove_prefix(static_cast<size_t>(n));
  }
  if (ftruncate(file.get(), size) != 0) {
    return Errno(errno, "ftruncate " + Quoted(path));
  }
  return OkStatus();
}

StatusOr<std::string> ReadSmallFile(const std::string& path, uint64_t limit) {
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.valid()) return Errno(errno, "open " + Quoted(path));
  std::string text;
  char buffer[16 << 10];
  while (true) {
    const ssize_t n =
        TEMP_FAILURE_RETRY(read(file.get(), buffer, sizeof(buffer)));
    if (n < 0) return Errno(errno, "read " + Quoted(path));
    if (n == 0) return text;
    text.append(buffer, static_cast<size_t>(n));
    if (text.size() > limit) {
      return ResourceExhausted("read " + Quoted(path) + ": more than " +
                               std::to_string(limit) + " bytes");
    }
  }
}

Status DetachMounts(const std::string& path) {
  RETURN_IF_ERROR(Unmount(path, MNT_DETACH | UMOUNT_NOFOLLOW));
  // Another may be below it.
  Status next;
  do {
    next = Unmount(path, MNT_DETACH | UMOUNT_NOFOLLOW);
  } while (next.ok());
  return IgnoreNotFound(next);
}

Status RemoveTree(const std::string& path) {
  return ::berth::RemoveTree(AT_FDCWD, path);
}

}  // namespace berth::sandbox
