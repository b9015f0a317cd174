#include "docker/api_server.h"

#include <optional>
#include <utility>

#include "base/contain.h"
#include "base/strings.h"
#include "base/unique_fd.h"
#include "docker/convert/http_status.h"
#include "docker/convert/request_path.h"
#include "docker/leftovers.h"
#include "door/call_frame.h"
#include "door/listener.h"

namespace berth::docker {
namespace {

std::vector<Route> AllRoutes() {
  std::vector<Route> all;
  for (auto* group :
       {SystemRoutes, BuildRoutes, EventRoutes, ImageRoutes, ImageExportRoutes,
        ImageImportRoutes, DiskUsageRoutes, RegistryRoutes, ContainerRoutes,
        ContainerIoRoutes, ContainerArchiveRoutes, ContainerStatsRoutes,
        ContainerUpdateRoutes, ExecRoutes, NetworkRoutes, VolumeRoutes,
        SwarmRoutes, UnsupportedRoutes}) {
    std::vector<Route> routes = group();
    std::move(routes.begin(), routes.end(), std::back_inserter(all));
  }
  return all;
}

// "/v1.41/containers/json" -> 41 and "/containers/json". Without a version it
// is the newest.
Status TakeVersion(std::string& path, int& version) {
  version = kNewestVersion;
  if (!StartsWith(path, "/v1.")) return OkStatus();
  const size_t slash = path.find('/', 1);
  if (slash == std::string::npos) return OkStatus();
  const std::optional<uint64_t> minor = ParseUint(path.substr(4, slash - 4));
  if (!minor.has_value()) return OkStatus();
  const std::string text = path.substr(2, slash - 2);
  if (*minor < kOldestVersion) {
    return InvalidArgument("client version " + text +
                           " is too old. Minimum supported API version is 1." +
                           std::to_string(kOldestVersion) +
                           ", please upgrade your client to a newer version");
  }
  if (*minor > kNewestVersion) {
    return InvalidArgument("client version " + text +
                           " is too new. Maximum supported API version is 1." +
                           std::to_string(kNewestVersion));
  }
  version = static_cast<int>(*minor);
  path.erase(0, slash);
  return OkStatus();
}

// What {id} stands for; nothing if the path is another one.
std::optional<std::string> Match(const std::string& pattern,
                                 const std::string& path) {
  const size_t open = pattern.find('{');
  if (open == std::string::npos) {
    return pattern == path ? std::optional<std::string>("") : std::nullopt;
  }
  const size_t close = pattern.find('}');
  const std::string suffix = pattern.substr(close + 1);
  const bool many = pattern.compare(close - 3, 3, "...") == 0;
  if (path.size() <= open + suffix.size() ||
      path.compare(0, open, pattern, 0, open) != 0 || !EndsWith(path, suffix)) {
    return std::nullopt;
  }
  std::string name = path.substr(open, path.size() - open - suffix.size());
  if (!many && name.find('/') != std::string::npos) return std::nullopt;
  return name;
}

std::unique_ptr<RestartMonitor> StartMonitor(Engine& engine) {
  RemoveLeftovers(engine, Context::Background("docker"));
  return std::make_unique<RestartMonitor>(engine);
}

void RespondError(door::HttpExchange& http, const Status& status) {
  const int code = http.body_too_long() ? 413 : HttpStatus(status);
  // The client may be gone: nothing to be done then.
  (void)http.Respond(code, "application/json",
                     DumpJson({{"message", Message(status)}}) + "\n");
}

}  // namespace

ApiServer::ApiServer(EngineSettings settings, BuilderSettings builder,
                     sandbox::World& world, sandbox::SandboxManager& sandboxes,
                     sandbox::ContainerManager& containers,
                     image::ImageService& images, sandbox::StatsReader& stats,
                     cni::UserNetworks& networks, door::RequestCounts& counts)
    : engine_(std::move(settings), world, sandboxes, containers, images, stats,
              networks),
      monitor_(StartMonitor(engine_)),
      health_(std::make_unique<HealthMonitor>(engine_)),
      builds_(std::make_unique<Builds>(engine_, std::move(builder))),
      routes_(AllRoutes()),
      log_("docker", /*queries=*/true, &counts),
      server_([this](const Context& ctx, door::HttpExchange& http) {
        Serve(ctx, http);
      }) {
  engine_.builds = builds_.get();
}

ApiServer::~ApiServer() {
  Shutdown();
  // Before the monitor, which it asks, ends.
  engine_.events.Stop();
}

Status ApiServer::StartEvents() {
  return engine_.events.Start(
      engine_.settings.root + "/docker-events",
      [this](const std::string& id) { return monitor_->WillRestart(id); });
}

Status ApiServer::Listen(const std::string& socket) {
  RETURN_IF_ERROR(StartEvents());
  return server_.Listen(socket, 0660);
}

Status ApiServer::Listen(door::Listener listener) {
  RETURN_IF_ERROR(StartEvents());
  return server_.Listen(std::move(listener));
}

Status ApiServer::ListenTcp(const std::string& address,
                            const std::optional<door::TlsFiles>& tls) {
  std::unique_ptr<door::TlsReloader> server;
  if (tls.has_value()) {
    ASSIGN_OR_RETURN(server, door::TlsReloader::Load(*tls));
  }
  ASSIGN_OR_RETURN(door::Listener listener, door::Listener::OnTcp(address));
  ASSIGN_OR_RETURN(tcp_,
                   door::TcpFront::Start(
                       std::move(listener), std::move(server), {},
                       [this](UniqueFd s) { server_.Take(std::move(s)); }));
  return OkStatus();
}

void ApiServer::Shutdown() {
  // Verbs whose clients have left wait for it alone.
  monitor_->Stop();
  server_.Shutdown();
  if (tcp_ != nullptr) tcp_->Stop();
}

void ApiServer::Serve(const Context& ctx, door::HttpExchange& http) {
  const door::ServerRequest& request = http.request();
  door::CallFrame frame(log_, ctx, request.method, request.path);
  http.AddHeader("Api-Version", "1." + std::to_string(kNewestVersion));
  http.AddHeader("Docker-Experimental", "false");
  http.AddHeader("Ostype", "linux");
  http.AddHeader("Server", "berth/" + engine_.settings.version + " (linux)");
  // What changes something is done even for a client that has left already, as
  // with dockerd.
  const auto dispatch = [&] { return Dispatch(ctx, http); };
  const bool asks = request.method == "GET" || request.method == "HEAD";
  const Status status = asks ? frame.Run(dispatch) : Contain(dispatch);
  if (!status.ok() && !http.answered()) RespondError(http, status);
  frame.Finish(status);
}

Status ApiServer::Dispatch(const Context& ctx, door::HttpExchange& http) {
  std::string path = http.request().path;
  if (const std::string clean = CleanPath(path); clean != path) {
    http.AddHeader("Location", TargetText(clean, http.request().query));
    return http.Respond(301, "", "");
  }
  Call call{ctx, http, "", kNewestVersion};
  RETURN_IF_ERROR(TakeVersion(path, call.version));
  bool known = false;
  for (const Route& route : routes_) {
    const std::optional<std::string> name = Match(route.pattern, path);
    if (!name.has_value()) continue;
    known = true;
    if (!route.method.empty() && route.method != http.request().method) {
      continue;
    }
    call.name = *name;
    return route.handler(engine_, call);
  }
  if (!known || EndsWith(path, "/")) return NotFound("page not found");
  return http.Respond(405, "application/json",
                      "{\"message\":\"method not allowed\"}\n");
}

}  // namespace berth::docker
