// Further processes: ExecSync, Exec.
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "base/failpoint.h"
#include "base/strings.h"
#include "base/thread.h"
#include "oci/spec/parse.h"
#include "oci/spec/serialize.h"
#include "sandbox/container_end.h"
#include "sandbox/container_plan.h"
#include "sandbox/container_streams.h"
#include "sandbox/core.h"
#include "sandbox/process/session_fifos.h"
#include "sandbox/record/files.h"
#include "sandbox/record/phase.h"
#include "sandbox/running.h"
#include "sandbox/spec/user.h"
#include "sandbox/step.h"

namespace berth::sandbox {
namespace {

using namespace ::berth::state::v1;
using sandbox::TerminalSize;

// The first process's own, as Start wrote it down.
StatusOr<oci::ProcessSpec> FirstProcess(const Core& core,
                                        const ContainerId& id) {
  ASSIGN_OR_RETURN(
      const std::string text,
      ReadSmallFile(core.paths.ContainerState(id.str()) + "/process.json",
                    oci::kMaxSpecBytes));
  return oci::ParseProcess(text);
}

Status ApplyUser(Core& core, const ContainerRecord& container,
                 const std::string& user, oci::ProcessSpec& process) {
  ASSIGN_OR_RETURN(const std::string passwd,
                   ReadUserFile(core, container, "/etc/passwd"));
  ASSIGN_OR_RETURN(const std::string group,
                   ReadUserFile(core, container, "/etc/group"));
  ASSIGN_OR_RETURN(const ResolvedUser resolved,
                   ResolveUserText(user, passwd, group));
  process.user.uid = resolved.ids.uid();
  process.user.gid = resolved.ids.gid();
  process.user.additional_gids.assign(
      resolved.ids.supplemental_groups().begin(),
      resolved.ids.supplemental_groups().end());
  process.env = MergeEnv(process.env, {"HOME=" + resolved.home});
  return OkStatus();
}

StatusOr<oci::ProcessSpec> PlanExec(const Context& ctx, Core& core,
                                    const ContainerRecord& container,
                                    const ExecConfig& config) {
  if (config.args.empty() || config.args[0].empty()) {
    return InvalidArgument("exec: no command");
  }
  ASSIGN_OR_RETURN(oci::ProcessSpec process,
                   FirstProcess(core, ContainerId(container.id())));
  RETURN_IF_ERROR(KeepProfile(ctx, core, process));
  process.args = config.args;
  process.terminal = config.tty;
  process.console_size.reset();
  if (config.tty && config.console_size) {
    process.console_size = oci::ConsoleSize{config.console_size->width,
                                            config.console_size->height};
  }
  if (config.user && !config.user->empty()) {
    RETURN_IF_ERROR(ApplyUser(core, container, *config.user, process));
  }
  if (config.tty) process.env = MergeEnv({"TERM=xterm"}, process.env);
  process.env = MergeEnv(process.env, config.env);
  if (config.working_dir && !config.working_dir->empty()) {
    process.cwd = *config.working_dir;
  }
  if (config.privileged && process.capabilities) {
    process.capabilities->bounding = core.host.capabilities;
    process.capabilities->effective = core.host.capabilities;
    process.capabilities->permitted = core.host.capabilities;
  }
  return process;
}

// ---- Sessions ---------------------------------------------------------------

constexpr std::chrono::seconds kDeleteTime{30};
// Of one that did not start: there is nothing to wait for.
constexpr std::chrono::seconds kUndoTime{5};

// How a process ended, asked of its shim once however many wait and however
// often: a question stays with the shim until the process ends. Thread-safe.
class ExitAnswer : public std::enable_shared_from_this<ExitAnswer> {
 public:
  StatusOr<shim::ExitStatus> Await(const Context& ctx, shim::Task& task) {
    Ask(task);
    MutexLock lock(mutex_);
    RETURN_IF_ERROR(ctx.Await(mutex_, came_, [&]() NO_THREAD_SAFETY_ANALYSIS {
      return exit_.has_value();
    }));
    return *exit_;
  }

