// The half of LayerApplier that needs the lower layers.
#include <errno.h>
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/strings.h"
#include "base/sys/file.h"
#include "image/layer/layer_applier.h"

namespace berth::image {
namespace {

constexpr uint64_t kMaxCopyUp = 64 << 20;

// The attributes of `from` but overlayfs's own, to `to`. Paths of descriptors.
Status CopyXattrs(const std::string& from, const std::string& to) {
  std::string names(65536, '\0');
  const ssize_t size = listxattr(from.c_str(), names.data(), names.size());
  if (size < 0 && errno == ENOTSUP) return OkStatus();
  if (size < 0) return Errno(errno, "listxattr of a lower layer's entry");
  names.resize(static_cast<size_t>(size));
  std::string value(65536, '\0');
  for (const std::string& name : Split(names, '\0')) {
    if (name.empty() || StartsWith(name, "trusted.overlay.")) continue;
    const ssize_t length =
        getxattr(from.c_str(), name.c_str(), value.data(), value.size());
    if (length < 0) return Errno(errno, "getxattr " + Quoted(name));
    if (setxattr(to.c_str(), name.c_str(), value.data(),
                 static_cast<size_t>(length), 0) != 0) {
      return Errno(errno, "setxattr " + Quoted(name));
    }
  }
  return OkStatus();
}

// Owner, xattrs and mode; for descriptors opened with O_PATH, too.
Status CopyMetadata(const LayerStack::Found& from, int to) {
  const std::string target = FdPath(to);
  if (fchownat(to, "", from.info.st_uid, from.info.st_gid, AT_EMPTY_PATH) !=
      0) {
    return Errno(errno, "chown");
  }
  RETURN_IF_ERROR(CopyXattrs(FdPath(from.handle.get()), target));
  if (chmod(target.c_str(), from.info.st_mode & 07777) != 0) {
    return Errno(errno, "chmod");
  }
  return OkStatus();
}

}  // namespace

Status LayerApplier::Complete(const LayerStack& lower) {
  using Link = std::pair<const std::string, LowerLink>;
  const auto links = std::exchange(lower_links_, {});
  // One may lead to another before it.
  std::vector<const Link*> ordered;
  for (const Link& link : links) ordered.push_back(&link);
  std::sort(ordered.begin(), ordered.end(), [](const Link* a, const Link* b) {
    return a->second.order < b->second.order;
  });
  for (const Link* link : ordered) {
    const auto& [path, at] = *link;
    RETURN_IF_ERROR_AS(LinkLower(lower, path, at.target),
                       "link " + Quoted(path) + " to " + Quoted(at.target));
  }
  RETURN_IF_ERROR(DropNeedlessWhiteouts(lower));
  const std::set<std::string> implied = std::exchange(implied_, {});
  for (const std::string& path : implied) {
    RETURN_IF_ERROR_AS(CopyAttributes(lower, path),
                       "complete directory " + Quoted(path));
  }
  return SetDirectoryTimes();
}

// By this layer, itself or a directory above it.
bool LayerApplier::IsRemoved(const std::string& path) const {
  for (size_t at = path.find('/'); at != std::string::npos;
       at = path.find('/', at + 1)) {
    if (whiteouts_.count(path.substr(0, at)) > 0) return true;
  }
  return whiteouts_.count(path) > 0;
}

Status LayerApplier::LinkLower(const LayerStack& lower, const std::string& path,
                               const std::string& target) {
  {
    // A later entry of this layer may have made it, or an earlier link.
    ASSIGN_OR_RETURN(const Place place, PlaceOf(path));
    ASSIGN_OR_RETURN(const bool linked, LinkWithin(target, path, place));
    if (linked) return OkStatus();
  }
  if (IsRemoved(target)) {
    return InvalidArgument("the target is removed by the same layer");
  }
  ASSIGN_OR_RETURN(const std::optional<LayerStack::Found> found,
                   lower.Find(target));
  if (!found || !S_ISREG(found->info.st_mode)) {
    return InvalidArgument("no such file in this layer or below");
  }
  if (static_cast<uint64_t>(found->info.st_size) > kMaxCopyUp) {
    return FailedPrecondition(
        "the target is in a lower layer and over the limit of " +
        std::to_string(kMaxCopyUp) + " bytes");
  }
  RETURN_IF_ERROR(CopyUp(*found, target));
  ASSIGN_OR_RETURN(const Place place, PlaceOf(path));
  ASSIGN_OR_RETURN(const bool linked, LinkWithin(target, path, place));
  if (!linked) return Internal("a file copied up is not there");
  return OkStatus();
}

Status LayerApplier::CopyUp(const LayerStack::Found& file,
                            const std::string& path) {
  ASSIGN_OR_RETURN(const Place place, PlaceOf(path));
  ASSIGN_OR_RETURN(const UniqueFd from,
                   OpenFile(FdPath(file.handle.get()), O_RDONLY));
  ASSIGN_OR_RETURN(const UniqueFd to,
                   OpenFileAt(place.parent, place.name,
                              O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
  for (off_t left = file.info.st_size; left > 0;) {
    const ssize_t n = TEMP_FAILURE_RETRY(
        sendfile(to.get(), from.get(), nullptr, static_cast<size_t>(left)));
    if (n < 0) return Errno(errno, "sendfile");
    if (n == 0) break;
    left -= n;
  }
  RETURN_IF_ERROR(CopyMetadata(file, to.get()));
  const struct timespec times[] = {file.info.st_mtim, file.info.st_mtim};
  if (futimens(to.get(), times) != 0) return Errno(errno, "utimens");
  ++usage_.inodes;
  usage_.bytes += static_cast<uint64_t>(file.info.st_size);
  return OkStatus();
}

Status LayerApplier::CopyAttributes(const LayerStack& lower,
                                    const std::string& path) {
  ASSIGN_OR_RETURN(const std::optional<LayerStack::Found> found,
                   lower.Find(path));
  // Over a lower file or link the directory hides it, with attributes of its
  // own, as it does when there is nothing.
  if (!found || !S_ISDIR(found->info.st_mode)) return OkStatus();
  ASSIGN_OR_RETURN(const Handle directory, Directory(path));
  RETURN_IF_ERROR(CopyMetadata(*found, directory.fd));
  directory_times_[path] = found->info.st_mtim;
  return OkStatus();
}

// In a directory that has none below it overlayfs does not look for whiteouts:
// they would show when it is listed.
Status LayerApplier::DropNeedlessWhiteouts(const LayerStack& lower) {
  for (const std::string& path : whiteouts_) {
    bool hidden = opaque_.count("") > 0;
    for (size_t at = path.find('/'); at != std::string::npos && !hidden;
         at = path.find('/', at + 1)) {
      hidden = opaque_.count(path.substr(0, at)) > 0;
    }
    if (!hidden) {
      ASSIGN_OR_RETURN(const std::optional<LayerStack::Found> below,
                       lower.Find(path));
      if (below) continue;
    }
    ASSIGN_OR_RETURN(const Place place, PlaceOf(path));
    const StatusOr<struct stat> info = StatAt(place.parent, place.name);
    if (!info.ok() || !IsWhiteout(*info)) continue;
    if (unlinkat(place.parent, place.name.c_str(), 0) != 0) {
      return Errno(errno, "unlink whiteout " + Quoted(path));
    }
    --usage_.inodes;
  }
  return OkStatus();
}

Status LayerApplier::SetDirectoryTimes() {
  // Children sort behind their parents, and setting a time changes none above.
  for (auto it = directory_times_.rbegin(); it != directory_times_.rend();
       ++it) {
    const struct timespec times[] = {it->second, it->second};
    ASSIGN_OR_RETURN(const Handle directory, Directory(it->first));
    if (utimensat(AT_FDCWD, FdPath(directory.fd).c_str(), times, 0) != 0) {
      return Errno(errno, "utimens " + Quoted(it->first));
    }
  }
  return OkStatus();
}

}  // namespace berth::image
