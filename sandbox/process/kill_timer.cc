#include "sandbox/process/kill_timer.h"

#include <algorithm>
#include <utility>

namespace berth::sandbox {

KillTimer::KillTimer(Kill kill)
    : kill_(std::move(kill)), thread_([this] { Run(); }) {}

KillTimer::~KillTimer() { Stop(); }

void KillTimer::Arm(const ContainerId& id, SteadyTime deadline) {
  MutexLock lock(mutex_);
  const auto [it, inserted] = deadlines_.try_emplace(id, deadline);
  if (!inserted) it->second = std::min(it->second, deadline);
  changed_.Signal();
}

void KillTimer::Disarm(const ContainerId& id) {
  MutexLock lock(mutex_);
  deadlines_.erase(id);
}

void KillTimer::Stop() {
  {
    MutexLock lock(mutex_);
    stopped_ = true;
    changed_.Signal();
  }
  if (thread_.joinable()) thread_.join();
}

void KillTimer::Run() {
  while (true) {
    ContainerId due;
    {
      MutexLock lock(mutex_);
      while (due.empty()) {
        if (stopped_) return;
        const auto next = std::min_element(
            deadlines_.begin(), deadlines_.end(),
            [](const auto& a, const auto& b) { return a.second < b.second; });
        if (next == deadlines_.end()) {
          changed_.Wait(mutex_);
        } else if (next->second > std::chrono::steady_clock::now()) {
          changed_.WaitUntil(mutex_, next->second);
        } else {
          due = next->first;
          deadlines_.erase(next);
        }
      }
    }
    kill_(due);
  }
}

}  // namespace berth::sandbox
