#ifndef IMAGE_LAYER_LAYER_STACK_H_
#define IMAGE_LAYER_LAYER_STACK_H_

#include <sys/stat.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/unique_fd.h"

namespace berth::image {

// Layer directories as overlayfs shows them merged, without mounting them
// (Documentation/filesystems/overlayfs.rst): a name belongs to the topmost
// layer that has it; whiteouts and opaque directories hide what is below.
//
// Names are looked up one component at a time and nothing is followed by the
// kernel, so that a link in a layer cannot lead out of it. The layers may be
// in use as an overlay meanwhile. Thread-compatible.
class LayerStack {
 public:
  // `directories`: topmost first.
  static StatusOr<LayerStack> Open(const std::vector<std::string>& directories);

  // What is at a path. `handle` is an O_PATH descriptor.
  struct Found {
    UniqueFd handle;
    struct stat info;
  };
  // Links on the way or at the end are not followed. Nothing: not there.
  StatusOr<std::optional<Found>> Find(std::string_view path) const;

  // The file that a process would open whose root this is: links are followed,
  // and lead nowhere outside. Opened for reading; only regular files
  // (FAILED_PRECONDITION). NOT_FOUND.
  StatusOr<UniqueFd> OpenFile(std::string_view path) const;

  // A directory of the merged tree: the layers' directories, topmost first.
  using Directory = std::vector<std::shared_ptr<UniqueFd>>;
  struct Entry {
    std::optional<Found> found;  // unset: no such name
    Directory merged;            // if it is a directory
  };
  // One name in a directory.
  static StatusOr<Entry> Look(const Directory& in, const std::string& name);

  // The root directory of the topmost layer, which must be there; and what the
  // others show as theirs.
  int top() const { return roots_.front()->get(); }
  Directory Below() const { return {roots_.begin() + 1, roots_.end()}; }

 private:
  Directory roots_;
};

// A whiteout: a character device 0/0.
bool IsWhiteout(const struct stat& info);
// Whether the directory `fd` (O_PATH will do) hides what is below it.
StatusOr<bool> IsOpaque(int fd);
// "/proc/self/fd/N": for calls that take no O_PATH descriptor. Magic: the
// object itself, whatever has happened to its name.
std::string FdPath(int fd);

}  // namespace berth::image

#endif  // IMAGE_LAYER_LAYER_STACK_H_
