// Between our values and the messages of api/shim. Pure.
#ifndef SHIM_WIRE_CONVERT_H_
#define SHIM_WIRE_CONVERT_H_

#include "api/shim/types/mount.pb.h"
#include "api/shim/types/task/task.pb.h"
#include "api/shim/wire.pb.h"
#include "base/clock.h"
#include "base/status.h"
#include "base/sys/mount.h"
#include "shim/shim.h"

namespace berth::shim {

wire::Timestamp ToWire(UnixNanos time);
UnixNanos FromWire(const wire::Timestamp& time);

containerd::types::Mount ToWire(const Mount& mount);
// UNIMPLEMENTED for a target: all mounts go on the root filesystem's folder.
StatusOr<Mount> FromWire(const containerd::types::Mount& mount);

containerd::v1::types::Status ToWire(TaskPhase phase);
TaskPhase FromWire(containerd::v1::types::Status status);

}  // namespace berth::shim

#endif  // SHIM_WIRE_CONVERT_H_
