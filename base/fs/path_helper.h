#ifndef BASE_FS_PATH_HELPER_H_
#define BASE_FS_PATH_HELPER_H_

#include <cstddef>
#include <string>

#include "base/context.h"
#include "base/status.h"

namespace berth {

// Runs `work` in a helper process, a copy of this one, that is left behind when
// it does not end in time: for system calls which may block until the server of
// a file system answers. `question` and `answer` are its arguments; the bytes
// of `answer` come back. Between its start and its end nothing may be allocated
// or locked: it has one thread of many.
//
// `mount` is the file system, or what stands for it. Of helpers for one there
// are four, stuck ones too, and 64 in all. DEADLINE_EXCEEDED or CANCELLED with
// the context; UNAVAILABLE, at once, while there are too many. Thread-safe.
Status AskHelper(const Context& ctx, const std::string& mount,
                 void (*work)(void* question, void* answer), void* question,
                 void* answer, size_t answer_size);

// Helpers that have not ended although they were killed.
size_t StuckHelpers();

}  // namespace berth

#endif  // BASE_FS_PATH_HELPER_H_
