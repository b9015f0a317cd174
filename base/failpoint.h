// Failure on demand, for tests that kill or fail a daemon between two steps.
#ifndef BASE_FAILPOINT_H_
#define BASE_FAILPOINT_H_

#include "base/status.h"

namespace berth {

// Marks a place between two steps. Does nothing unless the environment names
// it when the process starts:
//
//   BERTH_FAILPOINTS="sandbox.start.network=kill;image.commit=error"
//
// Actions: `kill` SIGKILLs this process; `error` makes Failpoint return
// INTERNAL; `sleep:MS` waits; each may be followed by `@N`: only from the Nth
// passage on (1 if absent). The name is the fixed, documented handle of the
// place: "<folder>.<verb>.<step just done>".
//
// Thread-safe. One load of a flag when nothing is armed.
Status Failpoint(const char* name);

}  // namespace berth

#endif  // BASE_FAILPOINT_H_
