#ifndef SHIM_CLIENT_SHIM_CLIENT_H_
#define SHIM_CLIENT_SHIM_CLIENT_H_

#include <sys/types.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "api/shim/runtime/task/v3/shim.pb.h"
#include "api/shim/types/runc/options/oci.pb.h"
#include "base/context.h"
#include "base/status.h"
#include "shim/client/shim_connection.h"
#include "shim/shim.h"
#include "shim/wire/bootstrap.h"

namespace berth::shim {

// The options of containerd's runc shim (and of ours) for a sandbox.
containerd::runc::v1::Options OptionsOf(const SandboxShim& sandbox);

// A connection to a running shim: berth-shim, or any that speaks the task
// API. Thread-safe.
class ShimClient : public Shim {
 public:
  // A berth-shim that we have just started, or one to be asked what it is and
  // what it holds.
  enum class Known { kFreshBerthShim, kNothing };
  // UNAVAILABLE if nobody listens, DEADLINE_EXCEEDED if nobody answers.
  static StatusOr<std::unique_ptr<ShimClient>> Connect(
      const Context& ctx, const SandboxShim& sandbox,
      const ShimAddress& address, Known known);
  ~ShimClient() override;

  // Sandbox.CreateSandbox and StartSandbox; nothing for a shim without them.
  Status StartSandbox(const Context& ctx);
  pid_t shim_pid() const { return shim_pid_; }
  // For calls that only one kind of shim knows.
  const std::shared_ptr<ShimConnection>& connection() const {
    return connection_;
  }

  pid_t sandbox_pid() const override { return sandbox_pid_; }
  StatusOr<std::unique_ptr<Task>> Create(const Context& ctx,
                                         const CreateTask& task) override;
  StatusOr<RunningTask> Run(const Context& ctx,
                            const CreateTask& task) override;
  StatusOr<std::unique_ptr<Task>> Exec(const Context& ctx,
                                       const ExecTask& task) override;
  StatusOr<ExecSyncResult> ExecSync(const Context& ctx,
                                    const ExecSyncTask& task) override;
  Status ForgetExecs(const Context& ctx, const std::string& id,
                     const std::string& keep) override;
  StatusOr<std::unique_ptr<Task>> Find(const Context& ctx,
                                       const std::string& id,
                                       const std::string& exec_id) override;
  void WhenLost(std::function<void(const Status& why)> told) override;
  void WhenInitExited(std::function<void(const Status& why)> told) override;
  Status Kill() override;
  Status Shutdown(const Context& ctx) override;

 private:
  ShimClient(const SandboxShim& sandbox,
             std::shared_ptr<ShimConnection> connection);
  containerd::task::v3::CreateTaskRequest RequestOf(
      const CreateTask& create) const;
  Status Identify(const Context& ctx);
  Status AskWhatItHolds(const Context& ctx);

  const SandboxShim sandbox_;
  const std::shared_ptr<ShimConnection> connection_;
  pid_t shim_pid_ = 0;
  pid_t sandbox_pid_ = 0;
  bool ours_ = false;             // knows berth.shim.v1
  std::atomic<bool> runs_{true};  // and, as far as we know, Run
  bool has_sandbox_ = false;      // began with the sandbox API
};

}  // namespace berth::shim

#endif  // SHIM_CLIENT_SHIM_CLIENT_H_
