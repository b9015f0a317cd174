#ifndef IMAGE_LAYER_LAYER_DIFF_H_
#define IMAGE_LAYER_LAYER_DIFF_H_

#include <sys/stat.h>

#include <functional>
#include <string>

#include "base/context.h"
#include "base/status.h"
#include "image/layer/layer_stack.h"

namespace berth::image {

// One name in the topmost layer of a stack.
struct LayerChange {
  enum class Kind { kChanged, kAdded, kRemoved };
  Kind kind = Kind::kChanged;
  std::string path;  // relative to the root
  // Where it is, while it is visited: a name in an open directory. What was
  // removed is a whiteout there.
  int parent = -1;
  std::string name;
  struct stat info = {};
  // A directory that hides what the layers below have in it.
  bool opaque = false;
  // A directory that is as it is below, but for what is in it.
  bool same = false;
};

// Visits all names in the topmost layer of `stack`, each directory before what
// is in it; the first error of `visit` ends it. A container may write there
// meanwhile: nothing is followed, and what goes away is left out.
// FAILED_PRECONDITION deeper than 256 levels, and for directories that
// overlayfs has renamed, which this house's mounts do not let it.
// Thread-safe.
Status VisitChanges(const Context& ctx, const LayerStack& stack,
                    const std::function<Status(const LayerChange&)>& visit);

}  // namespace berth::image

#endif  // IMAGE_LAYER_LAYER_DIFF_H_
