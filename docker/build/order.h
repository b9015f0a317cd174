// The query of POST /build as what BuildKit's Dockerfile frontend understands.
#ifndef DOCKER_BUILD_ORDER_H_
#define DOCKER_BUILD_ORDER_H_

#include <map>
#include <string>
#include <vector>

#include "api/buildkit/v1/control.pb.h"
#include "base/status.h"

namespace berth::docker {

namespace bk = moby::buildkit::v1;

using QueryValues =
    std::map<std::string, std::vector<std::string>, std::less<>>;

struct BuildOrder {
  bk::SolveRequest request;
  std::vector<std::string> tags;  // as the client wrote them
  std::string id;                 // to cancel it by
  bool has_body = true;           // the context is the body
  bool quiet = false;
  // The client shows BuildKit's own progress (version=2).
  bool traced = false;
};

// INVALID_ARGUMENT for what is no value of its parameter, UNIMPLEMENTED for
// limits that BuildKit does not know. Pure.
StatusOr<BuildOrder> ReadBuildOrder(const QueryValues& query,
                                    const std::string& host_gateway);

}  // namespace berth::docker

#endif  // DOCKER_BUILD_ORDER_H_
