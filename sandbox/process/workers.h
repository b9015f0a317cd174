#ifndef SANDBOX_PROCESS_WORKERS_H_
#define SANDBOX_PROCESS_WORKERS_H_

#include <deque>
#include <functional>

#include "base/mutex.h"
#include "base/status.h"
#include "base/thread.h"

namespace berth::sandbox {

// Does what no request waits for: each job on a thread of its own, with a small
// stack, so that one that hangs keeps nobody else's waiting. If no thread can
// be had, jobs are done one after another by the one that gives them out.
//
// Thread-safe. Jobs may be given before Start, and are done after it.
class Workers {
 public:
  using Job = std::function<void()>;

  Workers() = default;
  ~Workers() { Stop(); }
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  Status Start();
  // Never waits. No effect after Stop.
  void Run(Job job);
  // Drops what has not begun and returns when no job runs any more.
  void Stop();

 private:
  void Dispatch();
  void Do(Job job);

  Mutex mutex_;
  CondVar changed_;
  std::deque<Job> jobs_ GUARDED_BY(mutex_);
  int running_ GUARDED_BY(mutex_) = 0;
  bool stopped_ GUARDED_BY(mutex_) = false;
  Thread dispatcher_;
};

}  // namespace berth::sandbox

#endif  // SANDBOX_PROCESS_WORKERS_H_
