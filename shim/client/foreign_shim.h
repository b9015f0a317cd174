#ifndef SHIM_CLIENT_FOREIGN_SHIM_H_
#define SHIM_CLIENT_FOREIGN_SHIM_H_

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/context.h"
#include "base/status.h"
#include "base/sys/mount.h"
#include "shim/client/shim_client.h"
#include "shim/shim.h"

namespace berth::shim {

// A shim of others (containerd-shim-runc-v2), and a berth-shim beside it that
// does what the task API has no word for: it writes the logs, holds the streams
// for those who attach, hears of containers that ran out of memory, and is the
// parent of the sandbox's pid 1. The containers' processes are the foreign
// shim's. Both outlive us; if one is lost, so is the sandbox. Thread-safe.
class ForeignShim : public Shim {
 public:
  // `foreign_shim` is what ForeignOf gives.
  ForeignShim(const SandboxShim& foreign_shim,
              std::unique_ptr<ShimClient> foreign,
              std::unique_ptr<ShimClient> helper);
  ~ForeignShim() override;

  pid_t sandbox_pid() const override { return helper_->sandbox_pid(); }
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
  Status Kill() override { return foreign_->Kill(); }
  Status Shutdown(const Context& ctx) override;

 private:
  std::unique_ptr<Task> Wrap(const std::string& id, std::unique_ptr<Task> task);
  StatusOr<CreateTask> OpenStreams(const Context& ctx, const CreateTask& task);
  std::vector<pid_t> PidsOf(const Context& ctx, const std::string& id) const;
  Status OfEnd(const Context& ctx, const std::string& id,
               const Status& failure);

  const SandboxShim shim_;
  const std::unique_ptr<ShimClient> foreign_;
  const std::unique_ptr<ShimClient> helper_;
  // The helper's. Tasks have it too: it may outlive us.
  const std::shared_ptr<ShimConnection> streams_;
};

// What others can take: they join options with commas, of which the label of
// SELinux holds some, and give them to mount(2). Exposed for tests.
std::vector<Mount> WithQuotedLabels(std::vector<Mount> mounts);

}  // namespace berth::shim

#endif  // SHIM_CLIENT_FOREIGN_SHIM_H_
