#ifndef CRI_SERVER_H_
#define CRI_SERVER_H_

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "cri/image_service.h"
#include "cri/runtime_service.h"
#include "door/request_counts.h"
#include "door/worker_pool.h"

namespace berth::cri {

struct ServerOptions {
  // Absolute path of the unix socket; what is left of an earlier one is
  // replaced. Mode 0660.
  std::string socket;
  // Ceilings; see api/config/v1, Limits.
  size_t requests = 256;
  size_t exec_sync = 128;
  size_t event_streams = 16;
  size_t pulls = 4;
  // A line in the log also for what only asks.
  bool log_queries = true;
  // Counts the requests, if it is not null; must outlive the server.
  door::RequestCounts* counts = nullptr;
};

// The CRI socket, open from Start to Shutdown. Thread-safe.
class Server {
 public:
  // Both services must outlive the server.
  static StatusOr<std::unique_ptr<Server>> Start(const ServerOptions& options,
                                                 RuntimeService& runtime,
                                                 ImageService& images);
  virtual ~Server() = default;

  // Closes the door; requests at work get `grace` to end, and are then
  // cancelled. Returns when none is left.
  virtual void Shutdown(Duration grace) = 0;

  // What its threads have to do, by pool. Never waits for a request.
  virtual std::vector<door::WorkerPool::Load> Loads() const = 0;
};

}  // namespace berth::cri

#endif  // CRI_SERVER_H_
