// Files, one thin function a system call: retried on EINTR, every descriptor
// close-on-exec, errors that name the call and the path. See open(2),
// openat2(2), read(2), write(2).
#ifndef BASE_SYS_FILE_H_
#define BASE_SYS_FILE_H_

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/unique_fd.h"

namespace berth {

// open(2) with O_CLOEXEC added.
StatusOr<UniqueFd> OpenFile(const std::string& path, int flags,
                            mode_t mode = 0);
// openat(2) with O_CLOEXEC added. `dir` may be AT_FDCWD.
StatusOr<UniqueFd> OpenFileAt(int dir, const std::string& path, int flags,
                              mode_t mode = 0);

// openat2(2) with O_CLOEXEC added; `resolve` is a set of RESOLVE_* bits.
// EAGAIN (a rename elsewhere raced with RESOLVE_BENEATH) is retried.
StatusOr<UniqueFd> OpenBeneath(int dir, const std::string& path, int flags,
                               uint64_t resolve, mode_t mode = 0);

// All bytes from the current offset. RESOURCE_EXHAUSTED if there are more than
// `limit`; no more than that is ever allocated. `what` names the file in
// errors.
StatusOr<std::string> ReadAll(int fd, uint64_t limit, const std::string& what);
// Of a path. Follows links: only for paths that nobody else can plant.
StatusOr<std::string> ReadFile(const std::string& path, uint64_t limit);

// At most `size` bytes, fewer only at the end of the file.
StatusOr<size_t> ReadUpTo(int fd, char* data, size_t size);
Status WriteAll(int fd, std::string_view bytes);

// fstat(2), fstatat(2) without following a link.
StatusOr<struct stat> StatFd(int fd);
StatusOr<struct stat> StatAt(int dir, const std::string& name);

// Makes `path` and its missing parents; what exists is left as it is.
Status MakeDirectories(const std::string& path, mode_t mode);

// The names in a directory but "." and "..", sorted. `dir` stays open.
StatusOr<std::vector<std::string>> ListDirectory(int dir);

// fsync(2), syncfs(2).
Status SyncFile(int fd, const std::string& what);
Status SyncFileSystem(int fd, const std::string& what);

}  // namespace berth

#endif  // BASE_SYS_FILE_H_
