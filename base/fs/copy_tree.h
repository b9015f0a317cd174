#ifndef BASE_FS_COPY_TREE_H_
#define BASE_FS_COPY_TREE_H_

#include "base/status.h"

namespace berth {

// Copies all that is below one directory into another, both open: files,
// directories, links, devices and fifos, with owner, mode, times and extended
// attributes; of the two directories themselves owner and mode. Links are
// copied as links and never followed, so the source may be hostile; other
// mounts below it are copied like the rest. Hard links become hard links, but
// for the last of so many that their paths pass 16 MiB. Sockets are left out.
// Stops at the first error, and deeper than 256 levels. Thread-safe for
// different targets.
Status CopyTree(int from, int to);

}  // namespace berth

#endif  // BASE_FS_COPY_TREE_H_
