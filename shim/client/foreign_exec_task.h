#ifndef SHIM_CLIENT_FOREIGN_EXEC_TASK_H_
#define SHIM_CLIENT_FOREIGN_EXEC_TASK_H_

#include <functional>
#include <memory>
#include <string>

#include "base/context.h"
#include "base/status.h"
#include "shim/shim.h"

namespace berth::shim {

// An exec of a foreign shim, whose streams are those of the process from Start
// to its end. An output may have no writer when it is over at once: who reads
// it would wait for ever. So both have one here, until the shim has deleted the
// exec, which follows its exit and comes after all output. Start returns when
// the shim reads the input. How it ended is remembered.
//
// Thread-safe, as every Task.
class ForeignExecTask : public Task {
 public:
  // The fifos have readers already. `shim`: the process that will open them. On
  // failure the shim has forgotten the exec.
  static StatusOr<std::unique_ptr<Task>> Hold(pid_t shim, const Stdio& stdio,
                                              std::unique_ptr<Task> task);
  ~ForeignExecTask() override;

  StatusOr<pid_t> Start(const Context& ctx) override;
  void WhenExited(
      std::function<void(const StatusOr<ExitStatus>& exit)> told) override;
  StatusOr<TaskState> State(const Context& ctx) override;
  Status Kill(const Context& ctx, int signal, bool all) override;
  Status Attach(const Context& ctx, const Stdio& fifos) override;
  Status Resize(const Context& ctx, TerminalSize size) override;
  Status CloseStdin(const Context& ctx) override;
  Status Freeze(const Context& ctx, bool frozen) override;
  Status Update(const Context& ctx, const std::string& resources) override;
  StatusOr<TaskStats> Stats(const Context& ctx) override;
  Status ReopenLog(const Context& ctx) override;
  StatusOr<ExitStatus> Delete(const Context& ctx) override;

 private:
  struct Shared;
  explicit ForeignExecTask(std::shared_ptr<Shared> shared);
  static void OnExit(const std::shared_ptr<Shared>& shared,
                     const StatusOr<ExitStatus>& exit);

  const std::shared_ptr<Shared> shared_;  // outlives us until the exit
};

}  // namespace berth::shim

#endif  // SHIM_CLIENT_FOREIGN_EXEC_TASK_H_
