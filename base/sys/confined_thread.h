#ifndef BASE_SYS_CONFINED_THREAD_H_
#define BASE_SYS_CONFINED_THREAD_H_

#include <functional>
#include <string>
#include <vector>

#include "base/status.h"

namespace berth {

// Runs `body` on a thread of its own that the kernel keeps within a few
// folders, and waits for its end: for work on the bytes of strangers. The
// thread cannot open, make, remove or rename anything outside of `folders`
// (landlock(7), Linux 5.19), has the capabilities of files alone, gets no
// socket, and neither runs a program nor mounts (seccomp(2)). Landlock does not
// govern the mode, owner, times and attributes of what is there already: a path
// that leads astray can change these outside as well. The thread shares this
// process's memory and open descriptors: it holds up such a path, not code of a
// stranger's.
//
// The error of `body`; RESOURCE_EXHAUSTED if there is no thread. A kernel that
// lacks one of these confines without it, see ConfinementLacks. Thread-safe.
Status RunConfined(const std::string& name,
                   const std::vector<std::string>& folders,
                   const std::function<Status()>& body);

// What this kernel cannot take away, in words; empty: nothing. For a log.
std::string ConfinementLacks();

}  // namespace berth

#endif  // BASE_SYS_CONFINED_THREAD_H_
