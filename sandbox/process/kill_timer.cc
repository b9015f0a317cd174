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

KillTimer::Entry* KillTimer::NotKilled(const ContainerRun& run) {
  Entry& entry = entries_.try_emplace(run.id, Entry{run.number}).first->second;
  if (entry.run < run.number) entry = Entry{run.number};
  return entry.run > run.number || entry.rounds >= 0 ? nullptr : &entry;
}

void KillTimer::Arm(const ContainerRun& run, SteadyTime deadline) {
  MutexLock lock(mutex_);
  Entry* const entry = NotKilled(run);
  if (entry == nullptr) return;
  entry->due = std::min(entry->due, deadline);
  changed_.Signal();
}

void KillTimer::Killed(const ContainerRun& run) {
  MutexLock lock(mutex_);
  Entry* const entry = NotKilled(run);
  if (entry == nullptr) return;
  entry->due = AfterSilence();
  entry->rounds = 0;
  changed_.Signal();
}

void KillTimer::Disarm(const ContainerRun& run) {
  MutexLock lock(mutex_);
  const auto it = entries_.find(run.id);
  if (it != entries_.end() && it->second.run <= run.number) entries_.erase(it);
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
    ContainerRun run;
    int rounds = 0;
    {
      MutexLock lock(mutex_);
      while (run.id.empty()) {
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
          run = {next->first, next->second.run};
          rounds = ++next->second.rounds;
          next->second.due = AfterSilence();
        }
      }
    }
    if (rounds == 0) {
      handlers_.kill(run);
    } else {
      handlers_.overdue(run, rounds);
    }
  }
}

}  // namespace berth::sandbox
