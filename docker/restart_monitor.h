#ifndef DOCKER_RESTART_MONITOR_H_
#define DOCKER_RESTART_MONITOR_H_

#include <map>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/context.h"
#include "base/mutex.h"
#include "base/thread.h"
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
// once it ran for ten seconds), and winds up the others (SettleExit), again and
// again if that fails, after a second, doubled up to a minute. A start that
// fails for want of what may come back, room on the disk above all, is tried
// again. When the daemon starts it does so for all that do not run, at once,
// but for those that link to another that waits: they come after it.
//
// One thread sees the exits and knows what is due next; it sleeps until then.
// Each exit is settled, and each container started, on a thread of its own, so
// that a start that hangs costs its container only. Thread-safe.
class RestartMonitor {
 public:
  explicit RestartMonitor(Engine& engine);
  ~RestartMonitor();
  RestartMonitor(const RestartMonitor&) = delete;
  RestartMonitor& operator=(const RestartMonitor&) = delete;

  // For what goes on although nobody waits for it: until Stop.
  const Context& until() const { return until_; }
  // The daemon ends: nothing is begun any more, and what waits does no longer.
  void Stop() { until_.Cancel(); }

  // If the policy wants it: promises to start the container later. False
  // otherwise. The caller holds the lifecycle lock.
  bool Schedule(const View& view);
  // A person stopped it while it waited.
  void Forget(const std::string& id);
  // Between an exit and the start after it.
  bool Waiting(const std::string& id) const;

  // A restart by hand ends it and starts it again: the exit in between is not
  // to be settled, until as many Release follow.
  void Expect(const std::string& id);
  void Release(const std::string& id);
  bool Expected(const std::string& id) const;
  // Whether one that has exited starts again, by its policy or by hand.
  bool WillRestart(const std::string& id) const;

  // What follows its end could not be done: it is tried again later.
  void SettleLater(const std::string& id);
  // That is done, or there is nothing to do.
  void Settled(const std::string& id);

 private:
  struct Wait {
    SteadyTime due;
    Duration delay{0};
    bool pending = false;
    bool starting = false;
    int postponed = 0;
  };

  struct Unsettled {
    SteadyTime due;
    Duration delay{0};
    bool pending = false;  // otherwise it is being tried
  };

  void Promise(Wait& wait, Duration delay) REQUIRES(mutex_);
  void PromiseAtStart(const View& view);
  void EnsureThread() REQUIRES(mutex_);
  void Follow();
  // Until something is due; ends as well when that changes.
  Context UntilDue() EXCLUDES(mutex_);
  void CatchUp();
  void Settle(const std::string& id);
  void StartDue();
  void SettleDue();
  void StartOne(const std::string& id);
  bool Postpone(const View& view) EXCLUDES(mutex_);

  Engine& engine_;
  const Context until_;
  const std::shared_ptr<sandbox::Subscription> subscription_;

  mutable Mutex mutex_;
  std::map<std::string, Wait> waits_ GUARDED_BY(mutex_);
  std::map<std::string, int> expected_ GUARDED_BY(mutex_);
  std::map<std::string, Unsettled> unsettled_ GUARDED_BY(mutex_);
  Context changed_ GUARDED_BY(mutex_);  // cancelled by an earlier due time
  Thread follower_ GUARDED_BY(mutex_);
  Background working_;
};

}  // namespace berth::docker

#endif  // DOCKER_RESTART_MONITOR_H_
