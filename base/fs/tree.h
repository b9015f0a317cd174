// Whole directory trees.
#ifndef BASE_FS_TREE_H_
#define BASE_FS_TREE_H_

#include <string>

#include "base/status.h"

namespace berth {

// Deletes `name` in the directory `dir` (an open descriptor, or AT_FDCWD) with
// all that is in it. OK if it is not there.
//
// Links are deleted, not followed; what is mounted inside is not entered: then
// the error is EXDEV, and some of the tree is left. Depth costs neither stack
// nor descriptors.
Status RemoveTree(int dir, const std::string& name);

}  // namespace berth

#endif  // BASE_FS_TREE_H_
