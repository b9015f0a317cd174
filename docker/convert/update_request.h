#ifndef DOCKER_CONVERT_UPDATE_REQUEST_H_
#define DOCKER_CONVERT_UPDATE_REQUEST_H_

#include "api/state/v1/state.pb.h"
#include "base/json.h"
#include "base/status.h"

namespace berth::docker {

// What docker update asks for.
struct UpdateRequest {
  state::v1::Resources limits;  // 0 or empty: stays as it is
  bool has_limits = false;
  Json host_config = Json::object();  // the members of HostConfig that change
};

// `now` are the limits in force. The names of members may be in any case.
// INVALID_ARGUMENT for what is wrong, UNIMPLEMENTED for a limit that cannot be
// changed here: both name it. What is no limit is ignored, as dockerd does.
StatusOr<UpdateRequest> ConvertUpdate(const Json& body,
                                      const state::v1::Resources& now);

}  // namespace berth::docker

#endif  // DOCKER_CONVERT_UPDATE_REQUEST_H_
