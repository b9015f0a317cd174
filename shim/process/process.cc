#include "shim/process/process.h"

#include "base/sys/process.h"

namespace berth::shim {

void Process::Wait(Waiter waiter) {
  if (stopped()) return waiter.done(exit_);
  // Those who gave up must not gather through a long life.
  std::erase_if(waiters_, [](const Waiter& each) { return !each.alive(); });
  waiters_.push_back(std::move(waiter));
}

void Process::SetExited(const Reaper::Exit& exit) {
  phase_ = TaskPhase::kStopped;
  starting_ = false;
  reaped.reset();
  exit_.code = static_cast<uint32_t>(ExitCodeOf(exit.wait_status));
  exit_.at = exit.at;
}

void Process::TellWaiters() { Tell(exit_); }

void Process::Forsake(const Status& why) { Tell(why); }

void Process::Tell(const StatusOr<ExitStatus>& exit) {
  const std::vector<Waiter> waiters = std::exchange(waiters_, {});
  for (const Waiter& waiter : waiters) waiter.done(exit);
}

}  // namespace berth::shim
