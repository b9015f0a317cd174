#include "image/archive/tree_unpacker.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>

#include "base/fs/tree.h"
#include "base/strings.h"
#include "base/sys/file.h"
#include "image/layer/layer_stack.h"

namespace berth::image {
namespace {

constexpr size_t kMaxRemembered = 16 << 20;

bool MaySetXattr(const std::string& name, EntryKind kind) {
  if (name == "security.capability") return kind == EntryKind::kFile;
  return StartsWith(name, "user.") &&
         (kind == EntryKind::kFile || kind == EntryKind::kDirectory);
}

Status WriteContent(const Context& ctx, LayerReader& tar,
                    const LayerEntry& entry, int file) {
  std::string_view piece;
  for (const LayerEntry::Segment& segment : entry.segments) {
    if (segment.length == 0) continue;
    if (lseek(file, static_cast<off_t>(segment.offset), SEEK_SET) < 0) {
      return Errno(errno, "lseek");
    }
    for (uint64_t left = segment.length; left > 0;) {
      RETURN_IF_ERROR(ctx.Check());
      if (piece.empty()) {
        ASSIGN_OR_RETURN(piece, tar.Data());
        if (piece.empty()) return InvalidArgument("the file ends early");
      }
      const std::string_view part =
          piece.substr(0, std::min<uint64_t>(left, piece.size()));
      RETURN_IF_ERROR(WriteAll(file, part));
      piece.remove_prefix(part.size());
      left -= part.size();
    }
  }
  if (ftruncate(file, static_cast<off_t>(entry.size)) != 0) {
    return Errno(errno, "ftruncate");
  }
  return OkStatus();
}

// Makes anything but files, directories and hard links.
Status MakeNode(const LayerEntry& entry, int parent, const std::string& name) {
  if (entry.kind == EntryKind::kSymlink) {
    if (symlinkat(entry.link.c_str(), parent, name.c_str()) == 0) {
      return OkStatus();
    }
    return Errno(errno, "symlink");
  }
  const mode_t type = entry.kind == EntryKind::kFifo         ? S_IFIFO
                      : entry.kind == EntryKind::kCharDevice ? S_IFCHR
                                                             : S_IFBLK;
  const dev_t device = type == S_IFIFO ? 0 : makedev(entry.major, entry.minor);
  // To overlayfs it says that a file is gone.
  if (type == S_IFCHR && device == makedev(0, 0)) {
    return InvalidArgument("a character device 0/0");
  }
  if (mknodat(parent, name.c_str(), type | 0600, device) == 0) {
    return OkStatus();
  }
  return Errno(errno, "mknod");
}

}  // namespace

TreeUnpacker::TreeUnpacker(const RootedPath& root, std::string directory,
                           UnpackOptions options)
    : root_(root),
      directory_(std::move(directory)),
      options_(std::move(options)) {}

Status TreeUnpacker::Unpack(const Context& ctx, LayerReader& tar) {
  while (true) {
    RETURN_IF_ERROR(ctx.Check());
    ASSIGN_OR_RETURN(const std::optional<LayerEntry> entry, tar.Next());
    if (!entry) break;
    // The directory itself is not the archive's.
    if (entry->path.empty()) continue;
    RETURN_IF_ERROR_AS(MakeEntry(ctx, tar, *entry),
                       "unpack " + Quoted(entry->path));
  }
  return SetDirectoryTimes();
}

StatusOr<int> TreeUnpacker::ParentOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string above =
      slash == std::string::npos ? "" : path.substr(0, slash);
  if (parent_.valid() && !parent_is_old_ && above == parent_path_) {
    return parent_.get();
  }
  parent_is_old_ = false;
  const std::string full = directory_ + "/" + above;
  ASSIGN_OR_RETURN(parent_, root_.MakeDirectories(full, 0755));
  parent_path_ = above;
  return parent_.get();
}

StatusOr<bool> TreeUnpacker::ClearPlace(const LayerEntry& entry, int parent,
                                        const std::string& name) {
  const StatusOr<struct stat> there = StatAt(parent, name);
  if (IsNotFound(there.status())) return false;
  RETURN_IF_ERROR(there.status());
  const bool was_directory = S_ISDIR(there->st_mode);
  const bool is_directory = entry.kind == EntryKind::kDirectory;
  if (was_directory && is_directory) return true;
  if (options_.keep_kinds && was_directory != is_directory) {
    const std::string path = Quoted(directory_ + "/" + entry.path);
    return InvalidArgument(
        was_directory
            ? "cannot overwrite directory " + path + " with non-directory"
            : "cannot overwrite non-directory " + path + " with directory");
  }
  RETURN_IF_ERROR(RemoveTree(parent, name));
  // It may have been above the directory that ParentOf remembers, by way of a
  // link.
  parent_is_old_ = true;
  return false;
}

