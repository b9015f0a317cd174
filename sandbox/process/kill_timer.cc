#include "sandbox/process/kill_timer.h"

#include <algorithm>
#include <utility>

namespace berth::sandbox {

KillTimer::KillTimer(Duration silence, Handlers handlers)
    : silence_(silence), handlers_(std::move(handlers)) {}

KillTimer::~KillTimer() { Stop(); }

Status KillTimer::Start() {
  ASSIGN_OR_RETURN(thread_, StartThread("kill-timer", [this] { Run(); }));
  return OkStatus();
}

SteadyTime KillTimer::AfterSilence() const {
  return std::chrono::steady_clock::now() +
         std::chrono::duration_cast<SteadyTime::duration>(silence_);
}

void KillTimer::Arm(const ContainerId& id, SteadyTime deadline) {
  MutexLock lock(mutex_);
  const auto [it, inserted] = entries_.try_emplace(id, Entry{deadline});
  if (!inserted && it->second.rounds < 0) {
    it->second.due = std::min(it->second.due, deadline);
  }
  changed_.Signal();
}

void KillTimer::Killed(const ContainerId& id) {
  MutexLock lock(mutex_);
  Entry& entry = entries_[id];
  if (entry.rounds >= 0) return;
  entry = Entry{AfterSilence(), 0};
  changed_.Signal();
}

void KillTimer::Disarm(const ContainerId& id) {
  MutexLock lock(mutex_);
  entries_.erase(id);
}

void KillTimer::Stop() {
  {
    MutexLock lock(mutex_);
    stopped_ = true;
    changed_.Signal();
  }
  thread_.Join();
}

void KillTimer::Run() {
  while (true) {
    ContainerId id;
    int rounds = 0;
    {
      MutexLock lock(mutex_);
      while (id.empty()) {
        if (stopped_) return;
        const auto next = std::min_element(entries_.begin(), entries_.end(),
                                           [](const auto& a, const auto& b) {
                                             return a.second.due < b.second.due;
                                           });
        if (next == entries_.end()) {
          changed_.Wait(mutex_);
        } else if (next->second.due > std::chrono::steady_clock::now()) {
          changed_.WaitUntil(mutex_, next->second.due);
        } else {
          id = next->first;
          rounds = ++next->second.rounds;
          next->second.due = AfterSilence();
        }
      }
    }
    if (rounds == 0) {
      handlers_.kill(id);
    } else {
      handlers_.overdue(id, rounds);
    }
  }
}

}  // namespace berth::sandbox