 private:
  void Ask(shim::Task& task) {
    {
      MutexLock lock(mutex_);
      if (asked_ && (!exit_ || exit_->ok())) return;
      asked_ = true;
      exit_.reset();  // an error: it may be told another time
    }
    task.WhenExited(
        [self = shared_from_this()](const StatusOr<shim::ExitStatus>& exit) {
          MutexLock lock(self->mutex_);
          self->exit_.emplace(exit);
          self->came_.SignalAll();
        });
  }

  Mutex mutex_;
  CondVar came_;
  bool asked_ GUARDED_BY(mutex_) = false;
  std::optional<StatusOr<shim::ExitStatus>> exit_ GUARDED_BY(mutex_);
};

// A process started by Exec. The shim keeps what it knows of it until it is
// deleted, which follows its exit whether anybody waits or not.
class ExecControl : public StreamSession::Control {
 public:
  ExecControl(std::shared_ptr<shim::Shim> shim,
              std::unique_ptr<shim::Task> task, int pid)
      : shim_(std::move(shim)), task_(std::move(task)), pid_(pid) {}

  ~ExecControl() override {
    {
      MutexLock lock(mutex_);
      if (code_) return;  // deleted by who waited
    }
    // Nobody has waited: someone must, or the shim remembers it for ever.
    StatusOr<Thread> wait = StartThread(
        "exec-end", [shim = std::move(shim_), answer = answer_,
                     task = std::shared_ptr<shim::Task>(std::move(task_))] {
          const Context ctx = Context::Background("exec");
          if (answer->Await(ctx, *task).ok()) {
            (void)task->Delete(ctx.WithTimeout(kDeleteTime));
          }
        });
    if (wait.ok()) wait->Detach();
    LogFailure("wait for an exec that nobody waits for", wait.status());
  }

  Status Resize(const Context& ctx, TerminalSize size) override {
    return task_->Resize(ctx, shim::TerminalSize{size.width, size.height});
  }
  Status Signal(const Context& ctx, int signal) override {
    return task_->Kill(ctx, signal, false);
  }
  Status CloseStdin(const Context& ctx) override {
    return task_->CloseStdin(ctx);
  }
  StatusOr<int> Wait(const Context& ctx) override {
    // Several may wait, each as long as it likes; one deletes.
    {
      MutexLock lock(mutex_);
      if (code_) return *code_;
    }
    StatusOr<shim::ExitStatus> exit = answer_->Await(ctx, *task_);
    {
      MutexLock lock(mutex_);
      if (code_) return *code_;
      RETURN_IF_ERROR(StepError(exit.status(), "wait for an exec"));
      code_ = static_cast<int>(exit->code);
    }
    LogFailure(
        "delete exec",
        IgnoreNotFound(task_->Delete(ctx.WithTimeout(kDeleteTime)).status()));
    return static_cast<int>(exit->code);
  }
  int pid() const override { return pid_; }

