// The filters of POST /build/prune as what BuildKit understands.
#ifndef DOCKER_BUILD_PRUNE_ORDER_H_
#define DOCKER_BUILD_PRUNE_ORDER_H_

#include <string>

#include "api/buildkit/v1/control.pb.h"
#include "base/clock.h"
#include "base/status.h"

namespace berth::docker {

// What is removed must pass every filter. INVALID_ARGUMENT for a filter that is
// unknown, has two values, or is given by both of its names. Pure.
StatusOr<moby::buildkit::v1::PruneRequest> ReadPruneOrder(
    const std::string& filters, UnixNanos now);

// Whether nothing that is not in use is to stay. Pure.
bool PrunesAll(const moby::buildkit::v1::PruneRequest& request);

}  // namespace berth::docker

#endif  // DOCKER_BUILD_PRUNE_ORDER_H_
