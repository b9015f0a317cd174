#include "base/sys/file.h"

#include <dirent.h>
#include <errno.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "base/strings.h"

namespace berth {
namespace {

// How often a race with a rename is waited out before we believe it.
constexpr int kResolveTries = 128;

}  // namespace

StatusOr<UniqueFd> OpenFile(const std::string& path, int flags, mode_t mode) {
  return OpenFileAt(AT_FDCWD, path, flags, mode);
}

StatusOr<UniqueFd> OpenFileAt(int dir, const std::string& path, int flags,
                              mode_t mode) {
  const int fd = static_cast<int>(
      TEMP_FAILURE_RETRY(openat(dir, path.c_str(), flags | O_CLOEXEC, mode)));
  if (fd < 0) return Errno(errno, "open " + Quoted(path));
  return UniqueFd(fd);
}

StatusOr<UniqueFd> OpenBeneath(int dir, const std::string& path, int flags,
                               uint64_t resolve, mode_t mode) {
  struct open_how how = {};
  how.flags = static_cast<uint64_t>(flags | O_CLOEXEC);
  how.mode = mode;
  how.resolve = resolve;
  for (int left = kResolveTries;; --left) {
    const long fd = syscall(SYS_openat2, dir, path.c_str(), &how, sizeof(how));
    if (fd >= 0) return UniqueFd(static_cast<int>(fd));
    if (errno == EINTR) continue;
    if (errno == EAGAIN && left > 0) continue;
    return Errno(errno, "openat2 " + Quoted(path));
  }
}

StatusOr<std::string> ReadAll(int fd, uint64_t limit, const std::string& what) {
  std::string bytes;
  size_t chunk = 16 * 1024;
  struct stat info;
  if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0) {
    // One more than the size, so that the end is seen without another round.
    chunk = static_cast<size_t>(
        std::min<uint64_t>(static_cast<uint64_t>(info.st_size), limit) + 1);
  }
  while (true) {
    const size_t have = bytes.size();
    const uint64_t room = limit - have + 1;
    bytes.resize(have + static_cast<size_t>(std::min<uint64_t>(chunk, room)));
    StatusOr<size_t> n = ReadUpTo(fd, bytes.data() + have, bytes.size() - have);
    if (!n.ok()) return Annotate(n.status(), what);
    const bool end = have + *n < bytes.size();
    bytes.resize(have + *n);
    if (bytes.size() > limit) {
      return ResourceExhausted("read " + Quoted(what) + ": longer than " +
                               std::to_string(limit) + " bytes");
    }
    if (end) return bytes;
    chunk = std::min<size_t>(std::max<size_t>(bytes.size(), 16 * 1024),
                             1024 * 1024);
  }
}

StatusOr<std::string> ReadFile(const std::string& path, uint64_t limit) {
  ASSIGN_OR_RETURN(UniqueFd fd, OpenFile(path, O_RDONLY));
  return ReadAll(fd.get(), limit, path);
}

StatusOr<size_t> ReadUpTo(int fd, char* data, size_t size) {
  size_t done = 0;
  while (done < size) {
    const ssize_t n = TEMP_FAILURE_RETRY(read(fd, data + done, size - done));
    if (n < 0) return Errno(errno, "read");
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  return done;
}

Status WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = TEMP_FAILURE_RETRY(write(fd, bytes.data(), bytes.size()));
    if (n < 0) return Errno(errno, "write");
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return OkStatus();
}

StatusOr<struct stat> StatFd(int fd) {
  struct stat info;
  if (fstat(fd, &info) != 0) return Errno(errno, "fstat");
  return info;
}

StatusOr<struct stat> StatAt(int dir, const std::string& name) {
  struct stat info;
  if (fstatat(dir, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
    return Errno(errno, "stat " + Quoted(name));
  }
  return info;
}

Status MakeDirectories(const std::string& path, mode_t mode) {
  for (size_t at = 0; at != std::string::npos;) {
    at = path.find('/', at + 1);
    const std::string part = path.substr(0, at);
    if (part.empty() || part == "/") continue;
    if (mkdir(part.c_str(), mode) != 0 && errno != EEXIST) {
      return Errno(errno, "mkdir " + Quoted(part));
    }
  }
  struct stat info;
  if (stat(path.c_str(), &info) != 0) {
    return Errno(errno, "stat " + Quoted(path));
  }
  if (!S_ISDIR(info.st_mode)) return Errno(ENOTDIR, "mkdir " + Quoted(path));
  return OkStatus();
}

StatusOr<std::vector<std::string>> ListDirectory(int dir) {
  // A descriptor of its own: closedir closes it, and the offset is not shared.
  ASSIGN_OR_RETURN(UniqueFd fd, OpenFileAt(dir, ".", O_RDONLY | O_DIRECTORY));
  std::unique_ptr<DIR, int (*)(DIR*)> stream(fdopendir(fd.get()), closedir);
  if (stream == nullptr) return Errno(errno, "fdopendir");
  fd.release();
  std::vector<std::string> names;
  while (true) {
    errno = 0;
    const dirent* entry = readdir(stream.get());
    if (entry == nullptr) break;
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
      continue;
    }
    names.emplace_back(entry->d_name);
  }
  if (errno != 0) return Errno(errno, "readdir");
  std::sort(names.begin(), names.end());
  return names;
}

Status SyncFile(int fd, const std::string& what) {
  if (fsync(fd) != 0) return Errno(errno, "fsync " + Quoted(what));
  return OkStatus();
}

Status SyncFileSystem(int fd, const std::string& what) {
  if (syncfs(fd) != 0) return Errno(errno, "syncfs " + Quoted(what));
  return OkStatus();
}

}  // namespace berth
