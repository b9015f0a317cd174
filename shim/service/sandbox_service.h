#ifndef SHIM_SERVICE_SANDBOX_SERVICE_H_
#define SHIM_SERVICE_SANDBOX_SERVICE_H_

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/io/event_loop.h"
#include "base/status.h"
#include "shim/names/name_server.h"
#include "shim/process/reaper.h"
#include "shim/process/task.h"
#include "shim/shim.h"
#include "shim/wire/ttrpc_server.h"

namespace berth::shim {

// containerd's sandbox API. A sandbox is a word until somebody asks for the
// annotation "berth.pid-namespace" = "pod" (not "container"): then StartSandbox
// makes a process that is pid 1 of a pid namespace of its own, does nothing but
// reap, and dies with the shim. No image, no container. The namespace belongs
// to the user namespace of which "berth.user-namespace" is the path, if any.
// The annotation "berth.names" is the file of a name server in the sandbox's
// network (names/name_server.h).
// Single-threaded.
class SandboxService {
 public:
  // `shutdown` ends the shim.
  SandboxService(const ShimParts& parts, TaskTable& tasks,
                 std::function<void()> shutdown);

  void Register(TtrpcServer& server);
  // A sandbox was made through this API: only it ends the shim.
  bool in_use() const { return phase_ != Phase::kNone; }
  // Of pid 1; 0 if there is none, or no more.
  pid_t pid() const { return pid_; }
  // Kills pid 1.
  void Stop();

 private:
  enum class Phase { kNone, kCreated, kReady, kStopped };

  void Handle(const TtrpcCall& call, const Responder& reply);
  void Create(const std::string& payload, const Responder& reply);
  void Start(const Responder& reply);
  void StopSandbox(const Responder& reply);
  void Wait(const Responder& reply);
  void State(const Responder& reply);
  void Shutdown(const Responder& reply);
  StatusOr<pid_t> StartInit();
  void OnExit(const ExitStatus& exit);

  const ShimParts parts_;
  TaskTable& tasks_;
  const std::function<void()> shutdown_;
  std::unique_ptr<NameServer> names_;
  Phase phase_ = Phase::kNone;
  std::string id_;
  bool wants_init_ = false;
  std::string user_namespace_;  // path, or empty
  pid_t pid_ = 0;
  UnixNanos created_at_ = 0;
  ExitStatus exit_;
  std::vector<Responder> waiters_;
};

}  // namespace berth::shim

#endif  // SHIM_SERVICE_SANDBOX_SERVICE_H_
