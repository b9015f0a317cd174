#ifndef SANDBOX_PROCESS_KILL_TIMER_H_
#define SANDBOX_PROCESS_KILL_TIMER_H_

#include <functional>
#include <map>
#include <thread>

#include "base/clock.h"
#include "base/mutex.h"
#include "sandbox/ids.h"

namespace berth::sandbox {

// When each container that is being stopped runs out of grace. The kill does
// not depend on the request that asked for it: its caller may go away, and a
// later, harder Stop shortens the time. Thread-safe; one thread of its own.
class KillTimer {
 public:
  // Called at the deadline, without a lock; may block for a moment.
  using Kill = std::function<void(const ContainerId& id)>;

  explicit KillTimer(Kill kill);
  ~KillTimer();
  KillTimer(const KillTimer&) = delete;
  KillTimer& operator=(const KillTimer&) = delete;

  // Not later than `deadline`; an earlier one stays.
  void Arm(const ContainerId& id, SteadyTime deadline);
  void Disarm(const ContainerId& id);
  void Stop();

 private:
  void Run();

  const Kill kill_;
  Mutex mutex_;
  CondVar changed_;
  std::map<ContainerId, SteadyTime> deadlines_ GUARDED_BY(mutex_);
  bool stopped_ GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace berth::sandbox

#endif  // SANDBOX_PROCESS_KILL_TIMER_H_
