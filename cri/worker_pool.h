#ifndef CRI_WORKER_POOL_H_
#define CRI_WORKER_POOL_H_

#include <cstddef>
#include <deque>
#include <functional>
#include <string>

#include "base/mutex.h"

namespace berth::cri {

// Threads for requests: one each, at most `limit` at work, the others wait in
// line. Threads are made when needed and end after a while without work, so
// that an idle daemon pays for none.
//
// Two pools keep one kind of request from starving another (exec probes).
// Thread-safe.
class WorkerPool {
 public:
  // `name` is that of the threads, up to 15 characters.
  WorkerPool(std::string name, size_t limit);
  // Waits for all work, also for what waits in line.
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  void Run(std::function<void()> job);

  size_t limit() const { return limit_; }
  // At work or waiting in line.
  size_t load() const;

 private:
  void Work();
  // The next job; none when the thread has to end.
  std::function<void()> Next() EXCLUDES(mutex_);

  const std::string name_;
  const size_t limit_;
  mutable Mutex mutex_;
  CondVar changed_;
  std::deque<std::function<void()>> line_ GUARDED_BY(mutex_);
  size_t threads_ GUARDED_BY(mutex_) = 0;
  size_t idle_ GUARDED_BY(mutex_) = 0;
  bool ending_ GUARDED_BY(mutex_) = false;
};

}  // namespace berth::cri

#endif  // CRI_WORKER_POOL_H_
