#include "cri/worker_pool.h"

#include <pthread.h>

#include <chrono>
#include <thread>
#include <utility>

namespace berth::cri {
namespace {

constexpr auto kIdleTime = std::chrono::seconds(20);

}  // namespace

WorkerPool::WorkerPool(std::string name, size_t limit)
    : name_(name.substr(0, 15)), limit_(limit) {}

WorkerPool::~WorkerPool() {
  MutexLock lock(mutex_);
  ending_ = true;
  changed_.SignalAll();
  while (threads_ > 0) changed_.Wait(mutex_);
}

void WorkerPool::Run(std::function<void()> job) {
  MutexLock lock(mutex_);
  line_.push_back(std::move(job));
  if (idle_ >= line_.size() || threads_ >= limit_) {
    changed_.SignalAll();
    return;
  }
  ++threads_;
  // Detached: a thread that ends says so in threads_, as its last act under
  // the lock, and touches nothing of ours after it.
  std::thread([this] { Work(); }).detach();
}

size_t WorkerPool::load() const {
  MutexLock lock(mutex_);
  return threads_ - idle_ + line_.size();
}

void WorkerPool::Work() {
  pthread_setname_np(pthread_self(), name_.c_str());
  while (std::function<void()> job = Next()) job();
}

std::function<void()> WorkerPool::Next() {
  MutexLock lock(mutex_);
  const auto until = std::chrono::steady_clock::now() + kIdleTime;
  ++idle_;
  bool in_time = true;
  while (line_.empty() && !ending_ && in_time) {
    in_time = changed_.WaitUntil(mutex_, until);
  }
  --idle_;
  if (line_.empty()) {
    --threads_;
    changed_.SignalAll();
    return nullptr;
  }
  std::function<void()> job = std::move(line_.front());
  line_.pop_front();
  return job;
}

}  // namespace berth::cri
