#ifndef SANDBOX_PROCESS_KILL_TIMER_H_
#define SANDBOX_PROCESS_KILL_TIMER_H_

#include <cstdint>
#include <functional>
#include <map>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/status.h"
#include "base/thread.h"
#include "sandbox/ids.h"

namespace berth::sandbox {

// When each container that is being stopped runs out of grace, and when one
// that was killed should have exited. The kill does not depend on the request
// that asked for it: its caller may go away, and a later, harder Stop shortens
// the time.
//
//   Arm --(deadline)--> kill, or Killed --(silence)--> overdue, again and again
//
// until Disarm, or until something is said of a later run of the container;
// what is said of an earlier one has no effect. Thread-safe; one thread of its
// own, which sleeps until something is due.
class KillTimer {
 public:
  struct Handlers {
    // Called without a lock; must not block.
    std::function<void(const ContainerRun& run)> kill;
    // `rounds`: how many silences have passed since the kill, from 1.
    std::function<void(const ContainerRun& run, int rounds)> overdue;
  };

  KillTimer(Duration silence, Handlers handlers);
  ~KillTimer();
  KillTimer(const KillTimer&) = delete;
  KillTimer& operator=(const KillTimer&) = delete;

  Status Start();
  // Not later than `deadline`; an earlier one stays.
  void Arm(const ContainerRun& run, SteadyTime deadline);
  // It has been killed now; the first such call counts.
  void Killed(const ContainerRun& run);
  void Disarm(const ContainerRun& run);
  void Stop();

 private:
  struct Entry {
    uint64_t run = 0;
    SteadyTime due = SteadyTime::max();
    int rounds = -1;  // -1: not killed yet
  };
  // Null if there is one of a later run, or this run was killed already.
  Entry* NotKilled(const ContainerRun& run) REQUIRES(mutex_);
  void Run();
  SteadyTime AfterSilence() const;

  const Duration silence_;
  const Handlers handlers_;
  Mutex mutex_;
  CondVar changed_;
  std::map<ContainerId, Entry> entries_ GUARDED_BY(mutex_);
  bool stopped_ GUARDED_BY(mutex_) = false;
  Thread thread_;
};

}  // namespace berth::sandbox

#endif  // SANDBOX_PROCESS_KILL_TIMER_H_
