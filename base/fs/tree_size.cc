#include "base/fs/tree_size.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>

#include <cstring>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/sys/file.h"
#include "base/unique_fd.h"

namespace berth {
namespace {

// So many of the highest and of the lowest directories of the current path
// are kept open; what is between is opened again from below.
constexpr size_t kKeptOpen = 32;

constexpr int kListing = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;

class Measurement {
 public:
  StatusOr<TreeSize> Run(int directory) {
    ASSIGN_OR_RETURN(UniqueFd top, OpenFileAt(directory, ".", kListing));
    ASSIGN_OR_RETURN(const struct stat info, StatFd(top.get()));
    Count(info);
    RETURN_IF_ERROR(Enter(std::move(top), info));
    while (!path_.empty()) {
      std::string& names = path_.back().names;
      if (names.empty()) {
        Leave();
        continue;
      }
      names.pop_back();                            // the NUL
      const size_t start = names.rfind('\0') + 1;  // npos + 1 is 0
      const std::string name = names.substr(start);
      names.resize(start);
      RETURN_IF_ERROR(Descend(name));
    }
    return size_;
  }

 private:
  struct Level {
    UniqueFd fd;  // invalid while in the middle of a long path
    dev_t device = 0;
    ino_t inode = 0;
    std::string names;  // of directories yet to be walked, each with a NUL
  };

  void Count(const struct stat& info) {
    if (info.st_nlink > 1 && !S_ISDIR(info.st_mode) &&
        !links_.insert(info.st_ino).second) {
      return;
    }
    ++size_.inodes;
    size_.bytes += static_cast<uint64_t>(info.st_blocks) * 512;
  }

  // Counts what is in a directory; its own directories are remembered.
  Status Enter(UniqueFd fd, const struct stat& info) {
    Level level{UniqueFd(), info.st_dev, info.st_ino, ""};
    ASSIGN_OR_RETURN(UniqueFd again, OpenFileAt(fd.get(), ".", kListing));
    const std::unique_ptr<DIR, int (*)(DIR*)> list(fdopendir(again.get()),
                                                   closedir);
    if (list == nullptr) return Errno(errno, "fdopendir");
    again.release();
    while (const dirent* entry = readdir(list.get())) {
      const char* const name = entry->d_name;
      if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) continue;
      struct stat found;
      // Names come and go while the container runs.
      if (fstatat(fd.get(), name, &found, AT_SYMLINK_NOFOLLOW) != 0) continue;
      if (S_ISDIR(found.st_mode)) {
        level.names.append(name, strlen(name) + 1);
      } else {
        Count(found);
      }
    }
    level.fd = std::move(fd);
    path_.push_back(std::move(level));
    const size_t depth = path_.size();
    if (depth > 2 * kKeptOpen) path_[depth - kKeptOpen - 1].fd.reset();
    return OkStatus();
  }

  Status Descend(const std::string& name) {
    StatusOr<UniqueFd> fd =
        OpenBeneath(path_.back().fd.get(), name, kListing,
                    RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
    // No directory any more, or a mount.
    if (!fd.ok() && ErrnoOf(fd.status()) != EMFILE &&
        ErrnoOf(fd.status()) != ENFILE && ErrnoOf(fd.status()) != ENOMEM) {
      return OkStatus();
    }
    RETURN_IF_ERROR(fd.status());
    ASSIGN_OR_RETURN(const struct stat info, StatFd(fd->get()));
    Count(info);
    return Enter(*std::move(fd), info);
  }

  // Back to the directory above, which may have to be opened again: if ".."
  // has become another, to the next one up that is still open.
  void Leave() {
    const Level left = std::move(path_.back());
    path_.pop_back();
    if (path_.empty() || path_.back().fd.valid()) return;
    StatusOr<UniqueFd> above = OpenFileAt(left.fd.get(), "..", kListing);
    if (above.ok()) {
      const StatusOr<struct stat> info = StatFd(above->get());
      if (info.ok() && info->st_dev == path_.back().device &&
          info->st_ino == path_.back().inode) {
        path_.back().fd = *std::move(above);
        return;
      }
    }
    while (!path_.back().fd.valid()) path_.pop_back();  // the first is open
  }

  std::vector<Level> path_;
  std::set<ino_t> links_;
  TreeSize size_;
};

}  // namespace

StatusOr<TreeSize> MeasureTree(int directory) {
  return Measurement().Run(directory);
}

}  // namespace berth
