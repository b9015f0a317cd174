#include "image/archive/tree_packer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/strings.h"
#include "base/sys/file.h"
#include "base/unique_fd.h"

namespace berth::image {
namespace {

constexpr size_t kMaxDepth = 256;
constexpr size_t kMaxLinkBytes = 16 << 20;
constexpr size_t kReadSize = 256 << 10;
constexpr char kCapability[] = "security.capability";

// A directory that is being read.
struct Level {
  std::unique_ptr<DIR, int (*)(DIR*)> list{nullptr, closedir};
  std::string prefix;  // of the names in it

  int fd() const { return dirfd(list.get()); }

  // The next name but "." and ".."; null at the end.
  const char* Next() {
    while (const dirent* entry = readdir(list.get())) {
      if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
        return entry->d_name;
      }
    }
    return nullptr;
  }
};

StatusOr<Level> OpenLevel(int parent, const std::string& name,
                          std::string prefix) {
  ASSIGN_OR_RETURN(
      UniqueFd fd,
      OpenBeneath(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW,
                  RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS));
  Level level;
  level.list.reset(fdopendir(fd.get()));
  if (!level.list) return Errno(errno, "list " + Quoted(name));
  fd.release();
  level.prefix = std::move(prefix);
  return level;
}

// What is no longer what it was: the tree changes while it is read.
bool HasChanged(const Status& status) {
  const int error = ErrnoOf(status);
  return error == ENOENT || error == ENOTDIR || error == ELOOP ||
         error == ENXIO || error == EXDEV;
}

std::optional<EntryKind> KindOf(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return EntryKind::kFile;
    case S_IFDIR:
      return EntryKind::kDirectory;
    case S_IFLNK:
      return EntryKind::kSymlink;
    case S_IFCHR:
      return EntryKind::kCharDevice;
    case S_IFBLK:
      return EntryKind::kBlockDevice;
    case S_IFIFO:
      return EntryKind::kFifo;
    default:
      return std::nullopt;  // a socket
  }
}

LayerEntry EntryOf(const std::string& as, EntryKind kind,
                   const struct stat& info) {
  LayerEntry entry;
  entry.kind = kind;
  entry.path = as;
  entry.mode = info.st_mode & 07777;
  entry.uid = info.st_uid;
  entry.gid = info.st_gid;
  entry.mtime = info.st_mtim;
  entry.major = major(info.st_rdev);
  entry.minor = minor(info.st_rdev);
  if (kind == EntryKind::kFile) {
    entry.size = static_cast<uint64_t>(info.st_size);
  }
  return entry;
}

StatusOr<std::string> LinkText(int parent, const std::string& name) {
  char text[PATH_MAX];
  const ssize_t n = readlinkat(parent, name.c_str(), text, sizeof(text));
  // No link any more.
  if (n < 0) return Errno(errno == EINVAL ? ENOENT : errno, "readlink");
  return std::string(text, static_cast<size_t>(n));
}

}  // namespace

// Whether it is one more name of a file that is in the archive already.
bool TreePacker::MakeLink(const struct stat& info, LayerEntry& entry) {
  if (info.st_nlink < 2 || entry.kind == EntryKind::kDirectory) return false;
  const std::pair file(info.st_dev, info.st_ino);
  const auto known = links_.find(file);
  if (known == links_.end()) {
    if (link_bytes_ + entry.path.size() > kMaxLinkBytes) return false;
    link_bytes_ += entry.path.size();
    links_.emplace(file, entry.path);
    return false;
  }
  entry.kind = EntryKind::kHardLink;
  entry.link = known->second;
  return true;
}

