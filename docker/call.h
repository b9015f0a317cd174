#ifndef DOCKER_CALL_H_
#define DOCKER_CALL_H_

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/context.h"
#include "base/json.h"
#include "base/status.h"
#include "door/http/http_server.h"

namespace berth::docker {

struct Engine;

// The API that is served: versions 1.N, the oldest and the newest N.
constexpr int kOldestVersion = 24;
constexpr int kNewestVersion = 57;

// One request on its route.
struct Call {
  const Context& ctx;
  door::HttpExchange& http;
  std::string name;              // what stands for {id} or {name} in the path
  int version = kNewestVersion;  // N of API version 1.N

  // Docker's idea of a boolean: "", 0, no, false and none are false.
  bool Flag(const std::string& query) const;
  std::string Query(const std::string& query) const;
  // INVALID_ARGUMENT if it is there and no number.
  StatusOr<int64_t> Number(const std::string& query, int64_t otherwise) const;

  // Unix seconds with a fraction, or RFC 3339; 0 if there is none.
  StatusOr<UnixNanos> Time(const std::string& query) const;
  // UNIMPLEMENTED if one of these is set: what is asked for and not done is
  // not passed over.
  Status Refuse(std::initializer_list<const char*> queries) const;

  // The body as a JSON object. No body, and null, are an empty object.
  StatusOr<Json> Body() const;

  Status Reply(int status, const Json& json) const;
  Status Reply(int status) const;  // without a body
};

// A route's handler: an error that it returns before it has answered becomes
// the answer.
using Handler = std::function<Status(Engine&, Call&)>;

struct Route {
  std::string method;  // "": any
  // "/containers/{id}/start"; {name...} may contain slashes.
  std::string pattern;
  Handler handler;
};

// Of docker/routes/, one a file.
std::vector<Route> SystemRoutes();
std::vector<Route> BuildRoutes();
std::vector<Route> EventRoutes();
std::vector<Route> ImageRoutes();
std::vector<Route> ImageExportRoutes();
std::vector<Route> ImageImportRoutes();
std::vector<Route> DiskUsageRoutes();
std::vector<Route> RegistryRoutes();
std::vector<Route> ContainerRoutes();
std::vector<Route> ContainerIoRoutes();
std::vector<Route> ContainerArchiveRoutes();
std::vector<Route> ContainerStatsRoutes();
std::vector<Route> ContainerUpdateRoutes();
std::vector<Route> ExecRoutes();
std::vector<Route> NetworkRoutes();
std::vector<Route> VolumeRoutes();
std::vector<Route> SwarmRoutes();
// The rest of Docker's API: an answer that says so. After all the others.
std::vector<Route> UnsupportedRoutes();

}  // namespace berth::docker

#endif  // DOCKER_CALL_H_
