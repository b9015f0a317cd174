#include "base/fs/atomic_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/strings.h"
#include "base/undo.h"
#include "base/unique_fd.h"

namespace berth {
namespace {

Status WriteAll(int fd, const std::string& name, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = TEMP_FAILURE_RETRY(write(fd, bytes.data(), bytes.size()));
    if (n < 0) return Errno(errno, "write " + Quoted(name));
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return OkStatus();
}

Status Replace(int dir, const std::string& name, std::string_view contents,
               mode_t mode, bool flush) {
  const std::string temp = "." + name + ".tmp";
  // A crash may have left the last attempt's file behind; O_EXCL below then
  // proves that what we write to is ours and no link planted in its place.
  unlinkat(dir, temp.c_str(), 0);
  UniqueFd file(
      openat(dir, temp.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  if (!file.valid()) return Errno(errno, "create " + Quoted(temp));
  Undo undo;
  undo.Add([&] { unlinkat(dir, temp.c_str(), 0); });

  // The umask must not take from what was asked for.
  if (fchmod(file.get(), mode) != 0) {
    return Errno(errno, "change the mode of " + Quoted(temp));
  }
  RETURN_IF_ERROR(WriteAll(file.get(), temp, contents));
  if (flush && fsync(file.get()) != 0)
    return Errno(errno, "flush " + Quoted(temp));
  if (renameat(dir, temp.c_str(), dir, name.c_str()) != 0) {
    return Errno(errno, "rename " + Quoted(temp) + " to " + Quoted(name));
  }
  undo.Commit();
  // The new name is durable only once its directory is.
  if (flush && fsync(dir) != 0) {
    return Errno(errno, "flush the directory of " + Quoted(name));
  }
  return OkStatus();
}

Status Replace(const std::string& path, std::string_view contents, mode_t mode,
               bool flush) {
  const size_t slash = path.rfind('/');
  const std::string parent =
      slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const std::string name =
      slash == std::string::npos ? path : path.substr(slash + 1);
  UniqueFd dir(open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!dir.valid()) return Errno(errno, "open directory " + Quoted(parent));
  return Replace(dir.get(), name, contents, mode, flush);
}

}  // namespace

Status WriteFileAtomically(int dir, const std::string& name,
                           std::string_view contents, mode_t mode) {
  return Replace(dir, name, contents, mode, /*flush=*/true);
}

Status WriteFileAtomically(const std::string& path, std::string_view contents,
                           mode_t mode) {
  return Replace(path, contents, mode, /*flush=*/true);
}

Status ReplaceFile(const std::string& path, std::string_view contents,
                   mode_t mode) {
  return Replace(path, contents, mode, /*flush=*/false);
}

}  // namespace berth
