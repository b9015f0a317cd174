#include "docker/background.h"

#include <chrono>
#include <utility>

#include "base/clock.h"
#include "base/contain.h"

namespace berth::docker {
namespace {

constexpr Duration kRetryPause = std::chrono::milliseconds(500);

}  // namespace

Background::Background(size_t limit)
    : limit_(limit),
      until_(Context::Background("docker").WithCancel()),
      retry_(StartThread("retry", [this] { Retry(); })) {}

Background::~Background() {
  until_.Cancel();
  if (retry_.ok()) retry_->Join();
  // Work in line is done too: it sees the context's end.
  Work work;
  while (Next(work)) {
    work(until_);
    work = nullptr;
  }
  MutexLock lock(mutex_);
  while (running_ > 0) changed_.Wait(mutex_);
}

void Background::Run(Work work) {
  MutexLock lock(mutex_);
  line_.push_back(std::move(work));
  if (WantsThread() && !AddThread().ok()) changed_.SignalAll();
}

bool Background::WantsThread() const {
  return line_.size() > coming_ && running_ < limit_;
}

Status Background::AddThread() {
  StatusOr<Thread> thread = StartThread("background", [this] { RunOne(); });
  if (!thread.ok()) return thread.status();
  thread->Detach();
  ++running_;
  ++coming_;
  return OkStatus();
}

void Background::RunOne() {
  {
    MutexLock lock(mutex_);
    --coming_;
  }
  Work work;
  while (Next(work)) {
    (void)Contain([&] {
      work(until_);
      return OkStatus();
    });
    work = nullptr;  // what it holds may need what we are part of
  }
  MutexLock lock(mutex_);
  --running_;
  changed_.SignalAll();
}

bool Background::Next(Work& work) {
  MutexLock lock(mutex_);
  if (line_.empty()) return false;
  work = std::move(line_.front());
  line_.pop_front();
  return true;
}

void Background::Retry() {
  MutexLock lock(mutex_);
  while (until_
             .Await(mutex_, changed_,
                    [this]()
                        NO_THREAD_SAFETY_ANALYSIS { return WantsThread(); })
             .ok()) {
    if (AddThread().ok()) continue;
    // Nothing to wait for but time.
    (void)until_.WithTimeout(kRetryPause).Await(mutex_, changed_, [] {
      return false;
    });
  }
}

}  // namespace berth::docker
