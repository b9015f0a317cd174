// Mounts that a client names. A file system whose server is dead holds up
// mount(2), and may hold up umount2(2), for as long as it likes: these calls
// are made by a helper process, which is left behind when it is too late.
#ifndef BASE_FS_FOREIGN_MOUNT_H_
#define BASE_FS_FOREIGN_MOUNT_H_

#include <string>

#include "base/context.h"
#include "base/status.h"
#include "base/sys/mount.h"

namespace berth {

// Does what MountAt does, with its errors, in at most a minute; there is no
// mapping of ids for file systems with a server. DEADLINE_EXCEEDED if the
// server, or the file system that a bind is of, does not answer: then it may
// be mounted later all the same. UNAVAILABLE, at once, if it has not answered
// others. Thread-safe.
Status MountForeign(const Context& ctx, const Mount& mount);

// Detaches all that is mounted on the path itself, not followed if it is a
// link; OK if there is nothing. What is left to be done for a server that does
// not answer is left behind. At most ten seconds. Thread-safe.
Status DetachForeign(const Context& ctx, const std::string& target);

}  // namespace berth

#endif  // BASE_FS_FOREIGN_MOUNT_H_
