#include "image/layer/layer_stack.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <deque>

#include "base/strings.h"
#include "base/sys/file.h"

namespace berth::image {
namespace {

constexpr int kMaxLinks = 40;
constexpr size_t kMaxComponents = 4096;
constexpr char kOpaque[] = "trusted.overlay.opaque";

Status NoFile(std::string_view path) {
  return NotFound("no file " + Quoted(path) + " in the root file system");
}

}  // namespace

bool IsWhiteout(const struct stat& info) {
  return S_ISCHR(info.st_mode) && info.st_rdev == makedev(0, 0);
}

std::string FdPath(int fd) { return "/proc/self/fd/" + std::to_string(fd); }

StatusOr<bool> IsOpaque(int fd) {
  char value = 0;
  const ssize_t n = getxattr(FdPath(fd).c_str(), kOpaque, &value, 1);
  if (n < 0 && errno != ENODATA && errno != ENOTSUP && errno != ERANGE) {
    return Errno(errno, "getxattr of a layer's directory");
  }
  return n == 1 && value == 'y';
}

StatusOr<LayerStack> LayerStack::Open(
    const std::vector<std::string>& directories) {
  LayerStack stack;
  for (const std::string& directory : directories) {
    ASSIGN_OR_RETURN_AS(
        UniqueFd fd,
        berth::OpenFile(directory, O_PATH | O_DIRECTORY | O_NOFOLLOW),
        "open layer");
    stack.roots_.push_back(std::make_shared<UniqueFd>(std::move(fd)));
  }
  return stack;
}

StatusOr<LayerStack::Entry> LayerStack::Look(const Directory& in,
                                             const std::string& name) {
  Entry step;
  for (const std::shared_ptr<UniqueFd>& directory : in) {
    StatusOr<UniqueFd> fd =
        OpenFileAt(directory->get(), name, O_PATH | O_NOFOLLOW);
    if (ErrnoOf(fd.status()) == ENOENT) continue;
    if (!fd.ok()) return fd.status();
    ASSIGN_OR_RETURN(const struct stat info, StatFd(fd->get()));
    if (IsWhiteout(info)) break;
    const bool is_directory = S_ISDIR(info.st_mode);
    if (step.found && !is_directory) break;  // hidden by the one above
    bool last = !is_directory;
    if (is_directory) {
      ASSIGN_OR_RETURN(last, IsOpaque(fd->get()));
      ASSIGN_OR_RETURN(UniqueFd copy,
                       OpenFileAt(fd->get(), ".", O_PATH | O_DIRECTORY));
      step.merged.push_back(std::make_shared<UniqueFd>(std::move(copy)));
    }
    if (!step.found) step.found = Found{std::move(*fd), info};
    if (last) break;
  }
  return step;
}

StatusOr<std::optional<LayerStack::Found>> LayerStack::Find(
    std::string_view path) const {
  Directory at = roots_;
  std::optional<Found> found;
  for (const std::string& name : Split(path, '/')) {
    if (name.empty() || name == ".") continue;
    if (name == "..") return InvalidArgument("find a path with \"..\"");
    if (at.empty()) return std::optional<Found>();  // below a file
    ASSIGN_OR_RETURN(Entry step, Look(at, name));
    if (!step.found) return std::optional<Found>();
    at = std::move(step.merged);
    found = std::move(step.found);
  }
  if (found || roots_.empty()) return found;
  ASSIGN_OR_RETURN(UniqueFd root,
                   OpenFileAt(roots_[0]->get(), ".", O_PATH | O_DIRECTORY));
  ASSIGN_OR_RETURN(const struct stat info, StatFd(root.get()));
  return std::optional<Found>(Found{std::move(root), info});
}

StatusOr<UniqueFd> LayerStack::OpenFile(std::string_view path) const {
  std::vector<Directory> way = {roots_};  // the directories we are in
  std::deque<std::string> names;
  for (std::string& name : Split(path, '/')) names.push_back(std::move(name));
  int links = 0;
  while (!names.empty()) {
    const std::string name = names.front();
    names.pop_front();
    if (name.empty() || name == ".") continue;
    if (name == "..") {
      if (way.size() > 1) way.pop_back();
      continue;
    }
    ASSIGN_OR_RETURN(Entry step, Look(way.back(), name));
    if (!step.found) return NoFile(path);
    const mode_t mode = step.found->info.st_mode;
    if (S_ISDIR(mode)) {
      way.push_back(std::move(step.merged));
    } else if (S_ISLNK(mode)) {
      char target[PATH_MAX];
      const ssize_t n =
          readlinkat(step.found->handle.get(), "", target, sizeof(target));
      if (n < 0) return Errno(errno, "readlink " + Quoted(path));
      const std::string_view text(target, static_cast<size_t>(n));
      std::vector<std::string> parts = Split(text, '/');
      if (++links > kMaxLinks || names.size() + parts.size() > kMaxComponents) {
        return Errno(ELOOP, "open " + Quoted(path) + " in its root");
      }
      if (StartsWith(text, "/")) way.resize(1);
      names.insert(names.begin(), parts.begin(), parts.end());
    } else if (std::any_of(names.begin(), names.end(),
                           [](const std::string& n) { return !n.empty(); })) {
      return NoFile(path);
    } else if (!S_ISREG(mode)) {
      return FailedPrecondition("open " + Quoted(path) +
                                ": not a regular file");
    } else {
      return berth::OpenFile(FdPath(step.found->handle.get()), O_RDONLY);
    }
  }
  return FailedPrecondition("open " + Quoted(path) + ": is a directory");
}

}  // namespace berth::image
