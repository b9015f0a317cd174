#ifndef DOOR_WORKER_POOL_H_
#define DOOR_WORKER_POOL_H_

#include <chrono>
#include <cstddef>
#include <deque>
#include <map>
#include <string>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/status.h"

namespace berth::door {

// Threads for requests: one each, at most `limit` at work, the others wait in
// line. Threads are made when needed and end after a while without work, so
// that an idle daemon pays for none.
//
// Several pools keep one kind of request from starving another, and a share
// per key keeps one pod from starving the others. Thread-safe.
class WorkerPool {
 public:
  // One request. The pool never touches it after Work has begun: it may delete
  // itself. Thread-compatible: one thread of the pool calls Work, once.
  class Job {
   public:
    virtual void Work() = 0;

   protected:
    ~Job() = default;
  };

  struct Options {
    std::string name;  // of the threads, up to 15 characters
    size_t limit = 1;
    // At work for one key, see Run; 0: no such limit.
    size_t share = 0;
    // Threads that are made at once and stay. With any, work for which there
    // is no thread to be had waits for one of these.
    size_t resident = 0;
    // How long a thread waits for work before it ends.
    Duration idle_limit = std::chrono::seconds(20);
  };

  struct Load {
    std::string pool;    // its name
    size_t at_work = 0;  // threads that do not rest
    size_t waiting = 0;  // requests in line
  };

  explicit WorkerPool(Options options);
  // Waits for all work, also for what waits in line.
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // `key` is what has a share: a pod's id. RESOURCE_EXHAUSTED if there is no
  // thread to be had: the job will not run then.
  Status Run(Job* job, const std::string& key = "");
  // True if the job was still in line: it will not run then.
  bool Withdraw(const Job* job);

  // A thread that is being made is at work already.
  Load load() const;

 private:
  struct Waiting {
    Job* job;
    std::string key;
  };

  bool Ready(const Waiting& waiting) const REQUIRES(mutex_);
  // Of those in line, how many could be at work now.
  size_t ReadyCount() const REQUIRES(mutex_);
  Status AddThread() REQUIRES(mutex_);
  void Work();
  // Waits for the next; false when the thread has to end.
  bool Next(Waiting& next) EXCLUDES(mutex_);
  void Done(const std::string& key) EXCLUDES(mutex_);

  const Options options_;
  mutable Mutex mutex_;
  CondVar work_;   // for threads that rest
  CondVar ended_;  // a thread
  std::deque<Waiting> line_ GUARDED_BY(mutex_);
  std::map<std::string, size_t> at_work_ GUARDED_BY(mutex_);  // by key
  size_t threads_ GUARDED_BY(mutex_) = 0;
  size_t idle_ GUARDED_BY(mutex_) = 0;
  bool ending_ GUARDED_BY(mutex_) = false;
};

}  // namespace berth::door

#endif  // DOOR_WORKER_POOL_H_
