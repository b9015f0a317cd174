// What of Docker's API is not here.
#include <string>
#include <utility>
#include <vector>

#include "docker/call.h"

namespace berth::docker {
namespace {

Status Refuse(Engine&, Call& call) {
  return Unimplemented(call.http.request().method + " " +
                       call.http.request().path + " is not supported");
}

// Method ("" for any) and pattern.
constexpr std::pair<const char*, const char*> kRoutes[] = {
    // Containers.
    {"GET", "/containers/{id}/checkpoints"},
    {"POST", "/containers/{id}/checkpoints"},
    {"DELETE", "/containers/{id...}"},  // of one checkpoint
    // Images, beside pulling them.
    {"GET", "/images/search"},
    {"GET", "/images/{name...}/attestations"},
    // The rest.
    {"GET", "/debug/{name...}"},
    {"", "/plugins"},
    {"GET", "/plugins/privileges"},
    {"POST", "/plugins/pull"},
    {"POST", "/plugins/create"},
    {"", "/swarm/{name...}"}};

}  // namespace

std::vector<Route> UnsupportedRoutes() {
  std::vector<Route> routes;
  for (const auto& [method, pattern] : kRoutes) {
    routes.push_back({method, pattern, Refuse});
  }
  return routes;
}

}  // namespace berth::docker
