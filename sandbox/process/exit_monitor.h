#ifndef SANDBOX_PROCESS_EXIT_MONITOR_H_
#define SANDBOX_PROCESS_EXIT_MONITOR_H_

#include <functional>
#include <memory>
#include <string>

#include "base/status.h"
#include "sandbox/ids.h"
#include "sandbox/process/workers.h"
#include "shim/shim.h"

namespace berth::sandbox {

// Why a sandbox cannot go on.
struct Loss {
  std::string reason;  // "ShimLost", "PodInitExited"
  Status why;
};

// Says how the first process of every running container ended, and when a
// sandbox has lost its shim or its pid 1: once for each Watch. What waits takes
// no thread; a handler runs on one of its own, as it may take its time.
//
// Thread-safe. Destroying it ends the waiting without a word.
class ExitMonitor {
 public:
  // Handlers may block, and run without any lock of ours held. An error
  // instead of an exit: the shim cannot say.
  using ExitHandler = std::function<void(
      const ContainerRun& run, const StatusOr<shim::ExitStatus>& exit)>;
  // `which` has expired if nobody uses that shim any more.
  using LossHandler = std::function<void(const SandboxId& id,
                                         const std::weak_ptr<shim::Shim>& which,
                                         const Loss& loss)>;

  ExitMonitor(ExitHandler on_exit, LossHandler on_loss);
  ~ExitMonitor();
  ExitMonitor(const ExitMonitor&) = delete;
  ExitMonitor& operator=(const ExitMonitor&) = delete;

  Status Start() { return workers_->Start(); }
  void Watch(const ContainerRun& run, shim::Task& task);
  void Watch(const SandboxId& id, const std::shared_ptr<shim::Shim>& shim);
  // Something else that no request waits for.
  void Run(Workers::Job job) { workers_->Run(std::move(job)); }
  // Ends all waiting and returns when no handler runs any more.
  void Stop() { workers_->Stop(); }

 private:
  const ExitHandler on_exit_;
  const LossHandler on_loss_;
  // Outlives the monitor, for those who still tell it something.
  const std::shared_ptr<Workers> workers_;
};

}  // namespace berth::sandbox

#endif  // SANDBOX_PROCESS_EXIT_MONITOR_H_
