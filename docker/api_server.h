#ifndef DOCKER_API_SERVER_H_
#define DOCKER_API_SERVER_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/context.h"
#include "base/status.h"
#include "docker/build/builds.h"
#include "docker/call.h"
#include "docker/engine.h"
#include "docker/health_monitor.h"
#include "docker/restart_monitor.h"
#include "door/http/http_server.h"
#include "door/http/tcp_front.h"
#include "door/http/tls_relay.h"
#include "door/request_counts.h"
#include "door/request_log.h"

namespace berth::docker {

// The door for Docker's clients: the Engine's REST API, versions 1.24 to 1.57,
// on a Unix socket and, if asked, on TCP. Every request runs on its
// connection's thread.
//
// Made when the world has been recovered; all that is given must outlive it.
// Thread-safe.
class ApiServer {
 public:
  ApiServer(EngineSettings settings, BuilderSettings builder,
            sandbox::World& world, sandbox::SandboxManager& sandboxes,
            sandbox::ContainerManager& containers, image::ImageService& images,
            sandbox::StatsReader& stats, cni::UserNetworks& networks,
            door::RequestCounts& counts);
  ~ApiServer();
  ApiServer(const ApiServer&) = delete;
  ApiServer& operator=(const ApiServer&) = delete;

  // Mode 0660.
  Status Listen(const std::string& socket);
  Status Listen(door::Listener listener);
  // On "IP:port" too, after Listen. Without `tls`, whoever connects is served.
  Status ListenTcp(const std::string& address,
                   const std::optional<door::TlsFiles>& tls);
  // Ends every request; containers go on.
  void Shutdown();

 private:
  Status StartEvents();
  void Serve(const Context& ctx, door::HttpExchange& http);
  Status Dispatch(const Context& ctx, door::HttpExchange& http);

  Engine engine_;
  std::unique_ptr<RestartMonitor> monitor_;
  std::unique_ptr<HealthMonitor> health_;
  std::unique_ptr<Builds> builds_;
  const std::vector<Route> routes_;
  const door::RequestLog log_;
  door::HttpServer server_;
  std::unique_ptr<door::TcpFront> tcp_;
};

}  // namespace berth::docker

#endif  // DOCKER_API_SERVER_H_
