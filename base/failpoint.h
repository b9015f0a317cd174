// Failure on demand, for tests that kill or fail a daemon between two steps.
#ifndef BASE_FAILPOINT_H_
#define BASE_FAILPOINT_H_

#include "base/status.h"

namespace berth {

// For a process of ours that starts another one with few variables.
inline constexpr char kFailpointsVariable[] = "BERTH_FAILPOINTS";
inline constexpr char kFailpointsActedVariable[] = "BERTH_FAILPOINTS_ACTED";

// Marks a place between two steps. Does nothing unless the environment names
// it when the process starts:
//
//   BERTH_FAILPOINTS="sandbox.start.network=kill;image.commit=error"
//
// A place that acts first adds its name as a line to the file that
// BERTH_FAILPOINTS_ACTED names, if it is set.
//
// Actions: `kill` SIGKILLs this process; `error` makes Failpoint return
// INTERNAL with the place's name; `sleep:MS` waits. Each may be followed by
// `@N`, only from the Nth passage on (1 if absent), and by `*N`, N times at
// most (for ever if absent): "image.commit=error@2*1". The name is the fixed,
// documented handle of the place: "<folder>.<verb>.<step just done>".
//
// Thread-safe. One load of a flag when nothing is armed.
Status Failpoint(const char* name);

}  // namespace berth

#endif  // BASE_FAILPOINT_H_
