#include "door/worker_pool.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/thread.h"

namespace berth::door {

WorkerPool::WorkerPool(Options options) : options_(std::move(options)) {
  MutexLock lock(mutex_);
  // If there are none to be had now, Run tries again.
  while (threads_ < options_.resident && AddThread().ok()) {
  }
}

WorkerPool::~WorkerPool() {
  MutexLock lock(mutex_);
  ending_ = true;
  work_.SignalAll();
  while (threads_ > 0) ended_.Wait(mutex_);
}

Status WorkerPool::Run(Job* job, const std::string& key) {
  MutexLock lock(mutex_);
  line_.push_back({job, key});
  if (Ready(line_.back()) && idle_ < ReadyCount() &&
      threads_ < options_.limit) {
    const Status added = AddThread();
    if (!added.ok() && (options_.resident == 0 || threads_ == 0)) {
      line_.pop_back();
      return added;
    }
  }
  work_.Signal();
  return OkStatus();
}

bool WorkerPool::Withdraw(const Job* job) {
  MutexLock lock(mutex_);
  return std::erase_if(line_, [&](const Waiting& waiting) {
           return waiting.job == job;
         }) > 0;
}

WorkerPool::Load WorkerPool::load() const {
  MutexLock lock(mutex_);
  return {options_.name, threads_ - idle_, line_.size()};
}

bool WorkerPool::Ready(const Waiting& waiting) const {
  if (options_.share == 0 || waiting.key.empty()) return true;
  const auto found = at_work_.find(waiting.key);
  return found == at_work_.end() || found->second < options_.share;
}

size_t WorkerPool::ReadyCount() const {
  return static_cast<size_t>(
      std::count_if(line_.begin(), line_.end(),
                    [this](const Waiting& waiting)
                        NO_THREAD_SAFETY_ANALYSIS { return Ready(waiting); }));
}

Status WorkerPool::AddThread() {
  StatusOr<Thread> thread = StartThread(options_.name, [this] { Work(); });
  if (!thread.ok()) return thread.status();
  // A thread that ends says so in threads_, as its last act under the lock,
  // and touches nothing of ours after it.
  thread->Detach();
  ++threads_;
  return OkStatus();
}

void WorkerPool::Work() {
  Waiting next;
  while (Next(next)) {
    next.job->Work();
    Done(next.key);
  }
}

bool WorkerPool::Next(Waiting& next) {
  MutexLock lock(mutex_);
  const auto until = std::chrono::steady_clock::now() + options_.idle_limit;
  ++idle_;
  bool in_time = true;
  while (true) {
    const auto first =
        std::find_if(line_.begin(), line_.end(),
                     [this](const Waiting& waiting)
                         NO_THREAD_SAFETY_ANALYSIS { return Ready(waiting); });
    if (first != line_.end()) {
      next = std::move(*first);
      line_.erase(first);
      --idle_;
      if (!next.key.empty()) ++at_work_[next.key];
      return true;
    }
    // What is in line and not ready has a thread that will take it: the one
    // that makes it ready.
    if (ending_ || !in_time) break;
    if (threads_ <= options_.resident) {
      work_.Wait(mutex_);
    } else {
      in_time = work_.WaitUntil(mutex_, until);
    }
  }
  --idle_;
  --threads_;
  ended_.SignalAll();
  return false;
}

void WorkerPool::Done(const std::string& key) {
  if (key.empty()) return;
  MutexLock lock(mutex_);
  const auto found = at_work_.find(key);
  if (--found->second == 0) at_work_.erase(found);
}

}  // namespace berth::door
