#include "image/layer/layer_diff.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/xattr.h>

#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "base/sys/file.h"
#include "base/unique_fd.h"

namespace berth::image {
namespace {

constexpr size_t kMaxDepth = 256;

bool HasChanged(const Status& status) {
  const int error = ErrnoOf(status);
  return error == ENOENT || error == ENOTDIR || error == ELOOP;
}

// A directory of the topmost layer that is being read.
struct Level {
  std::unique_ptr<DIR, int (*)(DIR*)> list{nullptr, closedir};
  std::string path;
  // What the layers below show there; empty if it is not there, or hidden.
  LayerStack::Directory below;
};

class Walk {
 public:
  Walk(const Context& ctx,
       const std::function<Status(const LayerChange&)>& visit)
      : ctx_(ctx), visit_(visit) {}

  Status Run(const LayerStack& stack) {
    RETURN_IF_ERROR(Enter(stack.top(), ".", "", stack.Below()));
    while (!levels_.empty()) {
      RETURN_IF_ERROR(ctx_.Check());
      const dirent* const entry = readdir(levels_.back().list.get());
      if (entry == nullptr) {
        levels_.pop_back();
        continue;
      }
      const std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      const Status visited = Visit(name);
      if (!HasChanged(visited)) RETURN_IF_ERROR(visited);
    }
    return OkStatus();
  }

 private:
  Status Enter(int parent, const std::string& name, std::string path,
               LayerStack::Directory below) {
    if (levels_.size() > kMaxDepth) {
      return FailedPrecondition("directories are nested more than " +
                                std::to_string(kMaxDepth) + " levels deep");
    }
    ASSIGN_OR_RETURN(
        UniqueFd fd,
        OpenBeneath(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW,
                    RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS));
    if (fgetxattr(fd.get(), "trusted.overlay.redirect", nullptr, 0) >= 0) {
      return FailedPrecondition(Quoted(path) + " was renamed by overlayfs");
    }
    Level level;
    level.list.reset(fdopendir(fd.get()));
    if (!level.list) return Errno(errno, "list " + Quoted(path));
    fd.release();
    level.path = std::move(path);
    level.below = std::move(below);
    levels_.push_back(std::move(level));
    return OkStatus();
  }

  Status Visit(const std::string& name) {
    const Level& level = levels_.back();
    LayerChange change;
    change.parent = dirfd(level.list.get());
    change.name = name;
    change.path = level.path.empty() ? name : level.path + "/" + name;
    ASSIGN_OR_RETURN(change.info, StatAt(change.parent, name));
    ASSIGN_OR_RETURN(LayerStack::Entry below,
                     LayerStack::Look(level.below, name));
    if (IsWhiteout(change.info)) {
      change.kind = LayerChange::Kind::kRemoved;
      return below.found ? visit_(change) : OkStatus();
    }
    change.kind =
        below.found ? LayerChange::Kind::kChanged : LayerChange::Kind::kAdded;
    if (!S_ISDIR(change.info.st_mode)) return visit_(change);
    return VisitDirectory(std::move(change), std::move(below));
  }

  Status VisitDirectory(LayerChange change, LayerStack::Entry below) {
    {
      ASSIGN_OR_RETURN(const UniqueFd fd,
                       OpenFileAt(change.parent, change.name,
                                  O_PATH | O_DIRECTORY | O_NOFOLLOW));
      ASSIGN_OR_RETURN(change.opaque, IsOpaque(fd.get()));
    }
    const bool merges =
        below.found && S_ISDIR(below.found->info.st_mode) && !change.opaque;
    change.same = merges && below.found->info.st_mode == change.info.st_mode &&
                  below.found->info.st_uid == change.info.st_uid &&
                  below.found->info.st_gid == change.info.st_gid;
    RETURN_IF_ERROR(visit_(change));
    if (!merges) below.merged.clear();
    return Enter(change.parent, change.name, change.path,
                 std::move(below.merged));
  }

  const Context& ctx_;
  const std::function<Status(const LayerChange&)>& visit_;
  std::vector<Level> levels_;
};

}  // namespace

Status VisitChanges(const Context& ctx, const LayerStack& stack,
                    const std::function<Status(const LayerChange&)>& visit) {
  return Walk(ctx, visit).Run(stack);
}

}  // namespace berth::image
