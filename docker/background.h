#ifndef DOCKER_BACKGROUND_H_
#define DOCKER_BACKGROUND_H_

#include <functional>
#include <thread>
#include <utility>

#include "base/context.h"
#include "base/mutex.h"

namespace berth::docker {

// Threads that no request waits for: each gets a context that ends with this
// object, which waits for them all. Thread-safe.
class Background {
 public:
  Background() : until_(Context::Background("docker").WithCancel()) {}
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;
  ~Background() {
    until_.Cancel();
    MutexLock lock(mutex_);
    while (running_ > 0) ended_.Wait(mutex_);
  }

  void Run(std::function<void(const Context&)> work) {
    {
      MutexLock lock(mutex_);
      ++running_;
    }
    std::thread([this, work = std::move(work)]() mutable {
      work(until_);
      work = nullptr;  // what it holds may need what we are part of
      MutexLock lock(mutex_);
      --running_;
      ended_.SignalAll();
    }).detach();
  }

 private:
  const Context until_;
  Mutex mutex_;
  CondVar ended_;
  int running_ GUARDED_BY(mutex_) = 0;
};

}  // namespace berth::docker

#endif  // DOCKER_BACKGROUND_H_
