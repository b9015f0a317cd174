#ifndef DOCKER_HEALTH_MONITOR_H_
#define DOCKER_HEALTH_MONITOR_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/context.h"
#include "base/mutex.h"
#include "base/thread.h"
#include "docker/background.h"
#include "docker/convert/healthcheck.h"
#include "docker/notes.h"
#include "sandbox/event_bus.h"

namespace berth::docker {

struct Engine;

// Runs the healthchecks of this door's containers while they run and are not
// paused: the first an interval after the start, each next an interval after
// the end of the one before. What they find is told as events, and is forgotten
// with this process: after a restart of the daemon a container is "starting"
// until its next check, as with dockerd.
//
// One thread follows the containers and sleeps until a check is due; checks run
// on threads of their own, so many at a time, each with its own limit of time:
// one that hangs costs its own container alone. Thread-safe.
class HealthMonitor {
 public:
  explicit HealthMonitor(Engine& engine);
  ~HealthMonitor();
  HealthMonitor(const HealthMonitor&) = delete;
  HealthMonitor& operator=(const HealthMonitor&) = delete;

  // Of the container's last or present life; nothing without a healthcheck.
  std::optional<Health> Of(const std::string& id) const;

 private:
  struct Watch {
    Healthcheck check;
    Health health;
    UnixNanos started = 0;  // names the life of the container
    SteadyTime due;
    bool active = false;  // it runs and is not paused
    bool checking = false;
  };

  void Follow();
  Context UntilDue() EXCLUDES(mutex_);
  void CatchUp();
  void Look(const std::string& id) EXCLUDES(mutex_);
  void Plan(Watch& watch) REQUIRES(mutex_);
  void CheckDue() EXCLUDES(mutex_);
  void CheckOne(const Context& ctx, const std::string& id, UnixNanos started,
                const Healthcheck& check) EXCLUDES(mutex_);

  Engine& engine_;
  const Context until_;
  const std::shared_ptr<sandbox::Subscription> subscription_;

  mutable Mutex mutex_;
  std::map<std::string, Watch> watches_ GUARDED_BY(mutex_);
  Context changed_ GUARDED_BY(mutex_);  // cancelled by an earlier due time
  Background checking_;
  StatusOr<Thread> follower_;  // last: it uses the others
};

}  // namespace berth::docker

#endif  // DOCKER_HEALTH_MONITOR_H_
