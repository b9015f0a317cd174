#ifndef SANDBOX_PROCESS_RUNNING_STARTS_H_
#define SANDBOX_PROCESS_RUNNING_STARTS_H_

#include <map>

#include "base/context.h"
#include "base/mutex.h"
#include "sandbox/ids.h"

namespace berth::sandbox {

// The containers that are being started, so that whoever ends one need not wait
// for what its start waits for: a mount whose server has died cannot be killed.
// Thread-safe.
class RunningStarts {
 public:
  // One start, with the container's lock held. Thread-compatible; the table
  // must outlive it.
  class Start {
   public:
    Start(RunningStarts& starts, const ContainerId& id, const Context& ctx)
        : starts_(starts), id_(id), ctx_(ctx.WithCancel()) {
      MutexLock lock(starts_.mutex_);
      starts_.contexts_.emplace(id_, ctx_);
    }
    ~Start() {
      MutexLock lock(starts_.mutex_);
      starts_.contexts_.erase(id_);
    }
    Start(const Start&) = delete;
    Start& operator=(const Start&) = delete;

    // Ends with the one it was made from, and by Cancel.
    const Context& ctx() const { return ctx_; }

   private:
    RunningStarts& starts_;
    const ContainerId id_;
    const Context ctx_;
  };

  // No effect if the container is not being started.
  void Cancel(const ContainerId& id) {
    MutexLock lock(mutex_);
    const auto it = contexts_.find(id);
    if (it != contexts_.end()) it->second.Cancel();
  }

 private:
  Mutex mutex_;
  std::map<ContainerId, Context> contexts_ GUARDED_BY(mutex_);
};

}  // namespace berth::sandbox

#endif  // SANDBOX_PROCESS_RUNNING_STARTS_H_
