#ifndef DOCKER_RESTART_MONITOR_H_
#define DOCKER_RESTART_MONITOR_H_

#include <map>
#include <memory>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/context.h"
#include "base/mutex.h"
#include "docker/background.h"
#include "docker/engine.h"
#include "sandbox/event_bus.h"

namespace berth::docker {

// What the restart policy says of a container that has exited.
bool WantsRestart(const View& view);
// What it says when the daemon starts: a stop by hand is no reason for
// "always", nor a start that failed for any.
bool WantsStart(const View& view);

// Follows the exits of this door's containers: starts again those whose policy
// says so (after 100 ms, doubled each time up to a minute, from the beginning
// once it ran for ten seconds), and winds up the others (SettleExit). When the
// daemon starts it does so for all that do not run, at once.
//
// One thread sees the exits, each of which is settled on its own; one starts.
// Thread-safe.
class RestartMonitor {
 public:
  explicit RestartMonitor(Engine& engine);
  ~RestartMonitor();
  RestartMonitor(const RestartMonitor&) = delete;
  RestartMonitor& operator=(const RestartMonitor&) = delete;

  // If the policy wants it: promises to start the container later. False
  // otherwise. The caller holds the lifecycle lock.
  bool Schedule(const View& view);
  // A person stopped it while it waited.
  void Forget(const std::string& id);
  // Between an exit and the start after it.
  bool Waiting(const std::string& id) const;

 private:
  struct Wait {
    SteadyTime due;
    Duration delay{0};
    bool pending = false;
  };

  void Promise(Wait& wait, Duration delay) REQUIRES(mutex_);
  void PromiseAtStart(const View& view);
  void FollowExits();
  void CatchUp();
  void Settle(const std::string& id);
  void StartDue();
  void StartOne(const std::string& id);

  Engine& engine_;
  const Context until_;
  const std::shared_ptr<sandbox::Subscription> subscription_;

  mutable Mutex mutex_;
  CondVar changed_;
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::map<std::string, Wait> waits_ GUARDED_BY(mutex_);
  std::thread exits_;
  std::thread starts_;
  Background settling_;
};

}  // namespace berth::docker

#endif  // DOCKER_RESTART_MONITOR_H_
