#include "nri/jobs.h"

#include <utility>

#include "base/thread.h"

namespace berth::nri {

bool Jobs::Run(std::function<void()> job) {
  {
    MutexLock lock(mutex_);
    if (stopped_ || running_ >= limit_) return false;
    ++running_;
  }
  StatusOr<Thread> thread =
      StartThread("nri-job", [this, job = std::move(job)]() mutable {
        job();
        job = nullptr;  // what it holds goes before Stop returns
        End();
      });
  if (thread.ok()) {
    thread->Detach();
    return true;
  }
  End();
  return false;
}

void Jobs::End() {
  MutexLock lock(mutex_);
  --running_;
  ended_.SignalAll();
}

void Jobs::Stop() {
  MutexLock lock(mutex_);
  stopped_ = true;
  while (running_ > 0) ended_.Wait(mutex_);
}

}  // namespace berth::nri
