#ifndef SHIM_PROCESS_PROCESS_H_
#define SHIM_PROCESS_PROCESS_H_

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "shim/process/reaper.h"
#include "shim/process/stdio.h"
#include "shim/shim.h"

namespace berth::shim {

// One process of a container: its init or an exec. What the shim knows of it
// until Delete: its pid, its streams, how it ended and who waits for that.
//
//   kCreated --BeginStart--> kCreated (starting) --Started--> kRunning
//   kCreated, kRunning --Exited--> kStopped
//
// An exit that is reaped while the start is still under way is kept back, so
// that the world hears of the start first. Single-threaded.
class Process {
 public:
  // `alive` tells whether the waiter is still of use.
  struct Waiter {
    std::function<void(const StatusOr<ExitStatus>&)> done;
    std::function<bool()> alive;
  };

  Process(EventLoop& loop, std::string exec_id, Stdio uris, PipeOwner owner)
      : exec_id_(std::move(exec_id)),
        uris_(std::move(uris)),
        stdio_(std::make_shared<ProcessStdio>(loop, owner)) {}

  const std::string& exec_id() const { return exec_id_; }
  // Whether ExecSync made it. No client can name it, as ValidateId refuses such
  // an id, and no event tells of it.
  bool hidden() const { return exec_id_[0] == '/'; }
  const Stdio& uris() const { return uris_; }
  ProcessStdio& stdio() { return *stdio_; }

  TaskPhase phase() const { return phase_; }
  void set_phase(TaskPhase phase) { phase_ = phase; }
  bool stopped() const { return phase_ == TaskPhase::kStopped; }
  bool starting() const { return starting_; }
  void set_starting(bool starting) { starting_ = starting; }
  pid_t pid() const { return pid_; }
  void set_pid(pid_t pid) { pid_ = pid; }

  // Reaped, but not told yet.
  std::optional<Reaper::Exit> reaped;
  // Nobody will ask for it: freed when it does not run.
  bool forgotten = false;

  TaskState State() const { return {phase_, pid_, exit_}; }
  const ExitStatus& exit() const { return exit_; }

  // At once if it has stopped.
  void Wait(Waiter waiter);
  // Becomes kStopped. Then the waiters can be told.
  void SetExited(const Reaper::Exit& exit);
  void TellWaiters();
  // It will never run: so those who wait hear why.
  void Forsake(const Status& why);

 private:
  void Tell(const StatusOr<ExitStatus>& exit);

  const std::string exec_id_;  // empty: the init
  const Stdio uris_;
  std::shared_ptr<ProcessStdio> stdio_;
  TaskPhase phase_ = TaskPhase::kCreated;
  bool starting_ = false;
  pid_t pid_ = 0;
  ExitStatus exit_;
  std::vector<Waiter> waiters_;
};

}  // namespace berth::shim

#endif  // SHIM_PROCESS_PROCESS_H_
