// Files and directories of our own, below the daemon's root and state: nobody
// else can write there. What a container can write goes through
// base/fs/rooted_path.h instead.
#ifndef SANDBOX_RECORD_FILES_H_
#define SANDBOX_RECORD_FILES_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace berth::sandbox {

// Exactly this mode, whatever the umask. OK if it exists.
Status MakeDirectory(const std::string& path, mode_t mode);
// With missing parents, those of the same mode. What is the daemon's own is
// 0700, and so is all above it but the directory that root or state is in.
Status MakeDirectories(const std::string& path, mode_t mode);

// Replaces the contents in place (the file may be bound into containers).
Status WriteSmallFile(const std::string& path, std::string_view contents,
                      mode_t mode);
// RESOURCE_EXHAUSTED beyond `limit` bytes.
StatusOr<std::string> ReadSmallFile(const std::string& path, uint64_t limit);

// Takes every mount off a path. NOT_FOUND if there is none.
Status DetachMounts(const std::string& path);

// With all below it, but nothing that is mounted there (an error then). OK if
// it is gone.
Status RemoveTree(const std::string& path);

}  // namespace berth::sandbox

#endif  // SANDBOX_RECORD_FILES_H_
