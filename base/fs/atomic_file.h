#ifndef BASE_FS_ATOMIC_FILE_H_
#define BASE_FS_ATOMIC_FILE_H_

#include <sys/types.h>

#include <string>
#include <string_view>

#include "base/status.h"

namespace berth {

// Gives `name` in the directory `dir` (an open descriptor) these contents: a
// reader, or whoever comes after a crash, sees the old file or the new one,
// whole, and never a mixture. The file is flushed before it gets its name.
//
// FAILED_PRECONDITION when a directory has the name. Writers of one name must
// not overlap; each other use is thread-safe.
Status WriteFileAtomically(int dir, const std::string& name,
                           std::string_view contents, mode_t mode);

// The same for a path; its directory must exist.
Status WriteFileAtomically(const std::string& path, std::string_view contents,
                           mode_t mode);

// The same without flushing anything: whole after a crash of this process, but
// perhaps empty or old after a power cut. For what a new boot does without.
Status ReplaceFile(const std::string& path, std::string_view contents,
                   mode_t mode);

}  // namespace berth

#endif  // BASE_FS_ATOMIC_FILE_H_
