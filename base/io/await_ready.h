#ifndef BASE_IO_AWAIT_READY_H_
#define BASE_IO_AWAIT_READY_H_

#include "base/context.h"
#include "base/status.h"

namespace berth {

// Waits until poll(2) finds one of `events`, an error or a hang-up on `fd`, or
// until the context ends: then the context's error. Thread-safe.
Status AwaitReady(const Context& ctx, int fd, short events);

}  // namespace berth

#endif  // BASE_IO_AWAIT_READY_H_