Status TreeUnpacker::MakeEntry(const Context& ctx, LayerReader& tar,
                               const LayerEntry& entry) {
  ASSIGN_OR_RETURN(const int parent, ParentOf(entry.path));
  const std::string name = entry.path.substr(entry.path.rfind('/') + 1);
  ASSIGN_OR_RETURN(const bool merges, ClearPlace(entry, parent, name));
  switch (entry.kind) {
    case EntryKind::kFile:
      RETURN_IF_ERROR(MakeFile(ctx, tar, entry, parent, name));
      break;
    case EntryKind::kHardLink:
      RETURN_IF_ERROR(MakeHardLink(entry, parent, name));
      break;
    case EntryKind::kDirectory:
      if (!merges && mkdirat(parent, name.c_str(), 0700) != 0) {
        return Errno(errno, "mkdir");
      }
      break;
    default:
      RETURN_IF_ERROR(MakeNode(entry, parent, name));
  }
  if (entry.kind == EntryKind::kFile || entry.kind == EntryKind::kHardLink) {
    return OkStatus();
  }
  ASSIGN_OR_RETURN(const UniqueFd handle,
                   OpenFileAt(parent, name, O_PATH | O_NOFOLLOW));
  RETURN_IF_ERROR(SetFacts(entry, handle.get()));
  if (entry.kind != EntryKind::kDirectory) return OkStatus();
  if (remembered_ + entry.path.size() <= kMaxRemembered) {
    remembered_ += entry.path.size();
    directory_times_[entry.path] = entry.mtime;
  }
  return OkStatus();
}

Status TreeUnpacker::MakeFile(const Context& ctx, LayerReader& tar,
                              const LayerEntry& entry, int parent,
                              const std::string& name) {
  ASSIGN_OR_RETURN(
      const UniqueFd file,
      OpenFileAt(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
  RETURN_IF_ERROR(WriteContent(ctx, tar, entry, file.get()));
  return SetFacts(entry, file.get());
}

Status TreeUnpacker::MakeHardLink(const LayerEntry& entry, int parent,
                                  const std::string& name) {
  const size_t slash = entry.link.rfind('/');
  const std::string above =
      slash == std::string::npos ? "" : entry.link.substr(0, slash);
  ASSIGN_OR_RETURN(const UniqueFd from,
                   root_.Open(directory_ + "/" + above, O_PATH | O_DIRECTORY));
  const std::string target = entry.link.substr(slash + 1);
  if (target.empty()) return InvalidArgument("a hard link to the directory");
  if (linkat(from.get(), target.c_str(), parent, name.c_str(), 0) != 0) {
    return Errno(errno, "link to " + Quoted(entry.link));
  }
  return OkStatus();
}

Status TreeUnpacker::SetFacts(const LayerEntry& entry, int handle) {
  const uid_t uid = options_.owner ? options_.owner->first : entry.uid;
  const gid_t gid = options_.owner ? options_.owner->second : entry.gid;
  // By the object itself: its name may have become a link meanwhile.
  if (fchownat(handle, "", uid, gid, AT_EMPTY_PATH) != 0) {
    return Errno(errno, "chown");
  }
  const std::string self = FdPath(handle);
  for (const auto& [name, value] : entry.xattrs) {
    if (!MaySetXattr(name, entry.kind)) continue;
    if (setxattr(self.c_str(), name.c_str(), value.data(), value.size(), 0) !=
            0 &&
        errno != ENOTSUP && errno != EPERM) {
      return Errno(errno, "setxattr " + name);
    }
  }
  const bool is_link = entry.kind == EntryKind::kSymlink;
  if (!is_link && chmod(self.c_str(), entry.mode & 07777) != 0) {
    return Errno(errno, "chmod");
  }
  const struct timespec times[] = {entry.mtime, entry.mtime};
  if (utimensat(handle, "", times, AT_EMPTY_PATH) != 0) {
    return Errno(errno, "utimens");
  }
  return OkStatus();
}

// Of those that are still there: what was made in them has changed their times.
Status TreeUnpacker::SetDirectoryTimes() {
  for (const auto& [path, time] : directory_times_) {
    const StatusOr<int> parent = ParentOf(path);
    if (!parent.ok()) continue;
    const std::string name = path.substr(path.rfind('/') + 1);
    const StatusOr<UniqueFd> handle =
        OpenFileAt(*parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW);
    if (!handle.ok()) continue;
    const struct timespec times[] = {time, time};
    if (utimensat(handle->get(), "", times, AT_EMPTY_PATH) != 0) {
      return Errno(errno, "utimens " + Quoted(path));
    }
  }
  return OkStatus();
}

}  // namespace berth::image
