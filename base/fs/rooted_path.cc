#include "base/fs/rooted_path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <deque>
#include <vector>

#include "base/strings.h"

namespace berth {
namespace {

// The kernel's own limit (path_resolution(7)).
constexpr int kMaxLinks = 40;

StatusOr<UniqueFd> OpenInRoot(int root, const std::string& path, int flags,
                              uint64_t resolve) {
  struct open_how how = {};
  how.flags = static_cast<uint64_t>(flags | O_CLOEXEC);
  how.resolve = resolve | RESOLVE_NO_MAGICLINKS;
  // EAGAIN: a rename anywhere raced with the ".." of this path (openat2(2)).
  for (int attempt = 0;; ++attempt) {
    const long fd = syscall(SYS_openat2, root, path.c_str(), &how, sizeof(how));
    if (fd >= 0) return UniqueFd(static_cast<int>(fd));
    if (errno == EINTR || (errno == EAGAIN && attempt < 1000)) continue;
    return Errno(errno, "open " + Quoted(path) + " in its root");
  }
}

StatusOr<mode_t> TypeOf(int fd) {
  struct stat st;
  if (fstat(fd, &st) != 0) return Errno(errno, "fstat");
  return st.st_mode & S_IFMT;
}

StatusOr<UniqueFd> Duplicate(int fd) {
  UniqueFd copy(fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!copy.valid()) return Errno(errno, "dup");
  return copy;
}

}  // namespace

// Resolves component by component, so that missing directories can be made on
// the way. `resolved_` never holds a link, so popping it is "..".
class RootedPath::Walk {
 public:
  Walk(int root, std::string_view path) : root_(root) { Prepend(path); }

  // To the directory that the path names; made as far as missing.
  Status ToDirectory(mode_t mode) {
    RETURN_IF_ERROR(Reopen());
    while (!pending_.empty()) {
      const std::string name = Next();
      RETURN_IF_ERROR(Step(name, mode));
    }
    return OkStatus();
  }

  // To the directory above the last name. A link as last name is followed if
  // `follow`.
  StatusOr<std::string> ToParent(bool follow) {
    RETURN_IF_ERROR(Reopen());
    while (!pending_.empty()) {
      const std::string name = Next();
      if (pending_.empty() && name != "..") {
        if (!follow) return name;
        auto opened = OpenName(name);
        if (IsNotFound(opened.status())) return name;
        ASSIGN_OR_RETURN(const UniqueFd fd, std::move(opened));
        ASSIGN_OR_RETURN(const mode_t type, TypeOf(fd.get()));
        if (type != S_IFLNK) return name;
        RETURN_IF_ERROR(Follow(fd.get()));
        continue;
      }
      RETURN_IF_ERROR(Step(name, 0755));
    }
    return InvalidArgument("path names the root itself");
  }

  UniqueFd Take() { return std::move(current_); }
  int current() const { return current_.get(); }

 private:
  void Prepend(std::string_view path) {
    std::vector<std::string> names = Split(path, '/');
    for (auto name = names.rbegin(); name != names.rend(); ++name) {
      if (!name->empty() && *name != ".") pending_.push_front(*name);
    }
  }

  std::string Next() {
    std::string name = std::move(pending_.front());
    pending_.pop_front();
    return name;
  }

  Status Reopen() {
    if (resolved_.empty()) {
      ASSIGN_OR_RETURN(current_, Duplicate(root_));
      return OkStatus();
    }
    ASSIGN_OR_RETURN(
        current_, OpenInRoot(root_, Join(resolved_, "/"), O_PATH | O_DIRECTORY,
                             RESOLVE_IN_ROOT));
    return OkStatus();
  }

  StatusOr<UniqueFd> OpenName(const std::string& name) {
    return OpenInRoot(current_.get(), name, O_PATH | O_NOFOLLOW,
                      RESOLVE_BENEATH);
  }

