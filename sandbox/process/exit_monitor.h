#ifndef SANDBOX_PROCESS_EXIT_MONITOR_H_
#define SANDBOX_PROCESS_EXIT_MONITOR_H_

#include <functional>
#include <memory>
#include <thread>

#include "base/status.h"
#include "sandbox/ids.h"
#include "shim/shim.h"

namespace berth::sandbox {

// Says how the first process of every running container ended, and when a
// shim is gone: once for each Watch. What waits takes no thread; a handler runs
// on one of its own, with a small stack, as it may take its time.
//
// Thread-safe. Destroying it ends the waiting without a word.
class ExitMonitor {
 public:
  // Handlers may block, and run without any lock of ours held. An error
  // instead of an exit: the shim cannot say.
  using ExitHandler = std::function<void(
      const ContainerId& id, const StatusOr<shim::ExitStatus>& exit)>;
  // `which` has expired if nobody uses that shim any more.
  using LossHandler = std::function<void(const SandboxId& id,
                                         const std::weak_ptr<shim::Shim>& which,
                                         const Status& why)>;

  ExitMonitor(ExitHandler on_exit, LossHandler on_loss);
  ~ExitMonitor();
  ExitMonitor(const ExitMonitor&) = delete;
  ExitMonitor& operator=(const ExitMonitor&) = delete;

  void Watch(const ContainerId& id, shim::Task& task);
  void Watch(const SandboxId& id, const std::shared_ptr<shim::Shim>& shim);
  // Ends all waiting and returns when no handler runs any more.
  void Stop();

 private:
  // What has happened and has no thread yet. Outlives the monitor, for those
  // who still tell it something.
  class Queue;

  const ExitHandler on_exit_;
  const LossHandler on_loss_;
  const std::shared_ptr<Queue> queue_;
  std::thread dispatcher_;
};

}  // namespace berth::sandbox

#endif  // SANDBOX_PROCESS_EXIT_MONITOR_H_
