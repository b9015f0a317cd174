#include "base/sys/overlay_mount.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "base/sys/file.h"
#include "base/sys/mount_options.h"
#include "base/thread.h"
#include "base/unique_fd.h"

namespace berth {
namespace {

constexpr char kLower[] = "lowerdir=";
// A string of fsconfig(2) with its end.
constexpr size_t kMaxString = 256;

std::vector<std::string> LayersOf(const std::string& lower_option) {
  return Split(lower_option.substr(sizeof(kLower) - 1), ':');
}

// Paths short enough for fsconfig(2), for as long as this lives.
class ShortPaths {
 public:
  StatusOr<std::string> Of(const std::string& path) {
    const size_t slash = path.rfind('/');
    if (path.size() < kMaxString || slash == std::string::npos) return path;
    const std::string parent = path.substr(0, slash);
    if (parent != parent_) {
      ASSIGN_OR_RETURN(UniqueFd fd, OpenFile(parent, O_PATH | O_DIRECTORY));
      open_.push_back(std::move(fd));
      parent_ = parent;
    }
    return "/proc/self/fd/" + std::to_string(open_.back().get()) +
           path.substr(slash);
  }

 private:
  std::string parent_;
  std::vector<UniqueFd> open_;
};

// "upperdir=PATH" with a path that is short enough.
StatusOr<std::string> Shortened(const std::string& option, ShortPaths& paths) {
  const size_t equals = option.find('=');
  if (equals == std::string::npos) return option;
  ASSIGN_OR_RETURN(const std::string path, paths.Of(option.substr(equals + 1)));
  return option.substr(0, equals + 1) + path;
}

}  // namespace

Status MountOverlayByLayer(const Mount& overlay) {
  const MountOptions options = ParseMountOptions(overlay.options);
  ShortPaths paths;
  std::vector<std::string> data;
  for (const std::string& option : options.data) {
    if (!StartsWith(option, kLower)) {
      ASSIGN_OR_RETURN(std::string other, Shortened(option, paths));
      data.push_back(std::move(other));
      continue;
    }
    for (const std::string& layer : LayersOf(option)) {
      ASSIGN_OR_RETURN(const std::string path, paths.Of(layer));
      data.push_back("lowerdir+=" + path);
    }
  }
  std::vector<std::string> superblock = options.superblock;
  if (options.read_only) superblock.emplace_back("ro");
  ASSIGN_OR_RETURN(const UniqueFd made,
                   NewFilesystem("overlay", overlay.source, superblock, data,
                                 options.top.set));
  // As mount(2) has it: it may follow the target's last component.
  ASSIGN_OR_RETURN(const UniqueFd target, OpenFile(overlay.target, O_PATH));
  return AttachMount(made.get(), target.get());
}

Status MountOverlayByFolder(const Mount& overlay) {
  const MountOptions options = ParseMountOptions(overlay.options);
  std::string folder;
  for (const std::string& option : options.data) {
    if (!StartsWith(option, kLower)) continue;
    const std::string topmost = LayersOf(option)[0];
    folder = topmost.substr(0, topmost.rfind('/') + 1);
  }
  const auto relative = [&](const std::string& path) {
    return StartsWith(path, folder) ? path.substr(folder.size()) : path;
  };
  std::vector<std::string> data;
  for (const std::string& option : options.data) {
    const size_t equals = option.find('=');
    std::vector<std::string> layers;
    if (StartsWith(option, kLower)) layers = LayersOf(option);
    for (std::string& layer : layers) layer = relative(layer);
    data.push_back(!layers.empty() ? kLower + Join(layers, ":")
                   : equals == std::string::npos
                       ? option
                       : option.substr(0, equals + 1) +
                             relative(option.substr(equals + 1)));
  }
  const std::string text = MountData(data);
  if (text.size() > kMaxMountData) {
    return ResourceExhausted("overlay: options of " +
                             std::to_string(text.size()) +
                             " bytes are over the limit of mount(2)");
  }
  const unsigned long flags = options.read_only ? MS_RDONLY : 0;
  Status result = Internal("the thread broke off");
  ASSIGN_OR_RETURN(
      Thread thread, StartThread("overlay", [&] {
        // A working directory of its own.
        if (unshare(CLONE_FS) != 0 || chdir(folder.c_str()) != 0) {
          result = Errno(errno, "enter " + Quoted(folder));
        } else if (mount(overlay.source.c_str(), overlay.target.c_str(),
                         "overlay", flags, text.c_str()) != 0) {
          result = Errno(errno, "mount");
        } else {
          result = OkStatus();
        }
      }));
  thread.Join();
  return result;
}

Status MountLongOverlay(const Mount& overlay) {
  const Status by_layer = MountOverlayByLayer(overlay);
  return by_layer.code() == StatusCode::kInvalidArgument
             ? MountOverlayByFolder(overlay)
             : by_layer;
}

}  // namespace berth
