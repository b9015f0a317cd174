#include "shim/client/foreign_shim.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <utility>

#include "api/shim/berth/v1/shim.pb.h"
#include "api/shim/runtime/task/v3/shim.pb.h"
#include "base/sys/mount_options.h"
#include "base/sys/process.h"
#include "shim/client/fifo_reader.h"
#include "shim/client/foreign_bundles.h"
#include "shim/client/foreign_exec.h"
#include "shim/client/foreign_exec_task.h"

namespace berth::shim {
namespace {

constexpr char kStreams[] = "berth.shim.v1.Streams";
// The helper cuts off what does not end, in less time than that.
constexpr Duration kCloseTime = std::chrono::seconds(10);
constexpr Duration kCleanUpTime = std::chrono::seconds(60);
constexpr useconds_t kFindPause = 20'000;
constexpr char kNull[] = "/dev/null";

// Needs nothing of a request's time: a log is to be complete.
Status CloseStreams(ShimConnection& streams, const std::string& id) {
  v1::CloseStreamsRequest request;
  request.set_id(id);
  return streams.Do(Context::Background(id).WithTimeout(kCloseTime), kStreams,
                    "Close", request);
}

// The first process of a container: the foreign shim's, its streams the
// helper's.
class ForeignTask : public Task {
 public:
  ForeignTask(SandboxShim shim, std::shared_ptr<ShimConnection> streams,
              std::string id, std::unique_ptr<Task> task)
      : shim_(std::move(shim)),
        streams_(std::move(streams)),
        id_(std::move(id)),
        task_(std::move(task)) {}

  StatusOr<pid_t> Start(const Context& ctx) override {
    return task_->Start(ctx);
  }
  void WhenExited(
      std::function<void(const StatusOr<ExitStatus>&)> told) override {
    task_->WhenExited(std::move(told));
  }
  StatusOr<TaskState> State(const Context& ctx) override {
    return task_->State(ctx);
  }
  Status Kill(const Context& ctx, int signal, bool all) override {
    return task_->Kill(ctx, signal, all);
  }
  Status Attach(const Context& ctx, const Stdio& fifos) override {
    v1::AttachRequest request;
    request.set_id(id_);
    request.set_stdin(fifos.in);
    request.set_stdout(fifos.out);
    request.set_stderr(fifos.err);
    return streams_->Do(ctx, kStreams, "Attach", request);
  }
  Status Resize(const Context& ctx, TerminalSize size) override {
    return task_->Resize(ctx, size);
  }
  Status CloseStdin(const Context& ctx) override {
    v1::CloseStreamsRequest request;
    request.set_id(id_);
    RETURN_IF_ERROR(streams_->Do(ctx, kStreams, "CloseInput", request));
    return task_->CloseStdin(ctx);
  }
  Status Freeze(const Context& ctx, bool frozen) override {
    return task_->Freeze(ctx, frozen);
  }
  Status Update(const Context& ctx, const std::string& resources) override {
    return task_->Update(ctx, resources);
  }
  StatusOr<TaskStats> Stats(const Context& ctx) override {
    return task_->Stats(ctx);
  }
  Status ReopenLog(const Context& ctx) override {
    v1::ReopenLogRequest request;
    request.set_id(id_);
    return streams_->Do(ctx, kStreams, "ReopenLog", request);
  }

  StatusOr<ExitStatus> Delete(const Context& ctx) override {
    StatusOr<ExitStatus> deleted = task_->Delete(ctx);
    if (deleted.status().code() == StatusCode::kUnavailable) {
      // The shim is dead, and its container soon loses its bundle.
      RETURN_IF_ERROR(CleanUpForeign(
          Context::Background(id_).WithTimeout(kCleanUpTime), shim_, id_));
    } else if (deleted.ok() || IsNotFound(deleted.status())) {
      ForgetForeignBundle(shim_, id_);
    } else {
      return deleted;
    }
    const Status closed = CloseStreams(*streams_, id_);
    if (deleted.ok()) RETURN_IF_ERROR(closed);
    return deleted;
  }

