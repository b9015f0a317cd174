#include "admin/server.h"

#include <chrono>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/strings.h"
#include "door/call_frame.h"

namespace berth::admin {
namespace {

constexpr char kPlain[] = "text/plain; charset=utf-8";
constexpr char kMetrics[] = "text/plain; version=0.0.4; charset=utf-8";

// Few, so that a collector which leaks connections takes no descriptors from
// the other doors.
door::HttpServerOptions Limits() {
  door::HttpServerOptions limits;
  limits.max_waiting = 16;
  limits.max_requests = 16;
  limits.max_streams = 1;
  limits.max_header_bytes = 16 << 10;
  limits.idle_limit = std::chrono::minutes(2);
  limits.write_patience = std::chrono::seconds(10);
  return limits;
}

}  // namespace

Server::Server(ServerOptions options)
    : options_(std::move(options)),
      log_("admin", options_.log_queries, &options_.sources.requests),
      server_([this](const Context& ctx,
                     door::HttpExchange& http) { Serve(ctx, http); },
              Limits()) {}

Server::~Server() { Shutdown(); }

Status Server::Listen(const std::string& socket) {
  return server_.Listen(socket, 0600);
}

void Server::Shutdown() { server_.Shutdown(); }

void Server::Serve(const Context& ctx, door::HttpExchange& http) {
  const door::ServerRequest& request = http.request();
  door::CallFrame frame(log_, ctx, request.method, request.path);
  const Status status = frame.Run([&] { return Dispatch(http); });
  if (!status.ok() && !http.answered()) {
    // The client may be gone: nothing to be done then.
    (void)http.Respond(IsNotFound(status) ? 404 : 500, kPlain,
                       Message(status) + "\n");
  }
  frame.Finish(status);
}

Status Server::Dispatch(door::HttpExchange& http) const {
  const std::string& path = http.request().path;
  if (path != "/healthz" && path != "/metrics" && path != "/config" &&
      path != "/version") {
    return NotFound(
        "no such page: there are /healthz, /metrics, /config and "
        "/version");
  }
  if (http.request().method != "GET") {
    http.AddHeader("Allow", "GET");
    return http.Respond(405, kPlain, "method not allowed\n");
  }
  if (path == "/healthz") return TellHealth(http);
  if (path == "/metrics") {
    return http.Respond(200, kMetrics,
                        Metrics(options_.sources, options_.version));
  }
  if (path == "/config") return http.Respond(200, kPlain, options_.config);
  const Json version = {{"name", "berth"}, {"version", options_.version}};
  return http.Respond(200, "application/json", DumpJson(version) + "\n");
}

// What is wrong stands in the log as well, as this request's error.
Status Server::TellHealth(door::HttpExchange& http) const {
  const std::vector<std::string> reasons = options_.health.Reasons();
  if (reasons.empty()) return http.Respond(200, kPlain, "ok\n");
  RETURN_IF_ERROR(http.Respond(503, kPlain, Join(reasons, "\n") + "\n"));
  return Unavailable(Join(reasons, "; "));
}

}  // namespace berth::admin
