#ifndef SHIM_PROCESS_LOG_COMPRESSOR_H_
#define SHIM_PROCESS_LOG_COMPRESSOR_H_

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "base/status.h"
#include "base/unique_fd.h"

namespace berth::shim {

// Keeps others out who rename the files of a log, as long as it lives: the
// process that rotates them, and one that puts a compressed file in the place
// of a plain one. Blocks for the time of a few renames at most. Not an error if
// it cannot be had: then only names may be wrong.
UniqueFd LockLogNames(const std::string& log);

// Compresses the files that have been rotated to `log`.1, `log`.2 and so on in
// a process of its own: wherever each has been renamed to by then, NAME.gz
// takes its place. One that a follower holds (flock(2)) stays as it is. A
// failure leaves the plain file. The process is a child that the caller need
// not wait for: it has ended when the pidfd that is returned is readable.
//
// `files` is how many there are with the one that is written now.
StatusOr<UniqueFd> CompressRotated(const std::string& log, uint32_t files);

// What the process does with one file; in the caller's own. Exposed for tests.
Status CompressHere(const std::string& log, uint32_t files, int plain);

// Removes what compressors that were killed have left half made.
void RemoveParts(const std::string& log);

}  // namespace berth::shim

#endif  // SHIM_PROCESS_LOG_COMPRESSOR_H_