 private:
  const SandboxShim shim_;
  const std::shared_ptr<ShimConnection> streams_;
  const std::string id_;
  const std::unique_ptr<Task> task_;
};

}  // namespace

std::vector<Mount> WithQuotedLabels(std::vector<Mount> mounts) {
  for (Mount& mount : mounts) {
    for (std::string& option : mount.options) option = MountData({option});
  }
  return mounts;
}

ForeignShim::ForeignShim(const SandboxShim& foreign_shim,
                         std::unique_ptr<ShimClient> foreign,
                         std::unique_ptr<ShimClient> helper)
    : shim_(foreign_shim),
      foreign_(std::move(foreign)),
      helper_(std::move(helper)),
      streams_(helper_->connection()) {}

ForeignShim::~ForeignShim() = default;

std::unique_ptr<Task> ForeignShim::Wrap(const std::string& id,
                                        std::unique_ptr<Task> task) {
  return std::make_unique<ForeignTask>(shim_, streams_, id, std::move(task));
}

// What the foreign shim is to be given.
StatusOr<CreateTask> ForeignShim::OpenStreams(const Context& ctx,
                                              const CreateTask& task) {
  v1::OpenStreamsRequest request;
  request.set_id(task.id);
  request.set_bundle(task.bundle);
  request.set_stdin(task.stdio.in);
  request.set_stdout(task.stdio.out);
  request.set_stderr(task.stdio.err);
  request.set_terminal(task.stdio.terminal);
  ASSIGN_OR_RETURN(const auto opened,
                   streams_->client->Call<v1::OpenStreamsResponse>(
                       ctx, kStreams, "Open", request));
  CreateTask create = task;
  create.stdio.out = opened.stdout();
  create.stdio.err = opened.stderr();
  create.rootfs = WithQuotedLabels(std::move(create.rootfs));
  return create;
}

StatusOr<std::unique_ptr<Task>> ForeignShim::Create(const Context& ctx,
                                                    const CreateTask& task) {
  ASSIGN_OR_RETURN(const CreateTask create, OpenStreams(ctx, task));
  StatusOr<std::unique_ptr<Task>> created = foreign_->Create(ctx, create);
  if (created.ok()) {
    if (!create.stdio.in.empty()) {
      AwaitReader(foreign_->shim_pid(), create.stdio.in, [] { return false; });
    }
    return Wrap(task.id, *std::move(created));
  }
  CloseStreams(*streams_, task.id).IgnoreError();
  const StatusCode code = created.status().code();
  const bool unanswered = code == StatusCode::kDeadlineExceeded ||
                          code == StatusCode::kCancelled ||
                          code == StatusCode::kUnavailable;
  if (!unanswered) ForgetForeignBundle(shim_, task.id);
  return created;
}

StatusOr<RunningTask> ForeignShim::Run(const Context& ctx,
                                       const CreateTask& task) {
  RunningTask running;
  ASSIGN_OR_RETURN(running.task, Create(ctx, task));
  const StatusOr<pid_t> pid = running.task->Start(ctx);
  if (pid.ok()) {
    running.pid = *pid;
    return running;
  }
  const Context undo = Context::Background(task.id).WithTimeout(kCleanUpTime);
  running.task->Delete(undo).IgnoreError();
  return pid.status();
}

StatusOr<std::unique_ptr<Task>> ForeignShim::Exec(const Context& ctx,
                                                  const ExecTask& task) {
  ExecTask exec = task;
  // Either all streams are nothing, or each is a file, to containerd's shim.
  Stdio& stdio = exec.stdio;
  if (!stdio.in.empty() || !stdio.out.empty() || !stdio.err.empty()) {
    if (stdio.out.empty()) stdio.out = kNull;
    if (stdio.err.empty() && !stdio.terminal) stdio.err = kNull;
  }
  StatusOr<std::unique_ptr<Task>> made = foreign_->Exec(ctx, exec);
  RETURN_IF_ERROR(OfEnd(ctx, task.container_id, made.status()));
  return ForeignExecTask::Hold(foreign_->shim_pid(), stdio, *std::move(made));
}

StatusOr<ExecSyncResult> ForeignShim::ExecSync(const Context& ctx,
                                               const ExecSyncTask& task) {
  const auto pids = [this](const Context& ask, const std::string& id) {
    return PidsOf(ask, id);
  };
  StatusOr<ExecSyncResult> result =
      ExecSyncByTask(ctx, *this, pids, shim_.state_dir, task);
  RETURN_IF_ERROR(OfEnd(ctx, task.container_id, result.status()));
  return result;
}

// Its own daemon may be there to ask for them.
Status ForeignShim::ForgetExecs(const Context&, const std::string& id,
                                const std::string&) {
  return Unimplemented("forget execs of container " + id + ": a foreign shim");
}

std::vector<pid_t> ForeignShim::PidsOf(const Context& ctx,
                                       const std::string& id) const {
  containerd::task::v3::PidsRequest request;
  request.set_id(id);
  const auto response =
      foreign_->connection()->Task<containerd::task::v3::PidsResponse>(
          ctx, "Pids", request);
  std::vector<pid_t> pids;
  if (!response.ok()) return pids;
  for (const auto& process : response->processes()) {
    pids.push_back(static_cast<pid_t>(process.pid()));
  }
  return pids;
}

// Others have no code for a container that was ending.
Status ForeignShim::OfEnd(const Context& ctx, const std::string& id,
                          const Status& failure) {
  if (failure.code() != StatusCode::kUnknown) return failure;
  const StatusOr<std::unique_ptr<Task>> task = foreign_->Find(ctx, id, "");
  StatusOr<TaskState> state = task.ok() ? (*task)->State(ctx) : task.status();
  const bool ended = IsNotFound(state.status()) ||
                     (state.ok() && state->phase == TaskPhase::kStopped);
  if (!ended) return failure;
  return FailedPrecondition("the container was ending: " + Message(failure));
}

StatusOr<std::unique_ptr<Task>> ForeignShim::Find(const Context& ctx,
                                                  const std::string& id,
                                                  const std::string& exec_id) {
  StatusOr<std::unique_ptr<Task>> found = foreign_->Find(ctx, id, exec_id);
  // It may be making it for a daemon that has died since, and knows it when it
  // is made. What it has deleted is not noted; what it was never given is not
  // waited for any longer than what it was.
  while (IsNotFound(found.status()) && exec_id.empty() &&
         IsNotedLately(shim_, id)) {
    RETURN_IF_ERROR(ctx.Check());
    usleep(kFindPause);
    found = foreign_->Find(ctx, id, exec_id);
  }
  ASSIGN_OR_RETURN(std::unique_ptr<Task> task, std::move(found));
  return exec_id.empty() ? Wrap(id, std::move(task)) : std::move(task);
}

void ForeignShim::WhenLost(std::function<void(const Status& why)> told) {
  const auto first = std::make_shared<std::atomic<bool>>(true);
  const auto once = [first, told = std::move(told)](const Status& why) {
    if (first->exchange(false)) told(why);
  };
  foreign_->WhenLost(once);
  // Not ourselves: a task may keep the helper's connection for longer.
  const auto process = foreign_->connection()->process;
  helper_->WhenLost([process, once](const Status& why) {
    // Its containers would halt at their next output, and say nothing.
    if (process->valid()) SignalProcess(process->get(), SIGKILL).IgnoreError();
    once(Annotate(why, "the shim of the logs"));
  });
}

void ForeignShim::WhenInitExited(std::function<void(const Status& why)> told) {
  helper_->WhenInitExited(std::move(told));
}

Status ForeignShim::Shutdown(const Context& ctx) {
  RETURN_IF_ERROR(foreign_->Shutdown(ctx));
  return helper_->Shutdown(ctx);
}

}  // namespace berth::shim
