#include "shim/client/foreign_exec_task.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <optional>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "base/strings.h"
#include "base/thread.h"
#include "base/unique_fd.h"
#include "shim/client/fifo_reader.h"

namespace berth::shim {
namespace {

// The shim itself waits for output that a process left behind, for less.
constexpr Duration kDeleteTime = std::chrono::seconds(30);
// Of one that was not started: there is nothing to wait for.
constexpr Duration kUndoTime = std::chrono::seconds(5);

StatusOr<UniqueFd> OpenWriter(const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
  if (!fd.valid()) return Errno(errno, "open fifo " + Quoted(path));
  return fd;
}

}  // namespace

struct ForeignExecTask::Shared {
  using Listener = std::function<void(const StatusOr<ExitStatus>& exit)>;

  std::unique_ptr<Task> task;
  pid_t shim = 0;
  std::string input;
  Mutex mutex;
  std::vector<UniqueFd> writers GUARDED_BY(mutex);
  std::optional<StatusOr<ExitStatus>> exit GUARDED_BY(mutex);
  std::vector<Listener> listeners GUARDED_BY(mutex);

  void LetOutputEnd() {
    std::vector<UniqueFd> last;
    MutexLock lock(mutex);
    last.swap(writers);
  }
};

ForeignExecTask::ForeignExecTask(std::shared_ptr<Shared> shared)
    : shared_(std::move(shared)) {}

ForeignExecTask::~ForeignExecTask() = default;

StatusOr<std::unique_ptr<Task>> ForeignExecTask::Hold(
    pid_t shim, const Stdio& stdio, std::unique_ptr<Task> task) {
  auto shared = std::make_shared<Shared>();
  shared->shim = shim;
  shared->input = stdio.in;
  for (const std::string* path : {&stdio.out, &stdio.err}) {
    if (path->empty()) continue;
    StatusOr<UniqueFd> writer = OpenWriter(*path);
    if (!writer.ok()) {
      const Context undo = Context::Background("exec").WithTimeout(kUndoTime);
      task->Delete(undo).IgnoreError();
      return writer.status();
    }
    MutexLock lock(shared->mutex);
    shared->writers.push_back(*std::move(writer));
  }
  shared->task = std::move(task);
  return std::unique_ptr<Task>(new ForeignExecTask(std::move(shared)));
}

StatusOr<pid_t> ForeignExecTask::Start(const Context& ctx) {
  StatusOr<pid_t> pid = shared_->task->Start(ctx);
  if (!pid.ok()) {
    shared_->LetOutputEnd();
    return pid;
  }
  shared_->task->WhenExited(
      [shared = shared_](const StatusOr<ExitStatus>& exit) {
        OnExit(shared, exit);
      });
  if (!shared_->input.empty()) {
    AwaitReader(shared_->shim, shared_->input, [this] {
      MutexLock lock(shared_->mutex);
      return shared_->exit.has_value();
    });
  }
  return pid;
}

void ForeignExecTask::OnExit(const std::shared_ptr<Shared>& shared,
                             const StatusOr<ExitStatus>& exit) {
  std::vector<Shared::Listener> listeners;
  {
    MutexLock lock(shared->mutex);
    shared->exit.emplace(exit);
    listeners.swap(shared->listeners);
  }
  for (const Shared::Listener& told : listeners) told(exit);
  // Not here: this thread is the connection's.
  StatusOr<Thread> end = StartThread("exec-end", [shared] {
    shared->task->Delete(Context::Background("exec").WithTimeout(kDeleteTime))
        .IgnoreError();
    shared->LetOutputEnd();
  });
  if (end.ok()) return end->Detach();
  shared->LetOutputEnd();
}

void ForeignExecTask::WhenExited(Shared::Listener told) {
  std::optional<StatusOr<ExitStatus>> exit;
  {
    MutexLock lock(shared_->mutex);
    exit = shared_->exit;
    if (!exit.has_value()) shared_->listeners.push_back(told);
  }
  if (exit.has_value()) told(*exit);
}

StatusOr<TaskState> ForeignExecTask::State(const Context& ctx) {
  return shared_->task->State(ctx);
}

Status ForeignExecTask::Kill(const Context& ctx, int signal, bool all) {
  return shared_->task->Kill(ctx, signal, all);
}

Status ForeignExecTask::Attach(const Context& ctx, const Stdio& fifos) {
  return shared_->task->Attach(ctx, fifos);
}

Status ForeignExecTask::Resize(const Context& ctx, TerminalSize size) {
  return shared_->task->Resize(ctx, size);
}

Status ForeignExecTask::CloseStdin(const Context& ctx) {
  return shared_->task->CloseStdin(ctx);
}

Status ForeignExecTask::Freeze(const Context& ctx, bool frozen) {
  return shared_->task->Freeze(ctx, frozen);
}

Status ForeignExecTask::Update(const Context& ctx,
                               const std::string& resources) {
  return shared_->task->Update(ctx, resources);
}

StatusOr<TaskStats> ForeignExecTask::Stats(const Context& ctx) {
  return shared_->task->Stats(ctx);
}

Status ForeignExecTask::ReopenLog(const Context& ctx) {
  return shared_->task->ReopenLog(ctx);
}

StatusOr<ExitStatus> ForeignExecTask::Delete(const Context& ctx) {
  {
    MutexLock lock(shared_->mutex);
    if (shared_->exit.has_value()) return *shared_->exit;  // deleted, or soon
  }
  StatusOr<ExitStatus> deleted = shared_->task->Delete(ctx);
  shared_->LetOutputEnd();
  return deleted;
}

}  // namespace berth::shim
