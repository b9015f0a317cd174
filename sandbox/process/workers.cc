#include "sandbox/process/workers.h"

#include <memory>
#include <utility>

#include "absl/cleanup/cleanup.h"

namespace berth::sandbox {
namespace {

// Room for a job (it saves a record); most of it is never touched.
constexpr size_t kStackBytes = 256 << 10;

}  // namespace

Status Workers::Start() {
  ASSIGN_OR_RETURN(dispatcher_, StartThread("workers", [this] { Dispatch(); }));
  return OkStatus();
}

void Workers::Run(Job job) {
  MutexLock lock(mutex_);
  if (stopped_) return;
  jobs_.push_back(std::move(job));
  changed_.SignalAll();
}

void Workers::Stop() {
  std::deque<Job> dropped;  // destroyed outside of the lock
  {
    MutexLock lock(mutex_);
    stopped_ = true;
    dropped.swap(jobs_);
    changed_.SignalAll();
  }
  dispatcher_.Join();
  MutexLock lock(mutex_);
  while (running_ > 0) changed_.Wait(mutex_);
}

void Workers::Dispatch() {
  while (true) {
    auto job = std::make_shared<Job>();
    {
      MutexLock lock(mutex_);
      while (jobs_.empty() && !stopped_) changed_.Wait(mutex_);
      if (stopped_) return;
      *job = std::move(jobs_.front());
      jobs_.pop_front();
      ++running_;
    }
    StatusOr<Thread> thread = StartThread(
        "worker", [this, job] { Do(std::move(*job)); }, kStackBytes);
    if (thread.ok()) {
      thread->Detach();
    } else {
      Do(std::move(*job));
    }
  }
}

void Workers::Do(Job job) {
  // Also if it throws.
  const absl::Cleanup end = [this] {
    MutexLock lock(mutex_);
    --running_;
    changed_.SignalAll();
  };
  job();
  job = nullptr;  // with all that it holds
}

}  // namespace berth::sandbox
