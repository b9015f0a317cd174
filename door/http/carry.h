#ifndef DOOR_HTTP_CARRY_H_
#define DOOR_HTTP_CARRY_H_

#include "base/context.h"
#include "base/status.h"
#include "door/http/upgrade.h"

namespace berth::door {

// Carries bytes both ways between a client and a connected socket, which is
// non-blocking, until either of them has ended. For protocols that do not end
// one way at a time, such as HTTP/2. Uses a second thread: RESOURCE_EXHAUSTED
// if no thread can be had. Returns the context's error if that has ended, else
// OK.
Status Carry(const Context& ctx, UpgradedConnection& client, int socket);

}  // namespace berth::door

#endif  // DOOR_HTTP_CARRY_H_
