#ifndef SANDBOX_TASK_EXIT_MONITOR_H_
#define SANDBOX_TASK_EXIT_MONITOR_H_

#include <functional>
#include <memory>

#include "base/context.h"
#include "base/mutex.h"
#include "base/status.h"
#include "sandbox/ids.h"
#include "sandbox/task/task_table.h"
#include "shim/shim.h"

namespace berth::sandbox {

// Waits for the first process of every running container and says how it
// ended: once for each Watch, on a thread of its own with a small stack (the
// task API's Wait blocks).
//
// Thread-safe. Destroying it ends the waiting without a word.
class ExitMonitor {
 public:
  // An error instead of an exit: the shim is lost. May block; runs without any
  // lock of ours held.
  using Handler = std::function<void(const ContainerId& id,
                                     const StatusOr<shim::ExitStatus>& exit)>;

  explicit ExitMonitor(Handler handler);
  ~ExitMonitor();
  ExitMonitor(const ExitMonitor&) = delete;
  ExitMonitor& operator=(const ExitMonitor&) = delete;

  // INTERNAL when no thread can be made.
  Status Watch(const ContainerId& id, std::shared_ptr<LiveTask> task);
  // Ends all waiting and returns when no handler runs any more.
  void Stop();

 private:
  struct Watcher;
  static void* Run(void* watcher);

  const Handler handler_;
  const Context context_;
  Mutex mutex_;
  CondVar idle_;
  int running_ GUARDED_BY(mutex_) = 0;
  bool stopped_ GUARDED_BY(mutex_) = false;
};

}  // namespace berth::sandbox

#endif  // SANDBOX_TASK_EXIT_MONITOR_H_