  Status Follow(int link) {
    if (++links_ > kMaxLinks) return Errno(ELOOP, "follow links");
    char target[PATH_MAX];
    const ssize_t n = readlinkat(link, "", target, sizeof(target));
    if (n < 0) return Errno(errno, "readlink");
    const std::string_view path(target, static_cast<size_t>(n));
    if (StartsWith(path, "/")) resolved_.clear();
    Prepend(path);
    return Reopen();
  }

  Status Step(const std::string& name, mode_t mode) {
    if (name == "..") {
      if (!resolved_.empty()) resolved_.pop_back();
      return Reopen();
    }
    auto opened = OpenName(name);
    if (IsNotFound(opened.status())) {
      if (mkdirat(current_.get(), name.c_str(), mode) != 0 && errno != EEXIST) {
        return Errno(errno, "mkdir " + Quoted(name));
      }
      opened = OpenName(name);
    }
    ASSIGN_OR_RETURN(UniqueFd fd, std::move(opened));
    ASSIGN_OR_RETURN(const mode_t type, TypeOf(fd.get()));
    if (type == S_IFLNK) return Follow(fd.get());
    if (type != S_IFDIR) return Errno(ENOTDIR, "walk to " + Quoted(name));
    current_ = std::move(fd);
    resolved_.push_back(name);
    return OkStatus();
  }

  const int root_;
  std::deque<std::string> pending_;
  std::vector<std::string> resolved_;
  UniqueFd current_;
  int links_ = 0;
};

StatusOr<RootedPath> RootedPath::Open(const std::string& directory) {
  UniqueFd fd(open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return Errno(errno, "open directory " + Quoted(directory));
  return RootedPath(std::move(fd));
}

StatusOr<UniqueFd> RootedPath::Open(std::string_view path, int flags) const {
  // openat2 takes the empty path for an error, not for the root.
  return OpenInRoot(fd(), path.empty() ? "/" : std::string(path), flags,
                    RESOLVE_IN_ROOT);
}

StatusOr<UniqueFd> RootedPath::OpenNoLinks(std::string_view path,
                                           int flags) const {
  return OpenInRoot(fd(), path.empty() ? "/" : std::string(path), flags,
                    RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
}

StatusOr<RootedPath::Place> RootedPath::ResolveParent(
    std::string_view path) const {
  Walk walk(fd(), path);
  ASSIGN_OR_RETURN(std::string name, walk.ToParent(false));
  return Place{walk.Take(), std::move(name)};
}

StatusOr<UniqueFd> RootedPath::MakeDirectories(std::string_view path,
                                               mode_t mode) const {
  auto existing = Open(path, O_PATH | O_DIRECTORY);
  if (existing.ok() || !IsNotFound(existing.status())) return existing;
  Walk walk(fd(), path);
  RETURN_IF_ERROR_AS(walk.ToDirectory(mode), "make directory " + Quoted(path));
  return walk.Take();
}

StatusOr<UniqueFd> RootedPath::MakeFile(std::string_view path,
                                        mode_t mode) const {
  auto existing = Open(path, O_PATH);
  if (existing.ok() || !IsNotFound(existing.status())) return existing;
  Walk walk(fd(), path);
  ASSIGN_OR_RETURN_AS(const std::string name, walk.ToParent(true),
                      "make file " + Quoted(path));
  const UniqueFd made(
      openat(walk.current(), name.c_str(),
             O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
  if (!made.valid() && errno != EEXIST) {
    return Errno(errno, "make file " + Quoted(path));
  }
  return OpenInRoot(walk.current(), name, O_PATH | O_NOFOLLOW, RESOLVE_BENEATH);
}

StatusOr<std::string> PathOfFd(int fd) {
  char target[PATH_MAX];
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t n = readlink(link.c_str(), target, sizeof(target));
  if (n < 0) return Errno(errno, "readlink " + link);
  return std::string(target, static_cast<size_t>(n));
}

}  // namespace berth
