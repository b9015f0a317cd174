#ifndef NRI_LOOP_THREAD_H_
#define NRI_LOOP_THREAD_H_

#include <memory>
#include <vector>

#include "base/io/event_loop.h"
#include "base/mutex.h"
#include "base/status.h"
#include "base/thread.h"
#include "base/unique_fd.h"

namespace berth::nri {

// An event loop on a thread of its own, which others give work to. Sleeps while
// nothing happens. Thread-safe, but for what Do's actions are handed.
class LoopThread {
 public:
  using Work = std::function<void(EventLoop& loop)>;

  static StatusOr<std::unique_ptr<LoopThread>> Start();
  // Ends the thread; work that has not begun is dropped.
  ~LoopThread();
  LoopThread(const LoopThread&) = delete;
  LoopThread& operator=(const LoopThread&) = delete;

  // On the loop's thread, soon, in the order of the calls. Must not wait.
  void Do(Work work) EXCLUDES(mutex_);

 private:
  LoopThread(std::unique_ptr<EventLoop> loop, UniqueFd wake);
  void TakeWork() EXCLUDES(mutex_);

  const std::unique_ptr<EventLoop> loop_;
  const UniqueFd wake_;
  Mutex mutex_;
  std::vector<Work> work_ GUARDED_BY(mutex_);
  Thread thread_;
};

}  // namespace berth::nri

#endif  // NRI_LOOP_THREAD_H_
