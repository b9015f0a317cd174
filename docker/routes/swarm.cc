// What an engine without plugins answers, and one that is in no swarm.
#include <string>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "docker/call.h"

namespace berth::docker {
namespace {

Status NoPlugins(Engine&, Call& call) { return call.Reply(200, Json::array()); }

Status NoPlugin(Engine&, Call& call) {
  return NotFound("plugin " + Quoted(call.name) + " not found");
}

// Clients know the sentence.
Status NoManager(Engine&, Call&) {
  return Unavailable(
      "This node is not a swarm manager. Use \"docker swarm init\" or \"docker "
      "swarm join\" to connect this node to swarm and try again.");
}

Status NoSwarm(Engine&, Call&) {
  return Unavailable("This node is not part of a swarm");
}

// Method ("" for any) and pattern of what only a manager answers. What makes a
// swarm is not here.
constexpr std::pair<const char*, const char*> kOfManager[] = {
    {"GET", "/swarm"},
    {"GET", "/swarm/unlockkey"},
    {"POST", "/swarm/unlock"},
    {"POST", "/swarm/update"},
    {"", "/nodes"},
    {"", "/nodes/{name...}"},
    {"", "/services"},
    {"", "/services/{name...}"},
    {"", "/tasks"},
    {"", "/tasks/{name...}"},
    {"", "/secrets"},
    {"", "/secrets/{name...}"},
    {"", "/configs"},
    {"", "/configs/{name...}"},
    {"PUT", "/volumes/{name}"}};

}  // namespace

std::vector<Route> SwarmRoutes() {
  std::vector<Route> routes = {{"GET", "/plugins", NoPlugins},
                               {"GET", "/plugins/{name...}/json", NoPlugin},
                               {"DELETE", "/plugins/{name...}", NoPlugin},
                               {"POST", "/swarm/leave", NoSwarm}};
  for (const char* verb : {"disable", "enable", "push", "set", "upgrade"}) {
    routes.push_back(
        {"POST", std::string("/plugins/{name...}/") + verb, NoPlugin});
  }
  for (const auto& [method, pattern] : kOfManager) {
    routes.push_back({method, pattern, NoManager});
  }
  return routes;
}

}  // namespace berth::docker
