#ifndef DOCKER_CONVERT_HTTP_STATUS_H_
#define DOCKER_CONVERT_HTTP_STATUS_H_

#include "base/status.h"

namespace berth::docker {

// The HTTP status that Docker's clients expect for an error (docs/
// ARCHITECTURE.md, section 4).
int HttpStatus(const Status& status);

}  // namespace berth::docker

#endif  // DOCKER_CONVERT_HTTP_STATUS_H_
