#ifndef NRI_JOBS_H_
#define NRI_JOBS_H_

#include <functional>

#include "base/mutex.h"

namespace berth::nri {

// Work that takes its time, each on a thread that lives for it alone: a
// plugin's registration, what a plugin asks for by itself. At most so many at
// once, as plugins say how many there are. Thread-safe.
class Jobs {
 public:
  explicit Jobs(int limit) : limit_(limit) {}
  ~Jobs() { Stop(); }
  Jobs(const Jobs&) = delete;
  Jobs& operator=(const Jobs&) = delete;

  // False if there are too many, no thread can be had, or after Stop. Never
  // waits.
  bool Run(std::function<void()> job) EXCLUDES(mutex_);
  // Returns when none runs any more.
  void Stop() EXCLUDES(mutex_);

 private:
  void End() EXCLUDES(mutex_);

  const int limit_;
  Mutex mutex_;
  CondVar ended_;
  int running_ GUARDED_BY(mutex_) = 0;
  bool stopped_ GUARDED_BY(mutex_) = false;
};

}  // namespace berth::nri

#endif  // NRI_JOBS_H_
