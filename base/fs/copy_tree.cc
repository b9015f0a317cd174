#include "base/fs/copy_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "base/sys/file.h"
#include "base/unique_fd.h"

namespace berth {
namespace {

constexpr int kMaxDepth = 256;
constexpr size_t kMaxXattrBytes = 64 << 10;   // the kernel's own bound
constexpr size_t kMaxLinkedBytes = 16 << 20;  // of paths of LinkedFiles

// Files that have more than one name, and where the copy has the first.
class LinkedFiles {
 public:
  explicit LinkedFiles(int root) : root_(root) {}

  // Makes `name` one more name of the copy of this file; false if there is
  // none yet. A container may write in the target meanwhile: nothing leads out
  // of it, and a copy that is gone is made anew.
  bool Link(const struct stat& info, int directory, const std::string& name) {
    if (info.st_nlink < 2) return false;
    const auto known = paths_.find({info.st_dev, info.st_ino});
    if (known == paths_.end()) return false;
    const StatusOr<UniqueFd> file =
        OpenBeneath(root_, known->second, O_PATH | O_NOFOLLOW,
                    RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
    return file.ok() &&
           linkat(file->get(), "", directory, name.c_str(), AT_EMPTY_PATH) == 0;
  }
  void Add(const struct stat& info, const std::string& path) {
    if (info.st_nlink < 2 || bytes_ + path.size() > kMaxLinkedBytes) return;
    bytes_ += path.size();
    paths_[{info.st_dev, info.st_ino}] = path;
  }

 private:
  const int root_;
  std::map<std::pair<dev_t, ino_t>, std::string> paths_;
  size_t bytes_ = 0;
};

// Names first: the kernel need not list what changes meanwhile.
StatusOr<std::vector<std::string>> NamesIn(int directory) {
  UniqueFd again(openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!again.valid()) return Errno(errno, "open directory");
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(fdopendir(again.get()),
                                                closedir);
  if (!dir) return Errno(errno, "list directory");
  again.release();  // the stream's now
  std::vector<std::string> names;
  while (const dirent* entry = readdir(dir.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  return names;
}

// Of two open files or directories. Attributes that the target's file system
// does not have are left out.
Status CopyXattrs(int from, int to) {
  std::vector<char> list(kMaxXattrBytes);
  const ssize_t size = flistxattr(from, list.data(), list.size());
  if (size < 0) {
    return errno == ENOTSUP ? OkStatus() : Errno(errno, "list attributes");
  }
  std::vector<char> value(kMaxXattrBytes);
  const std::string_view names(list.data(), static_cast<size_t>(size));
  for (const std::string& name : Split(names, '\0')) {
    if (name.empty()) continue;
    const ssize_t n = fgetxattr(from, name.c_str(), value.data(), value.size());
    if (n < 0) continue;
    if (fsetxattr(to, name.c_str(), value.data(), static_cast<size_t>(n), 0) !=
            0 &&
        errno != ENOTSUP && errno != EPERM) {
      return Errno(errno, "set attribute " + Quoted(name));
    }
  }
  return OkStatus();
}

Status CopyFacts(const struct stat& info, int to) {
  // Owner before mode: a change of owner clears set-id bits.
  if (fchown(to, info.st_uid, info.st_gid) != 0) return Errno(errno, "chown");
  if (fchmod(to, info.st_mode & 07777) != 0) return Errno(errno, "chmod");
  const struct timespec times[2] = {info.st_atim, info.st_mtim};
  if (futimens(to, times) != 0) return Errno(errno, "set times");
  return OkStatus();
}

Status CopyBytes(int from, int to) {
  char buffer[64 << 10];
  while (true) {
    const ssize_t n = TEMP_FAILURE_RETRY(read(from, buffer, sizeof(buffer)));
    if (n < 0) return Errno(errno, "read");
    if (n == 0) return OkStatus();
    for (ssize_t done = 0; done < n;) {
      const ssize_t wrote =
          TEMP_FAILURE_RETRY(write(to, buffer + done, n - done));
      if (wrote < 0) return Errno(errno, "write");
      done += wrote;
    }
  }
}

Status CopyFile(int from_dir, int to_dir, const std::string& name,
                const struct stat& info) {
  const UniqueFd from(openat(from_dir, name.c_str(),
                             O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!from.valid()) return Errno(errno, "open");
  const UniqueFd to(openat(to_dir, name.c_str(),
                           O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!to.valid()) return Errno(errno, "create");
  RETURN_IF_ERROR(CopyBytes(from.get(), to.get()));
  RETURN_IF_ERROR(CopyXattrs(from.get(), to.get()));
  return CopyFacts(info, to.get());
}

Status CopyLink(int from_dir, int to_dir, const std::string& name,
                const struct stat& info) {
  char target[PATH_MAX];
  const ssize_t n = readlinkat(from_dir, name.c_str(), target, sizeof(target));
  if (n < 0) return Errno(errno, "readlink");
  const std::string text(target, static_cast<size_t>(n));
  if (symlinkat(text.c_str(), to_dir, name.c_str()) != 0) {
    return Errno(errno, "symlink");
  }
  if (fchownat(to_dir, name.c_str(), info.st_uid, info.st_gid,
               AT_SYMLINK_NOFOLLOW) != 0) {
    return Errno(errno, "chown link");
  }
  return OkStatus();
}

Status CopyNode(int to_dir, const std::string& name, const struct stat& info) {
  if (mknodat(to_dir, name.c_str(), info.st_mode, info.st_rdev) != 0) {
    return Errno(errno, "mknod");
  }
  if (fchownat(to_dir, name.c_str(), info.st_uid, info.st_gid,
               AT_SYMLINK_NOFOLLOW) != 0) {
    return Errno(errno, "chown");
  }
  // No open of a device, no link in its place: we have just made it.
  if (fchmodat(to_dir, name.c_str(), info.st_mode & 07777, 0) != 0) {
    return Errno(errno, "chmod");
  }
  return OkStatus();
}

// One copy at work.
class TreeCopy {
 public:
  explicit TreeCopy(int to) : linked_(to) {}

  // `path` is that of both directories below the two roots, with a slash at
  // its end, or empty.
  Status CopyDirectory(int from, int to, const std::string& path, int depth);

 private:
  Status CopyEntry(int from_dir, int to_dir, const std::string& path,
                   const std::string& name, int depth);
  Status CopySubdirectory(int from_dir, int to_dir, const std::string& path,
                          const std::string& name, int depth);

  LinkedFiles linked_;
};

Status TreeCopy::CopyEntry(int from_dir, int to_dir, const std::string& path,
                           const std::string& name, int depth) {
  struct stat info;
  if (fstatat(from_dir, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
    return Errno(errno, "stat");
  }
  if (S_ISDIR(info.st_mode)) {
    return CopySubdirectory(from_dir, to_dir, path, name, depth);
  }
  if (S_ISSOCK(info.st_mode)) return OkStatus();
  if (linked_.Link(info, to_dir, name)) return OkStatus();
  if (S_ISREG(info.st_mode)) {
    RETURN_IF_ERROR(CopyFile(from_dir, to_dir, name, info));
  } else if (S_ISLNK(info.st_mode)) {
    RETURN_IF_ERROR(CopyLink(from_dir, to_dir, name, info));
  } else {
    RETURN_IF_ERROR(CopyNode(to_dir, name, info));
  }
  linked_.Add(info, path + name);
  return OkStatus();
}

Status TreeCopy::CopySubdirectory(int from_dir, int to_dir,
                                  const std::string& path,
                                  const std::string& name, int depth) {
  const UniqueFd from(openat(from_dir, name.c_str(),
                             O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!from.valid()) return Errno(errno, "open");
  if (mkdirat(to_dir, name.c_str(), 0700) != 0 && errno != EEXIST) {
    return Errno(errno, "mkdir");
  }
  const UniqueFd to(openat(to_dir, name.c_str(),
                           O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!to.valid()) return Errno(errno, "open copy");
  return CopyDirectory(from.get(), to.get(), path + name + "/", depth + 1);
}

Status TreeCopy::CopyDirectory(int from, int to, const std::string& path,
                               int depth) {
  if (depth > kMaxDepth) {
    return ResourceExhausted("more than " + std::to_string(kMaxDepth) +
                             " levels of directories");
  }
  struct stat info;
  if (fstat(from, &info) != 0) return Errno(errno, "stat directory");
  ASSIGN_OR_RETURN(const std::vector<std::string> names, NamesIn(from));
  for (const std::string& name : names) {
    RETURN_IF_ERROR_AS(CopyEntry(from, to, path, name, depth), Quoted(name));
  }
  RETURN_IF_ERROR(CopyXattrs(from, to));
  return CopyFacts(info, to);
}

}  // namespace

Status CopyTree(int from, int to) {
  return Annotate(TreeCopy(to).CopyDirectory(from, to, "", 0), "copy tree");
}

}  // namespace berth