Status TreePacker::AddFile(const Context& ctx, int file, LayerEntry entry) {
  char capability[64];
  const ssize_t length =
      fgetxattr(file, kCapability, capability, sizeof(capability));
  if (length > 0) {
    entry.xattrs[kCapability] =
        std::string(capability, static_cast<size_t>(length));
  }
  RETURN_IF_ERROR(writer_.Begin(entry));
  std::vector<char> bytes(std::min<uint64_t>(kReadSize, entry.size));
  for (uint64_t left = entry.size; left > 0;) {
    RETURN_IF_ERROR(ctx.Check());
    const size_t wanted = std::min<uint64_t>(left, bytes.size());
    ASSIGN_OR_RETURN(const size_t n, ReadUpTo(file, bytes.data(), wanted));
    std::fill(bytes.begin() + static_cast<ptrdiff_t>(n),
              bytes.begin() + static_cast<ptrdiff_t>(wanted), '\0');
    RETURN_IF_ERROR(writer_.Data({bytes.data(), wanted}));
    left -= wanted;
  }
  return OkStatus();
}

// All but what is below a directory.
Status TreePacker::AddEntry(const Context& ctx, int parent,
                            const std::string& name, const std::string& as,
                            const struct stat& info) {
  const std::optional<EntryKind> kind = KindOf(info.st_mode);
  if (!kind) return OkStatus();
  LayerEntry entry = EntryOf(as, *kind, info);
  if (*kind == EntryKind::kSymlink) {
    ASSIGN_OR_RETURN(entry.link, LinkText(parent, name));
  }
  if (*kind != EntryKind::kFile) {
    MakeLink(info, entry);
    return writer_.Begin(entry);
  }
  // Not to wait for a fifo that has taken its place.
  ASSIGN_OR_RETURN(
      const UniqueFd file,
      OpenBeneath(parent, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY,
                  RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS));
  ASSIGN_OR_RETURN(const struct stat now, StatFd(file.get()));
  if (!S_ISREG(now.st_mode)) return OkStatus();
  entry = EntryOf(as, *kind, now);
  if (MakeLink(now, entry)) return writer_.Begin(entry);
  return AddFile(ctx, file.get(), std::move(entry));
}

Status TreePacker::Add(const Context& ctx, int parent, const std::string& name,
                       const std::string& as) {
  ASSIGN_OR_RETURN(const struct stat info, StatAt(parent, name));
  RETURN_IF_ERROR(AddEntry(ctx, parent, name, as, info));
  if (!S_ISDIR(info.st_mode)) return OkStatus();
  ASSIGN_OR_RETURN(
      const UniqueFd directory,
      OpenBeneath(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW,
                  RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS));
  return AddContent(ctx, directory.get(), EndsWith(as, "/") ? as : as + "/");
}

Status TreePacker::AddOne(const Context& ctx, int parent,
                          const std::string& name, const std::string& as) {
  ASSIGN_OR_RETURN(const struct stat info, StatAt(parent, name));
  return AddEntry(ctx, parent, name, as, info);
}

Status TreePacker::AddContent(const Context& ctx, int directory,
                              const std::string& prefix) {
  std::vector<Level> levels;
  ASSIGN_OR_RETURN(Level top, OpenLevel(directory, ".", prefix));
  levels.push_back(std::move(top));
  while (!levels.empty()) {
    RETURN_IF_ERROR(ctx.Check());
    Level& level = levels.back();
    const char* const next = level.Next();
    if (next == nullptr) {
      levels.pop_back();
      continue;
    }
    const std::string name = next;
    const std::string as = level.prefix + name;
    const StatusOr<struct stat> info = StatAt(level.fd(), name);
    Status added = info.status();
    if (added.ok()) added = AddEntry(ctx, level.fd(), name, as, *info);
    if (HasChanged(added)) continue;
    RETURN_IF_ERROR_AS(added, "read " + Quoted(as));
    if (!S_ISDIR(info->st_mode)) continue;
    StatusOr<Level> below = OpenLevel(level.fd(), name, as + "/");
    if (HasChanged(below.status())) continue;
    RETURN_IF_ERROR_AS(below.status(), "read " + Quoted(as));
    if (levels.size() >= kMaxDepth) {
      return FailedPrecondition("directories are nested more than " +
                                std::to_string(kMaxDepth) + " levels deep");
    }
    levels.push_back(*std::move(below));
  }
  return OkStatus();
}

}  // namespace berth::image
