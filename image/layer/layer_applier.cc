#include "image/layer/layer_applier.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>

#include "base/failpoint.h"
#include "base/fs/tree.h"
#include "base/strings.h"
#include "base/sys/file.h"
#include "image/content/free_space.h"

namespace berth::image {
namespace {

constexpr size_t kCachedDirectories = 16;
constexpr uint64_t kMaxReplaced = 1000;
// Of names that are kept until the layer is complete: room for half a million
// directories. A link to what is not there costs its image no disk.
constexpr uint64_t kMaxRemembered = 128 << 20;
constexpr uint64_t kNodeBytes = 128;  // what a container adds to a name
constexpr std::string_view kMarker = ".wh.";
constexpr std::string_view kReservedMarker = ".wh..wh.";
constexpr std::string_view kOpaqueMarker = ".wh..wh..opq";
constexpr char kOpaque[] = "trusted.overlay.opaque";

std::string ParentOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

std::string NameOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

bool HasMarker(const std::string& path) {
  return StartsWith(path, kMarker) ||
         path.find("/" + std::string(kMarker)) != std::string::npos;
}

// Drops a path and all below it.
template <typename Container>
void EraseWithin(Container& sorted, const std::string& path) {
  sorted.erase(path);
  // '0' is the character behind '/'.
  sorted.erase(sorted.lower_bound(path + "/"), sorted.lower_bound(path + "0"));
}

bool IsWithin(const std::string& path, const std::string& directory) {
  return path == directory || StartsWith(path, directory + "/");
}

// The umask of this process; umask(2) itself can only be read by changing it
// for all threads.
mode_t ProcessUmask() {
  const StatusOr<std::string> text = ReadFile("/proc/self/status", 65536);
  if (!text.ok()) return 0777;  // then every mode is set
  const size_t at = text->find("\nUmask:\t");
  if (at == std::string::npos) return 0777;
  return static_cast<mode_t>(strtoul(text->c_str() + at + 8, nullptr, 8));
}

// Attributes that a layer may set. Of overlayfs's own none: they would rename
// or hide what other layers have.
bool MaySetXattr(const std::string& name, EntryKind kind) {
  if (name == "security.capability") return kind == EntryKind::kFile;
  if (StartsWith(name, "user.")) {
    return !StartsWith(name, "user.overlay.") &&
           (kind == EntryKind::kFile || kind == EntryKind::kDirectory);
  }
  if (StartsWith(name, "trusted.")) {
    return !StartsWith(name, "trusted.overlay.");
  }
  return StartsWith(name, "system.posix_acl_");
}

Status SetOpaque(int directory) {
  if (setxattr(FdPath(directory).c_str(), kOpaque, "y", 1, 0) != 0) {
    return Errno(errno, "setxattr trusted.overlay.opaque");
  }
  return OkStatus();
}

}  // namespace

LayerApplier::LayerApplier(UniqueFd directory)
    : root_(std::move(directory)),
      umask_(ProcessUmask()),
      unchecked_(!Failpoint("image.layer.unchecked").ok()) {
  directories_.resize(kCachedDirectories);
  implied_.insert("");  // until the layer lists its root
}

Status LayerApplier::Apply(const Context& ctx, LayerReader& layer) {
  ctx_ = &ctx;
  while (true) {
    RETURN_IF_ERROR(ctx.Check());
    ASSIGN_OR_RETURN(const std::optional<LayerEntry> entry, layer.Next());
    if (!entry) break;
    RETURN_IF_ERROR_AS(ApplyEntry(layer, *entry),
                       "unpack " + Quoted(entry->path));
  }
  ctx_ = nullptr;
  return OkStatus();
}

Status LayerApplier::ApplyEntry(LayerReader& layer, const LayerEntry& entry) {
  if (entry.path.empty()) return ApplyRoot(entry);
  ASSIGN_OR_RETURN(const bool is_marker, ApplyMarker(entry));
  if (is_marker) return OkStatus();
  ASSIGN_OR_RETURN(const Place place, PlaceOf(entry.path));
  lower_links_.erase(entry.path);  // the later entry wins
  switch (entry.kind) {
    case EntryKind::kFile:
      return MakeFile(layer, entry, place);
    case EntryKind::kDirectory:
      return MakeDirectory(entry, place);
    case EntryKind::kSymlink:
      return MakeSymlink(entry, place);
    case EntryKind::kHardLink:
      return MakeHardLink(entry, place);
    case EntryKind::kCharDevice:
    case EntryKind::kBlockDevice:
    case EntryKind::kFifo:
      return MakeNode(entry, place);
  }
  return Internal("tar entry of an unknown kind");
}

Status LayerApplier::ApplyRoot(const LayerEntry& entry) {
  if (entry.kind != EntryKind::kDirectory) {
    return InvalidArgument("the root is not a directory");
  }
  if (fchown(root_.fd(), entry.uid, entry.gid) != 0) {
    return Errno(errno, "chown the root");
  }
  RETURN_IF_ERROR(SetXattrs(entry, root_.fd(), ""));
  if (fchmod(root_.fd(), entry.mode) != 0) {
    return Errno(errno, "chmod the root");
  }
  if ((entry.mode & S_ISGID) != 0) has_setgid_directory_ = true;
  implied_.erase("");
  return RememberTime("", entry.mtime);
}

Status LayerApplier::Remember(size_t bytes) {
  remembered_ += bytes + kNodeBytes;
  if (remembered_ <= kMaxRemembered) return OkStatus();
  return FailedPrecondition("layer has more names to remember than fit into " +
                            std::to_string(kMaxRemembered) + " bytes");
}

Status LayerApplier::RememberName(std::set<std::string>& names,
                                  const std::string& path) {
  return names.insert(path).second ? Remember(path.size()) : OkStatus();
}

Status LayerApplier::RememberTime(const std::string& path,
                                  const struct timespec& time) {
  const bool is_new = directory_times_.insert_or_assign(path, time).second;
  return is_new ? Remember(path.size()) : OkStatus();
}

Status LayerApplier::RememberLink(const std::string& path,
                                  const std::string& target) {
  lower_links_[path] = {next_link_++, target};
  return Remember(path.size() + target.size());
}

StatusOr<bool> LayerApplier::ApplyMarker(const LayerEntry& entry) {
  if (entry.kind == EntryKind::kHardLink && HasMarker(entry.link)) {
    return InvalidArgument("hard link to a whiteout");
  }
  if (!HasMarker(entry.path)) return false;
  std::string parent;
  const std::vector<std::string> parts = Split(entry.path, '/');
  for (size_t i = 0; i < parts.size(); ++i) {
    const std::string& part = parts[i];
    const bool last = i + 1 == parts.size();
    if (last && part == kOpaqueMarker) {
      RETURN_IF_ERROR(MakeOpaque(parent));
      return true;
    }
    // Other names of that form are aufs's own bookkeeping.
    if (StartsWith(part, kReservedMarker)) return true;
    if (StartsWith(part, kMarker)) {
      const std::string name = part.substr(kMarker.size());
      if (!last || name.empty() || name == "." || name == ".." ||
          entry.kind == EntryKind::kHardLink) {
        return InvalidArgument("a whiteout that removes nothing");
      }
      RETURN_IF_ERROR(
          MakeWhiteout(parent.empty() ? name : parent + "/" + name));
      return true;
    }
    parent += (parent.empty() ? "" : "/") + part;
  }
  return false;
}

Status LayerApplier::MakeWhiteout(const std::string& path) {
  ASSIGN_OR_RETURN(const Place place, PlaceOf(path));
  RETURN_IF_ERROR(RememberName(whiteouts_, path));
  if (mknodat(place.parent, place.name.c_str(), S_IFCHR, makedev(0, 0)) == 0) {
    ++usage_.inodes;
    return OkStatus();
  }
  if (errno != EEXIST) return Errno(errno, "mknod whiteout");
  // The layer's own entry of that name stays; only what is below it goes.
  ASSIGN_OR_RETURN(const struct stat info, StatAt(place.parent, place.name));
  if (!S_ISDIR(info.st_mode)) return OkStatus();
  implied_.erase(path);
  return MakeOpaque(path);
}

Status LayerApplier::MakeOpaque(const std::string& path) {
  ASSIGN_OR_RETURN(const Handle directory, Directory(path));
  RETURN_IF_ERROR(RememberName(opaque_, path));
  return SetOpaque(directory.fd);
}

Status LayerApplier::Create(const Place& place, const std::string& path,
                            const char* call,
                            const std::function<int()>& make) {
  int result = make();
  if (result != 0 && errno == EEXIST) {
    RETURN_IF_ERROR(RemoveExisting(place, path));
    result = make();
  }
  if (result != 0) return Errno(errno, call);
  ++usage_.inodes;
  return OkStatus();
}

Status LayerApplier::RemoveExisting(const Place& place,
                                    const std::string& path) {
  ASSIGN_OR_RETURN(const struct stat info, StatAt(place.parent, place.name));
  if (!IsWhiteout(info) && ++replaced_ > kMaxReplaced) {
    return FailedPrecondition("layer replaces more than " +
                              std::to_string(kMaxReplaced) +
                              " of its own entries");
  }
  if (!S_ISDIR(info.st_mode)) {
    Forget(path);
    if (unlinkat(place.parent, place.name.c_str(), 0) != 0) {
      return Errno(errno, "unlink");
    }
    return OkStatus();
  }
  RETURN_IF_ERROR(RemoveTree(place.parent, place.name));
  Forget(path);
  return OkStatus();
}

// Drops what we remember of a name and of all below it.
void LayerApplier::Forget(const std::string& path) {
  for (auto& [cached, fd] : directories_) {
    if (IsWithin(cached, path)) fd.reset();
  }
  EraseWithin(implied_, path);
  EraseWithin(directory_times_, path);
  EraseWithin(lower_links_, path);
}

bool LayerApplier::NeedsOwner(const LayerEntry& entry) const {
  // New objects are root's, unless their directory passes its group on.
  return entry.uid != 0 || entry.gid != 0 || has_setgid_directory_;
}

bool LayerApplier::NeedsMode(const LayerEntry& entry) const {
  return NeedsOwner(entry) || (entry.mode & (07000 | umask_)) != 0;
}

Status LayerApplier::MakeFile(LayerReader& layer, const LayerEntry& entry,
                              const Place& place) {
  UniqueFd file;
  RETURN_IF_ERROR(Create(place, entry.path, "create", [&] {
    file.reset(openat(place.parent, place.name.c_str(),
                      O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                      entry.mode & 0777));
    return file.valid() ? 0 : -1;
  }));
  RETURN_IF_ERROR(WriteContent(layer, entry, file.get()));
  if (NeedsOwner(entry) && fchown(file.get(), entry.uid, entry.gid) != 0) {
    return Errno(errno, "chown");
  }
  RETURN_IF_ERROR(SetXattrs(entry, file.get(), ""));
  if (NeedsMode(entry) && fchmod(file.get(), entry.mode) != 0) {
    return Errno(errno, "chmod");
  }
  const struct timespec times[] = {entry.mtime, entry.mtime};
  if (futimens(file.get(), times) != 0) return Errno(errno, "utimens");
  return OkStatus();
}

Status LayerApplier::WriteContent(LayerReader& layer, const LayerEntry& entry,
                                  int fd) {
  uint64_t at = 0;
  std::string_view piece;
  for (const LayerEntry::Segment& segment : entry.segments) {
    if (segment.length == 0) continue;  // GNU tar marks the end so
    if (segment.offset != at &&
        lseek(fd, static_cast<off_t>(segment.offset), SEEK_SET) < 0) {
      return Errno(errno, "lseek");
    }
    for (uint64_t left = segment.length; left > 0;) {
      if (piece.empty()) {
        ASSIGN_OR_RETURN(piece, layer.Data());
        if (piece.empty()) return InvalidArgument("the file ends early");
      }
      const std::string_view part =
          piece.substr(0, std::min<uint64_t>(left, piece.size()));
      RETURN_IF_ERROR(CheckSpace(part.size()));
      RETURN_IF_ERROR(WriteAll(fd, part));
      piece.remove_prefix(part.size());
      left -= part.size();
    }
    at = segment.offset + segment.length;
    usage_.bytes += segment.length;
  }
  if (at < entry.size && ftruncate(fd, static_cast<off_t>(entry.size)) != 0) {
    return Errno(errno, "ftruncate");
  }
  return OkStatus();
}

Status LayerApplier::CheckSpace(uint64_t more) {
  if (more <= until_space_check_) {
    until_space_check_ -= more;
    return OkStatus();
  }
  until_space_check_ = kSpaceCheckInterval;
  if (ctx_ != nullptr) RETURN_IF_ERROR(ctx_->Check());
  return CheckFreeSpace(root_.fd());
}

Status LayerApplier::MakeDirectory(const LayerEntry& entry,
                                   const Place& place) {
  bool is_new = true;
  const auto make = [&] {
    return mkdirat(place.parent, place.name.c_str(), entry.mode & 0777);
  };
  const Status made = Create(place, entry.path, "mkdir", [&] {
    if (make() == 0) return 0;
    struct stat info;
    if (errno == EEXIST &&
        fstatat(place.parent, place.name.c_str(), &info, AT_SYMLINK_NOFOLLOW) ==
            0 &&
        S_ISDIR(info.st_mode)) {
      is_new = false;  // the two merge; these attributes are the later ones
      return 0;
    }
    errno = EEXIST;
    return -1;
  });
  RETURN_IF_ERROR(made);
  if (!is_new) --usage_.inodes;
  implied_.erase(entry.path);
  if ((entry.mode & S_ISGID) != 0) has_setgid_directory_ = true;
  if (is_new && whiteouts_.count(entry.path) > 0) {
    RETURN_IF_ERROR(MakeOpaque(entry.path));
  }
  const char* const name = place.name.c_str();
  if ((!is_new || NeedsOwner(entry)) &&
      fchownat(place.parent, name, entry.uid, entry.gid, AT_SYMLINK_NOFOLLOW) !=
          0) {
    return Errno(errno, "chown");
  }
  RETURN_IF_ERROR(SetXattrs(entry, place.parent, place.name));
  // Follows links, but this is a directory that nobody else can exchange.
  if ((!is_new || NeedsMode(entry)) &&
      fchmodat(place.parent, name, entry.mode, 0) != 0) {
    return Errno(errno, "chmod");
  }
  return RememberTime(entry.path, entry.mtime);
}

Status LayerApplier::MakeSymlink(const LayerEntry& entry, const Place& place) {
  const char* const name = place.name.c_str();
  RETURN_IF_ERROR(Create(place, entry.path, "symlink", [&] {
    return symlinkat(entry.link.c_str(), place.parent, name);
  }));
  if (NeedsOwner(entry) && fchownat(place.parent, name, entry.uid, entry.gid,
                                    AT_SYMLINK_NOFOLLOW) != 0) {
    return Errno(errno, "chown");
  }
  RETURN_IF_ERROR(SetXattrs(entry, place.parent, place.name));
  const struct timespec times[] = {entry.mtime, entry.mtime};
  if (utimensat(place.parent, name, times, AT_SYMLINK_NOFOLLOW) != 0) {
    return Errno(errno, "utimens");
  }
  return OkStatus();
}

Status LayerApplier::MakeNode(const LayerEntry& entry, const Place& place) {
  const mode_t type = entry.kind == EntryKind::kFifo         ? S_IFIFO
                      : entry.kind == EntryKind::kCharDevice ? S_IFCHR
                                                             : S_IFBLK;
  const dev_t device = type == S_IFIFO ? 0 : makedev(entry.major, entry.minor);
  // To overlayfs such a device is a whiteout, which only .wh. may make.
  if (type == S_IFCHR && device == makedev(0, 0)) {
    return InvalidArgument("a character device 0/0");
  }
  const char* const name = place.name.c_str();
  RETURN_IF_ERROR(Create(place, entry.path, "mknod", [&] {
    return mknodat(place.parent, name, type | (entry.mode & 0777), device);
  }));
  if (NeedsOwner(entry) && fchownat(place.parent, name, entry.uid, entry.gid,
                                    AT_SYMLINK_NOFOLLOW) != 0) {
    return Errno(errno, "chown");
  }
  RETURN_IF_ERROR(SetXattrs(entry, place.parent, place.name));
  if (NeedsMode(entry) && fchmodat(place.parent, name, entry.mode, 0) != 0) {
    return Errno(errno, "chmod");
  }
  const struct timespec times[] = {entry.mtime, entry.mtime};
  if (utimensat(place.parent, name, times, AT_SYMLINK_NOFOLLOW) != 0) {
    return Errno(errno, "utimens");
  }
  return OkStatus();
}

Status LayerApplier::MakeHardLink(const LayerEntry& entry, const Place& place) {
  if (entry.link.empty() || entry.link == entry.path) {
    return InvalidArgument("hard link to itself or the root");
  }
  ASSIGN_OR_RETURN(const bool linked,
                   LinkWithin(entry.link, entry.path, place));
  return linked ? OkStatus() : RememberLink(entry.path, entry.link);
}

StatusOr<bool> LayerApplier::LinkWithin(const std::string& target,
                                        const std::string& path,
                                        const Place& place) {
  StatusOr<UniqueFd> parent = OpenWithin(ParentOf(target));
  if (ErrnoOf(parent.status()) == ENOENT ||
      ErrnoOf(parent.status()) == ENOTDIR) {
    return false;
  }
  if (!parent.ok()) return parent.status();
  const std::string name = NameOf(target);
  StatusOr<struct stat> info = StatAt(parent->get(), name);
  if (ErrnoOf(info.status()) == ENOENT) return false;
  if (!info.ok()) return info.status();
  if (IsWhiteout(*info)) return false;
  if (S_ISDIR(info->st_mode)) {
    return InvalidArgument("hard link to directory " + Quoted(target));
  }
  RETURN_IF_ERROR(Create(place, path, "link", [&] {
    return linkat(parent->get(), name.c_str(), place.parent, place.name.c_str(),
                  0);
  }));
  --usage_.inodes;
  return true;
}

Status LayerApplier::SetXattrs(const LayerEntry& entry, int fd,
                               const std::string& name) {
  // Without a name: what the descriptor is open on, through a magic link that
  // has to be followed.
  const std::string at = FdPath(fd) + (name.empty() ? "" : "/" + name);
  const auto set = name.empty() ? &setxattr : &lsetxattr;
  for (const auto& [key, value] : entry.xattrs) {
    if (!MaySetXattr(key, entry.kind)) continue;
    if (set(at.c_str(), key.c_str(), value.data(), value.size(), 0) == 0 ||
        errno == ENOTSUP) {
      continue;
    }
    return Errno(errno, "setxattr " + Quoted(key));
  }
  return OkStatus();
}

StatusOr<LayerApplier::Place> LayerApplier::PlaceOf(const std::string& path) {
  ASSIGN_OR_RETURN(Handle parent, Directory(ParentOf(path)));
  return Place{parent.fd, NameOf(path), std::move(parent.owner)};
}

StatusOr<UniqueFd> LayerApplier::OpenWithin(const std::string& path) const {
  if (unchecked_ && !path.empty()) {
    return OpenFileAt(root_.fd(), path, O_PATH | O_DIRECTORY);
  }
  StatusOr<UniqueFd> fd =
      OpenBeneath(root_.fd(), path.empty() ? "." : path, O_PATH | O_DIRECTORY,
                  RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
                      RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV);
  if (ErrnoOf(fd.status()) != ELOOP) return fd;
  return root_.Open(path, O_PATH | O_DIRECTORY);
}

StatusOr<LayerApplier::Handle> LayerApplier::Directory(
    const std::string& path) {
  if (path.empty()) return Handle{nullptr, root_.fd()};
  for (const auto& [cached, fd] : directories_) {
    if (fd != nullptr && cached == path) return Handle{fd, fd->get()};
  }
  StatusOr<UniqueFd> fd = OpenWithin(path);
  if (ErrnoOf(fd.status()) == ENOENT || ErrnoOf(fd.status()) == ENOTDIR) {
    fd = MakeImplied(path);
  }
  if (!fd.ok()) return fd.status();
  auto& slot = directories_[next_slot_++ % directories_.size()];
  slot.first = path;
  slot.second = std::make_shared<const UniqueFd>(*std::move(fd));
  return Handle{slot.second, slot.second->get()};
}

StatusOr<UniqueFd> LayerApplier::MakeImplied(const std::string& path) {
  ASSIGN_OR_RETURN(UniqueFd at, OpenFileAt(root_.fd(), ".", O_PATH));
  std::string so_far;
  for (const std::string& name : Split(path, '/')) {
    so_far += (so_far.empty() ? "" : "/") + name;
    ASSIGN_OR_RETURN(at, MakeStep(at.get(), name, so_far));
  }
  return at;
}

StatusOr<UniqueFd> LayerApplier::MakeStep(int parent, const std::string& name,
                                          const std::string& path) {
  int made = mkdirat(parent, name.c_str(), 0755);
  if (made != 0 && errno != EEXIST) return Errno(errno, "mkdir");
  if (made != 0) {
    ASSIGN_OR_RETURN(const struct stat info, StatAt(parent, name));
    if (S_ISLNK(info.st_mode)) return root_.MakeDirectories(path, 0755);
    if (IsWhiteout(info)) {
      if (unlinkat(parent, name.c_str(), 0) != 0 ||
          mkdirat(parent, name.c_str(), 0755) != 0) {
        return Errno(errno, "mkdir in place of a whiteout");
      }
      made = 0;
    } else if (!S_ISDIR(info.st_mode)) {
      return InvalidArgument("its parent " + Quoted(path) +
                             " is not a directory");
    }
  }
  ASSIGN_OR_RETURN(UniqueFd fd,
                   OpenFileAt(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW));
  if (made != 0) return fd;
  ++usage_.inodes;
  if (fchmodat(parent, name.c_str(), 0755, 0) != 0) {
    return Errno(errno, "chmod");
  }
  if (whiteouts_.count(path) > 0) {
    RETURN_IF_ERROR(RememberName(opaque_, path));
    RETURN_IF_ERROR(SetOpaque(fd.get()));
  } else {
    RETURN_IF_ERROR(RememberName(implied_, path));
  }
  return fd;
}

}  // namespace berth::image
