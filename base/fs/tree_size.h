#ifndef BASE_FS_TREE_SIZE_H_
#define BASE_FS_TREE_SIZE_H_

#include <cstdint>

#include "base/status.h"

namespace berth {

struct TreeSize {
  uint64_t bytes = 0;   // blocks on the disk
  uint64_t inodes = 0;  // hard links count once
};

// What a directory (an open descriptor, but O_PATH will not do) and all below
// it take on the disk. Links are counted, not followed, and other mounts are
// not entered.
//
// The tree may change while it is walked, by a container that wants us to
// leave it: each step opens one name beneath a directory that is open already,
// so what is counted is the tree's own. A directory that is moved away
// meanwhile may be missed. Depth costs neither stack nor descriptors.
// Thread-safe.
StatusOr<TreeSize> MeasureTree(int directory);

}  // namespace berth

#endif  // BASE_FS_TREE_SIZE_H_
