// Paths that a client names. They may lead to a file system whose server has
// died (NFS, FUSE): every system call on them then blocks, and nothing but the
// end of the process ends it. Calls on other file systems than the kernel's own
// are made by a helper process, which is left behind when it is too late.
#ifndef BASE_FS_FOREIGN_PATH_H_
#define BASE_FS_FOREIGN_PATH_H_

#include <sys/stat.h>
#include <sys/types.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/context.h"
#include "base/status.h"

namespace berth {

struct PathFacts {
  std::string path;  // absolute, no links in it
  struct stat info = {};
};

// For one path, links followed. At most 20 seconds. NOT_FOUND and so on as of
// the system calls; DEADLINE_EXCEEDED if the file system does not answer;
// UNAVAILABLE, at once, if it has not answered others. Thread-safe.
StatusOr<PathFacts> InspectPath(const Context& ctx, const std::string& path);

// Makes the directory and those above it that are missing. The same errors.
Status MakePath(const Context& ctx, const std::string& path, mode_t mode);

// The first mount point on `path`, links followed, whose file system needs
// somebody else to answer (network, FUSE); empty if `path` meets none of these.
// Does not touch such a file system. Exposed for tests.
StatusOr<std::string> ForeignMountOf(const std::string& path);

// Whether file systems of the type need somebody else to answer: all but those
// that are known to have nobody's help but the disk's.
bool IsForeignType(std::string_view type);

// Helper processes that have not ended although they were killed.
size_t StuckPathHelpers();

}  // namespace berth

#endif  // BASE_FS_FOREIGN_PATH_H_