 private:
  std::shared_ptr<shim::Shim> shim_;  // outlives task_
  std::unique_ptr<shim::Task> task_;
  const int pid_;
  const std::shared_ptr<ExitAnswer> answer_ = std::make_shared<ExitAnswer>();
  Mutex mutex_;
  std::optional<int> code_ GUARDED_BY(mutex_);
};

// What the shim misses is the program that was asked for, unless it is the
// container, which has ended meanwhile and was deleted.
Status NotBegun(const Core& core, const ContainerId& id, const Status& status,
                const std::string& what) {
  const ContainerStatus now = core.inventory.FindContainer(id);
  const bool runs = now && IsAlive(now->phase());
  return StepError(status, what, runs ? StepOf::kAsked : StepOf::kOurs);
}

}  // namespace

StatusOr<ExecResult> ContainerStreams::ExecSync(
    const Context& ctx, const ContainerId& id,
    const std::vector<std::string>& args, Duration timeout,
    size_t output_limit) const {
  Core& core = world_->core();
  ASSIGN_OR_RETURN(const Running running, FindRunning(core, id, "exec in"));
  ExecConfig config;
  config.args = args;
  const StatusOr<oci::ProcessSpec> process =
      PlanExec(ctx, core, *running.record, config);
  RETURN_IF_ERROR(StepError(process.status(), "exec in container " + id.str()));
  shim::ExecSyncTask task;
  task.container_id = id.str();
  task.process = oci::SerializeProcess(*process);
  task.timeout = timeout;
  task.output_limit = output_limit;
  const std::string what = "exec in container " + id.str();
  StatusOr<shim::ExecSyncResult> result =
      running.live->shim().ExecSync(ctx, task);
  RETURN_IF_ERROR(NotBegun(core, id, result.status(), what));
  RETURN_IF_ERROR(Failpoint("container.execsync.ended"));
  if (result->timed_out) {
    return DeadlineExceeded(what + ": command timed out");
  }
  ExecResult out;
  out.exit_code = static_cast<int>(result->exit_status);
  out.output = std::move(result->out);
  out.error_output = std::move(result->err);
  return out;
}

StatusOr<StreamSession> ContainerStreams::Exec(const Context& ctx,
                                               const ContainerId& id,
                                               const ExecConfig& config) const {
  Core& core = world_->core();
  ASSIGN_OR_RETURN(const Running running, FindRunning(core, id, "exec in"));
  if (running.record->paused()) {
    return FailedPrecondition("exec in container " + id.str() + ": paused");
  }
  const std::string what = "exec in container " + id.str();
  const StatusOr<oci::ProcessSpec> process =
      PlanExec(ctx, core, *running.record, config);
  RETURN_IF_ERROR(StepError(process.status(), what));
  SessionFifos fifos(core.paths.ContainerState(id.str()));
  RETURN_IF_ERROR(fifos.Make(config.stdin, config.stdout || config.tty,
                             config.stderr && !config.tty));
  shim::ExecTask request;
  request.container_id = id.str();
  request.exec_id = core.run_id + RandomId().substr(0, 16);
  request.process = oci::SerializeProcess(*process);
  request.stdio = fifos.stdio();
  request.stdio.terminal = config.tty;
  const std::shared_ptr<shim::Shim> shim =
      core.shims.Find(running.record->sandbox_id());
  if (!shim) return Unavailable(what + ": no shim");
  StatusOr<std::unique_ptr<shim::Task>> task = shim->Exec(ctx, request);
  RETURN_IF_ERROR(StepError(task.status(), what));
  const Status made = Failpoint("container.exec.made");
  StatusOr<pid_t> pid = made.ok() ? (*task)->Start(ctx) : made;
  if (!pid.ok()) {
    (void)(*task)->Delete(Context::Background("exec").WithTimeout(kUndoTime));
    return NotBegun(core, id, pid.status(), what);
  }
  fifos.Opened();
  core.Publish(Event::Type::kExecStarted, *running.record, request.exec_id);
  auto control = std::make_shared<ExecControl>(shim, *std::move(task), *pid);
  RETURN_IF_ERROR(Failpoint("container.exec.started"));
  return fifos.Take(config.tty, std::move(control));
}

Status ContainerStreams::Resize(const Context& ctx, const ContainerId& id,
                                TerminalSize size) const {
  Core& core = world_->core();
  ASSIGN_OR_RETURN(const Running running, FindRunning(core, id, "resize"));
  return StepError(running.live->task().Resize(
                       ctx, shim::TerminalSize{size.width, size.height}),
                   "resize container " + id.str());
}

Status ContainerStreams::ReopenLog(const Context& ctx,
                                   const ContainerId& id) const {
  Core& core = world_->core();
  ASSIGN_OR_RETURN(const Running running,
                   FindRunning(core, id, "reopen log of"));
  return StepError(running.live->task().ReopenLog(ctx),
                   "reopen log of container " + id.str());
}

}  // namespace berth::sandbox
