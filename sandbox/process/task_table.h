#ifndef SANDBOX_PROCESS_TASK_TABLE_H_
#define SANDBOX_PROCESS_TASK_TABLE_H_

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "base/mutex.h"
#include "sandbox/ids.h"
#include "shim/shim.h"

namespace berth::sandbox {

// A container's first process, with the connection that reaches it.
class LiveTask {
 public:
  LiveTask(std::shared_ptr<shim::Shim> shim, std::unique_ptr<shim::Task> task)
      : shim_(std::move(shim)), task_(std::move(task)) {}

  shim::Task& task() const { return *task_; }
  shim::Shim& shim() const { return *shim_; }

 private:
  // A task must not outlive its shim's connection: this order.
  const std::shared_ptr<shim::Shim> shim_;
  const std::unique_ptr<shim::Task> task_;
};

// The tasks of all containers that have one. Thread-safe.
class TaskTable {
 public:
  // Null if there is none.
  std::shared_ptr<LiveTask> Find(const ContainerId& id) const {
    MutexLock lock(mutex_);
    const auto it = tasks_.find(id);
    return it == tasks_.end() ? nullptr : it->second;
  }
  void Put(const ContainerId& id, std::shared_ptr<LiveTask> task) {
    MutexLock lock(mutex_);
    tasks_[id] = std::move(task);
  }
  void Erase(const ContainerId& id) {
    std::shared_ptr<LiveTask> last;  // destroyed outside of the lock
    MutexLock lock(mutex_);
    const auto it = tasks_.find(id);
    if (it == tasks_.end()) return;
    last = std::move(it->second);
    tasks_.erase(it);
  }

 private:
  mutable Mutex mutex_;
  std::map<ContainerId, std::shared_ptr<LiveTask>> tasks_ GUARDED_BY(mutex_);
};

}  // namespace berth::sandbox

#endif  // SANDBOX_PROCESS_TASK_TABLE_H_
