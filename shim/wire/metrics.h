// A cgroup's statistics on the wire: io.containerd.cgroups.v1 or v2 Metrics.
// Pure.
#ifndef SHIM_WIRE_METRICS_H_
#define SHIM_WIRE_METRICS_H_

#include "api/shim/wire.pb.h"
#include "base/status.h"
#include "oci/cgroup/stats.h"
#include "shim/shim.h"

namespace berth::shim {

// What every version can say, in the form of v1, which carries nanoseconds.
wire::Any ToMetrics(const oci::CgroupStats& stats);

// Of either version. DATA_LOSS if it is no such message.
StatusOr<TaskStats> FromMetrics(const wire::Any& any, UnixNanos at);

}  // namespace berth::shim

#endif  // SHIM_WIRE_METRICS_H_
