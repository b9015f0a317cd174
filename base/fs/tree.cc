#include "base/fs/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <unistd.h>

#include <utility>
#include <vector>

#include "base/strings.h"
#include "base/sys/file.h"
#include "base/unique_fd.h"

namespace berth {
namespace {

// Deeper directories are first moved up to the root of the tree.
constexpr size_t kMaxOpen = 64;

class Removal {
 public:
  explicit Removal(int dir) : dir_(dir) {}

  Status Run(const std::string& name) {
    RETURN_IF_ERROR(Take(dir_, name));
    while (!open_.empty()) {
      Level& level = open_.back();
      if (level.names.empty()) {
        RETURN_IF_ERROR(LeaveDirectory());
        continue;
      }
      const std::string next = std::move(level.names.back());
      level.names.pop_back();
      RETURN_IF_ERROR(Take(level.fd.get(), next));
    }
    return OkStatus();
  }

 private:
  struct Level {
    UniqueFd fd;
    std::string name;
    std::vector<std::string> names;
  };

  int ParentOf(size_t level) const {
    return level == 0 ? dir_ : open_[level - 1].fd.get();
  }

  // Deletes what is no directory; enters what is one.
  Status Take(int parent, const std::string& name) {
    if (unlinkat(parent, name.c_str(), 0) == 0 || errno == ENOENT) {
      return OkStatus();
    }
    if (errno != EISDIR && errno != EPERM) {
      return Errno(errno, "unlink " + Quoted(name));
    }
    if (open_.size() >= kMaxOpen) return MoveUp(parent, name);
    StatusOr<UniqueFd> fd = OpenBeneath(
        parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, RESOLVE_NO_XDEV);
    if (!fd.ok()) return Annotate(fd.status(), "remove " + Quoted(name));
    ASSIGN_OR_RETURN(std::vector<std::string> names, ListDirectory(fd->get()));
    open_.push_back({std::move(*fd), name, std::move(names)});
    return OkStatus();
  }

  Status LeaveDirectory() {
    const int parent = ParentOf(open_.size() - 1);
    const std::string name = open_.back().name;
    open_.pop_back();
    if (unlinkat(parent, name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT) {
      return Errno(errno, "rmdir " + Quoted(name));
    }
    return OkStatus();
  }

  Status MoveUp(int parent, const std::string& name) {
    while (true) {
      const std::string moved = ".removed." + std::to_string(moves_++);
      const int top = open_.front().fd.get();
      if (renameat2(parent, name.c_str(), top, moved.c_str(),
                    RENAME_NOREPLACE) == 0) {
        open_.front().names.push_back(moved);
        return OkStatus();
      }
      if (errno != EEXIST) return Errno(errno, "rename " + Quoted(name));
    }
  }

  const int dir_;
  std::vector<Level> open_;
  int moves_ = 0;
};

}  // namespace

Status RemoveTree(int dir, const std::string& name) {
  const std::string doing = "remove tree " + Quoted(name);
  const size_t slash = name.rfind('/');
  if (slash == std::string::npos) {
    return Annotate(Removal(dir).Run(name), doing);
  }
  if (slash + 1 == name.size()) return InvalidArgument(doing + ": no name");
  // What is mounted above the tree, /run say, is not of its matter.
  const auto parent =
      OpenFileAt(dir, name.substr(0, slash + 1), O_PATH | O_DIRECTORY);
  if (!parent.ok()) return Annotate(IgnoreNotFound(parent.status()), doing);
  return Annotate(Removal(parent->get()).Run(name.substr(slash + 1)), doing);
}

}  // namespace berth
