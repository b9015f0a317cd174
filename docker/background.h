#ifndef DOCKER_BACKGROUND_H_
#define DOCKER_BACKGROUND_H_

#include <cstddef>
#include <deque>
#include <functional>

#include "base/context.h"
#include "base/mutex.h"
#include "base/status.h"
#include "base/thread.h"

namespace berth::docker {

// Work that no request waits for, each piece on a thread of its own with a
// context that ends with this object, which waits for all of it. Work for
// which there is no thread to be had, or more than `limit`, waits in line for
// one. Thread-safe.
class Background {
 public:
  using Work = std::function<void(const Context&)>;

  explicit Background(size_t limit = 1024);
  ~Background();
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  void Run(Work work) EXCLUDES(mutex_);

 private:
  bool WantsThread() const REQUIRES(mutex_);
  Status AddThread() REQUIRES(mutex_);
  void RunOne() EXCLUDES(mutex_);
  bool Next(Work& work) EXCLUDES(mutex_);
  // Tries again while there is work in line and no thread comes for it.
  void Retry() EXCLUDES(mutex_);

  const size_t limit_;
  const Context until_;
  Mutex mutex_;
  CondVar changed_;
  std::deque<Work> line_ GUARDED_BY(mutex_);
  size_t running_ GUARDED_BY(mutex_) = 0;
  size_t coming_ GUARDED_BY(mutex_) = 0;  // that have no work yet
  // Made with this object, so that it is there when no thread can be made.
  StatusOr<Thread> retry_;
};

}  // namespace berth::docker

#endif  // DOCKER_BACKGROUND_H_
