#ifndef DOCKER_ROUTES_CONTAINER_LOG_H_
#define DOCKER_ROUTES_CONTAINER_LOG_H_

#include "base/context.h"
#include "base/status.h"
#include "docker/convert/create_request.h"
#include "docker/convert/log_tag.h"

namespace berth::docker {

// Where the log of a container goes besides, by the request's `forward`, into
// the configuration of its log. INVALID_ARGUMENT for a host that has no
// address. Thread-safe.
Status ForwardLog(const Context& ctx, const LogTagFields& fields,
                  CreateRequest& request);

}  // namespace berth::docker

#endif  // DOCKER_ROUTES_CONTAINER_LOG_H_
