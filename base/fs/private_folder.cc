#include "base/fs/private_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "base/strings.h"
#include "base/sys/file.h"
#include "base/unique_fd.h"

namespace berth {
namespace {

constexpr mode_t kOthers = 077;

// A directory of the daemon's own and how many levels of such begin with it.
struct Own {
  const char* name;
  int levels;
};
constexpr Own kBelowRoot[] = {
    {"containers", 3},  // containers/<id>/volumes
    {"sandboxes", 2},  {"volumes", 2}, {"snapshots", 1}, {"content", 1},
    {"import", 1},     {"cni", 1},     {"docker", 1},
};
constexpr Own kBelowState[] = {
    {"containers", 4},  // containers/<id>/images/<n>
    {"sandboxes", 2},  {"shims", 2},         {"oci", 2},
    {"cni", 1},        {"cni-addresses", 1},
};

Status Tighten(int directory) {
  ASSIGN_OR_RETURN(const struct stat info, StatFd(directory));
  if ((info.st_mode & kOthers) == 0) return OkStatus();
  if (fchmod(directory, info.st_mode & 07777 & ~kOthers) != 0) {
    return Errno(errno, "chmod");
  }
  return OkStatus();
}

// The directory of that name, if it is one and nothing is mounted on it.
Status TightenBelow(int parent, const std::string& name, int depth) {
  const StatusOr<UniqueFd> directory =
      OpenBeneath(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW,
                  RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
  const int error = ErrnoOf(directory.status());
  if (error == ENOTDIR || error == ELOOP || error == EXDEV || error == ENOENT) {
    return OkStatus();
  }
  RETURN_IF_ERROR(directory.status());
  RETURN_IF_ERROR_AS(Tighten(directory->get()), Quoted(name));
  if (depth <= 1) return OkStatus();
  ASSIGN_OR_RETURN(const std::vector<std::string> names,
                   ListDirectory(directory->get()));
  for (const std::string& below : names) {
    RETURN_IF_ERROR_AS(TightenBelow(directory->get(), below, depth - 1),
                       Quoted(name));
  }
  return OkStatus();
}

template <size_t N>
Status TightenAll(const std::string& path, const Own (&all)[N]) {
  ASSIGN_OR_RETURN(const UniqueFd top, OpenFile(path, O_RDONLY | O_DIRECTORY));
  for (const Own& own : all) {
    RETURN_IF_ERROR_AS(TightenBelow(top.get(), own.name, own.levels),
                       "make directories private below " + Quoted(path));
  }
  return OkStatus();
}

}  // namespace

Status MakePrivateFolder(const std::string& path) {
  const std::string doing = "make directory " + Quoted(path) + " private";
  const size_t slash = path.rfind('/');
  if (slash != std::string::npos && slash > 0) {
    RETURN_IF_ERROR(MakeDirectories(path.substr(0, slash), 0755));
  }
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return Errno(errno, "mkdir " + Quoted(path));
  }
  // The administrator may have put it elsewhere by a link.
  ASSIGN_OR_RETURN(const UniqueFd directory,
                   OpenFile(path, O_RDONLY | O_DIRECTORY));
  ASSIGN_OR_RETURN(const struct stat info, StatFd(directory.get()));
  if (info.st_uid != geteuid()) {
    return FailedPrecondition(doing + ": it belongs to another user");
  }
  if ((info.st_mode & 022) != 0) {
    return FailedPrecondition(doing + ": others can write to it");
  }
  return Annotate(Tighten(directory.get()), doing);
}

Status MakePrivate(const HostPaths& paths) {
  RETURN_IF_ERROR(MakePrivateFolder(paths.root));
  RETURN_IF_ERROR(MakePrivateFolder(paths.state));
  RETURN_IF_ERROR(TightenAll(paths.root, kBelowRoot));
  return TightenAll(paths.state, kBelowState);
}

}  // namespace berth
