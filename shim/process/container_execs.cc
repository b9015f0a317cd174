// Container: processes that clients make, start and delete.
#include <memory>
#include <utility>

#include "base/failpoint.h"
#include "base/strings.h"
#include "shim/process/container.h"
#include "shim/process/container_events.h"
#include "shim/process/log_failure.h"

namespace berth::shim {

Status Container::AddExec(const ExecTask& task) {
  RETURN_IF_ERROR(ValidateId(task.exec_id));
  if (execs_.count(task.exec_id) != 0) {
    return AlreadyExists("process " + Quoted(task.exec_id) + " of container " +
                         id());
  }
  if (init_.stopped() || init_.phase() == TaskPhase::kPaused) {
    return FailedPrecondition("container " + id() + " is not running");
  }
  auto exec = std::make_shared<Process>(parts_.loop, task.exec_id, task.stdio,
                                        options_.io);
  execs_[task.exec_id] = std::move(exec);
  specs_[task.exec_id] = task.process;
  PublishExecAdded(parts_.events, id(), task.exec_id);
  return OkStatus();
}

void Container::StartExec(Process& process, Reply<pid_t> done) {
  if (process.phase() != TaskPhase::kCreated || process.starting()) {
    return done(FailedPrecondition("process " + Quoted(process.exec_id()) +
                                   " was started before"));
  }
  if (init_.phase() != TaskPhase::kRunning || init_.reaped) {
    return done(FailedPrecondition("container " + id() + " is not running"));
  }
  StatusOr<ProcessFds> fds = process.stdio().Open(process.uris());
  if (!fds.ok()) {
    process.stdio().Close();
    return done(fds.status());
  }
  process.set_starting(true);
  const std::shared_ptr<Process> exec = execs_[process.exec_id()];
  options_.runtime->Exec(
      id(), specs_[process.exec_id()], *std::move(fds),
      [self = shared_from_this(), exec,
       done = std::move(done)](StatusOr<StartedProcess> started) {
        self->ExecStarted(exec, std::move(started), done);
      });
}

void Container::ExecStarted(const std::shared_ptr<Process>& exec,
                            StatusOr<StartedProcess> started,
                            const Reply<pid_t>& done) {
  exec->set_starting(false);
  if (!started.ok()) {
    exec->stdio().Close();
    done(started.status());
    exec->Forsake(started.status());
    FreeIfForgotten(exec);
    return HandleExits();  // the init's may have waited for this one
  }
  specs_.erase(exec->exec_id());
  exec->set_pid(started->pid);
  exec->set_phase(TaskPhase::kRunning);
  LogFailure("streams of " + exec->exec_id(),
             exec->stdio().Begin(std::move(started->console)));
  parts_.reaper.Watch(started->pid, [self = shared_from_this(),
                                     exec](const Reaper::Exit& exit) {
    self->OnReaped(*exec, exit);
  });
  if (!exec->hidden()) {
    PublishStarted(parts_.events, id(), exec->exec_id(), exec->pid());
  }
  const Status told = Failpoint("shim.exec.process");
  done(told.ok() ? StatusOr<pid_t>(exec->pid()) : told);
}

void Container::DeleteExec(const std::string& exec_id, Reply<TaskState> done) {
  const StatusOr<Process*> found = Find(exec_id);
  if (!found.ok()) return done(found.status());
  const std::shared_ptr<Process> exec = execs_[exec_id];
  if (exec->starting() || exec->phase() == TaskPhase::kRunning) {
    return done(
        FailedPrecondition("process " + Quoted(exec_id) + " is running"));
  }
  const auto finish = [self = shared_from_this(), exec,
                       done = std::move(done)] {
    self->Free(exec, NotFound("the process was deleted"));
    done(exec->State());
  };
  if (!exec->stopped()) return finish();
  exec->stdio().WhenClosed(kDrainAtDelete, finish);
}

void Container::ForgetExecs(const std::string& keep) {
  const auto execs = execs_;  // some are freed
  for (const auto& [exec_id, exec] : execs) {
    if (exec->hidden()) continue;
    if (!keep.empty() && StartsWith(exec_id, keep)) continue;
    exec->forgotten = true;
    exec->stdio().LetGo();
    FreeIfForgotten(exec);
  }
}

void Container::FreeIfForgotten(const std::shared_ptr<Process>& exec) {
  if (!exec->forgotten || exec->starting()) return;
  if (exec->phase() == TaskPhase::kRunning) return;
  Free(exec, NotFound("the process was forgotten"));
}

void Container::Free(const std::shared_ptr<Process>& exec, const Status& why) {
  exec->stdio().Close();
  execs_.erase(exec->exec_id());
  specs_.erase(exec->exec_id());
  exec->Forsake(why);
}

}  // namespace berth::shim
