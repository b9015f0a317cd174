#ifndef BASE_FS_ROOTED_PATH_H_
#define BASE_FS_ROOTED_PATH_H_

#include <sys/types.h>

#include <string>
#include <string_view>

#include "base/status.h"
#include "base/unique_fd.h"

namespace berth {

// A directory whose paths cannot leave it: names in it are resolved as a
// process sees them whose root it is. Absolute links and ".." stop at the
// directory, magic links (/proc/PID/fd) are refused, and a link that is
// exchanged while we look leads to some other place inside, never outside.
//
// Everything that touches a tree which a container can write goes through
// this class. Source: openat2(2), RESOLVE_IN_ROOT (Linux 5.6);
// CVE-2019-18837, CVE-2021-30465, CVE-2024-45310.
//
// Thread-compatible.
class RootedPath {
 public:
  static StatusOr<RootedPath> Open(const std::string& directory);
  // Of a directory that is open already.
  explicit RootedPath(UniqueFd directory) : root_(std::move(directory)) {}

  int fd() const { return root_.get(); }

  // open(2) within the root. For O_CREAT and O_NOFOLLOW see ResolveParent.
  StatusOr<UniqueFd> Open(std::string_view path, int flags) const;

  // The same where nothing on the way, nor the last name, may be a link.
  StatusOr<UniqueFd> OpenNoLinks(std::string_view path, int flags) const;

  // A place in a directory: for mknodat, symlinkat and their like, which do
  // not follow `name`.
  struct Place {
    UniqueFd directory;
    std::string name;  // never empty, "." or ".."
  };
  // The directories above are made (mode 0755) if missing.
  // INVALID_ARGUMENT for the root itself.
  StatusOr<Place> ResolveParent(std::string_view path) const;

  // An O_PATH fd of the directory, which is made with its parents if missing;
  // links on the way are followed even if what they lead to is missing.
  StatusOr<UniqueFd> MakeDirectories(std::string_view path, mode_t mode) const;
  // An O_PATH fd of what is at `path`: of any kind; an empty file if there
  // was nothing.
  StatusOr<UniqueFd> MakeFile(std::string_view path, mode_t mode) const;

 private:
  class Walk;
  UniqueFd root_;
};

// Where an open fd is, as /proc/self/fd tells it: for messages and checks.
StatusOr<std::string> PathOfFd(int fd);

}  // namespace berth

#endif  // BASE_FS_ROOTED_PATH_H_
