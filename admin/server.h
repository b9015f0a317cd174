#ifndef ADMIN_SERVER_H_
#define ADMIN_SERVER_H_

#include <string>

#include "admin/health.h"
#include "admin/metrics.h"
#include "base/context.h"
#include "base/status.h"
#include "door/http/http_server.h"
#include "door/request_log.h"

namespace berth::admin {

struct ServerOptions {
  std::string version;
  // What /config answers: the configuration in force, without secrets.
  std::string config;
  Health health;
  // The requests of this door are counted there, too.
  Sources sources;
  // A line in the log also for requests that succeed.
  bool log_queries = true;
};

// The door for whoever runs the node: what a watchdog and a collector of
// metrics ask, as HTTP on a Unix socket for root alone. It changes nothing.
//
//   GET /healthz   200 "ok", or 503 and a line for each reason (admin/health.h)
//   GET /metrics   Prometheus' text format, version 0.0.4 (admin/metrics.h)
//   GET /config    the configuration in force, in the form of its file
//   GET /version   {"name": "berth", "version": ...}
//
// All of it is told from memory and from what the kernel says of this process
// and its disk: no answer waits for a shim, a plugin, a record or a verb, so
// that a daemon that does not answer at all is one that hangs. For the same
// reason nothing here says whether the network is ready: that reads files, and
// kubelet learns it from the CRI's Status.
//
// Thread-safe.
class Server {
 public:
  explicit Server(ServerOptions options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Mode 0600.
  Status Listen(const std::string& socket);
  // Ends every request.
  void Shutdown();

 private:
  void Serve(const Context& ctx, door::HttpExchange& http);
  Status Dispatch(door::HttpExchange& http) const;
  Status TellHealth(door::HttpExchange& http) const;

  const ServerOptions options_;
  const door::RequestLog log_;
  door::HttpServer server_;
};

}  // namespace berth::admin

#endif  // ADMIN_SERVER_H_
