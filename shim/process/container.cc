#include "shim/process/container.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/failpoint.h"
#include "base/strings.h"
#include "base/sys/mount.h"
#include "base/unique_fd.h"
#include "shim/process/container_events.h"
#include "shim/process/log_failure.h"
#include "shim/process/process_facts.h"

namespace berth::shim {

Container::Container(const ShimParts& parts, ContainerOptions options,
                     CreateTask task)
    : parts_(parts),
      options_(std::move(options)),
      task_(std::move(task)),
      init_(parts.loop, "", task_.stdio, options_.io) {}

Container::~Container() { StopOom(); }

StatusOr<Process*> Container::Find(const std::string& exec_id) {
  if (exec_id.empty()) return &init_;
  const auto exec = execs_.find(exec_id);
  if (exec == execs_.end()) {
    return NotFound("process " + Quoted(exec_id) + " of container " + id());
  }
  return exec->second.get();
}

std::vector<Process*> Container::Processes() {
  std::vector<Process*> all = {&init_};
  for (const auto& [exec_id, exec] : execs_) all.push_back(exec.get());
  return all;
}

void Container::Enqueue(Step step) {
  steps_.push_back(std::move(step));
  if (!stepping_) Next();
}

void Container::Next() {
  stepping_ = !steps_.empty();
  if (!stepping_) return;
  const Step step = std::move(steps_.front());
  steps_.pop_front();
  step();
}

Status Container::PrepareRootfs() {
  const std::string target = task_.bundle + "/rootfs";
  if (!task_.rootfs.empty() && mkdir(target.c_str(), 0700) != 0 &&
      errno != EEXIST) {
    return Errno(errno, "mkdir " + target);
  }
  for (Mount mount : task_.rootfs) {
    mount.target = target;
    RETURN_IF_ERROR(MountAt(mount));
    ++mounted_;
  }
  return Failpoint("shim.create.rootfs");
}

void Container::ReleaseRootfs() {
  const std::string target = task_.bundle + "/rootfs";
  for (; mounted_ > 0; --mounted_) {
    LogFailure("container " + id(),
               Unmount(target, MNT_DETACH | UMOUNT_NOFOLLOW));
  }
}

StatusOr<ProcessFds> Container::Prepare() {
  RETURN_IF_ERROR(PrepareRootfs());
  ASSIGN_OR_RETURN(ProcessFds fds, init_.stdio().Open(task_.stdio));
  init_.set_starting(true);
  stepping_ = true;  // until it is made
  if (options_.create_limit > Duration(0)) {
    limit_ =
        parts_.loop.After(options_.create_limit, [self = shared_from_this()] {
          self->options_.runtime->Abort(self->id());
        });
  }
  return fds;
}

void Container::Create(Reply<pid_t> done) {
  StatusOr<ProcessFds> fds = Prepare();
  if (!fds.ok()) return Created(fds.status(), done);
  options_.runtime->Create(
      id(), bundle(), *std::move(fds),
      [self = shared_from_this(), done](StatusOr<StartedProcess> started) {
        self->parts_.loop.CancelTimer(self->limit_);
        self->Created(std::move(started), done);
        self->Next();
      });
}

void Container::Run(Reply<pid_t> done) {
  StatusOr<ProcessFds> fds = Prepare();
  if (!fds.ok()) return Created(fds.status(), done);
  const auto self = shared_from_this();
  options_.runtime->Run(
      id(), bundle(), *std::move(fds),
      [self, done](StatusOr<StartedProcess> started) {
        self->Created(std::move(started),
                      [self, done](const StatusOr<pid_t>& pid) {
                        if (pid.ok()) return self->init_.set_starting(true);
                        self->parts_.loop.CancelTimer(self->limit_);
                        done(pid.status());
                        self->Next();
                      });
      },
      [self, done](const Status& status) { self->Ran(status, done); });
}

void Container::Ran(const Status& status, const Reply<pid_t>& done) {
  if (!init_.starting()) return;  // given up before, which was told
  parts_.loop.CancelTimer(limit_);
  init_.set_starting(false);
  const Status running = status.ok() ? SetRunning() : status;
  if (running.ok()) {
    done(init_.pid());
    HandleExits();
    return Next();
  }
  // Its caller will not know it: nothing may be left.
  HandleExits();
  DeleteCreated(
      [self = shared_from_this(), running, done](const StatusOr<TaskState>&) {
        done(running);
        self->Next();
      });
}

void Container::Created(StatusOr<StartedProcess> started,
                        const Reply<pid_t>& done) {
  init_.set_starting(false);
  Status status = started.status();
  if (status.ok()) {
    init_.set_pid(started->pid);
    parts_.reaper.Watch(started->pid,
                        [self = shared_from_this()](const Reaper::Exit& exit) {
                          self->OnReaped(self->init_, exit);
                        });
    status = init_.stdio().Begin(std::move(started->console));
    if (status.ok()) status = Failpoint("shim.create.process");
    if (!status.ok()) options_.runtime->Delete(id(), [](const Status&) {});
  }
  if (!status.ok()) {
    init_.stdio().Close();
    ReleaseRootfs();
    init_.Forsake(status);
    gone_ = true;
    return done(status);
  }
  const ProcessFacts facts =
      started->facts ? *started->facts : ReadProcessFacts(init_.pid());
  own_pid_namespace_ = facts.namespace_init;
  OpenCgroup(facts.cgroup);
  PublishCreated(parts_.events, task_, init_.pid());
  done(init_.pid());
}

void Container::OpenCgroup(const std::string& path) {
  StatusOr<std::unique_ptr<oci::Cgroup>> opened = OpenContainerCgroup(path);
  if (!opened.ok()) {
    return LogFailure("cgroup of container " + id(), opened.status());
  }
  cgroup_ = *std::move(opened);
  WatchOom();
}

void Container::WatchOom() {
  StatusOr<std::unique_ptr<oci::OomWatch>> watch = cgroup_->WatchOom();
  if (!watch.ok()) {
    return LogFailure("watch memory of container " + id(), watch.status());
  }
  oom_ = *std::move(watch);
  LogFailure("watch memory of container " + id(),
             parts_.loop.Add(oom_->fd(), oom_->events(),
                             [this](uint32_t) { ReadOom(); }));
}

void Container::ReadOom() {
  if (oom_ == nullptr) return;
  const StatusOr<uint64_t> kills = oom_->Read();
  if (!kills.ok()) return StopOom();
  if (*kills == 0) return;
  PublishOom(parts_.events, id());
  // For whoever comes when the cgroup is gone: systemd removes an empty one at
  // once.
  const std::string mark = bundle() + "/" + kOomMark;
  const UniqueFd made(
      open(mark.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!made.valid()) LogFailure("mark " + mark, Errno(errno, "open"));
}

void Container::StopOom() {
  if (oom_ != nullptr) parts_.loop.Remove(oom_->fd());
  oom_.reset();
}

void Container::Start(const std::string& exec_id, Reply<pid_t> done) {
  if (exec_id.empty()) {
    return Enqueue([self = shared_from_this(), done = std::move(done)] {
      self->StartInit(done);
    });
  }
  const StatusOr<Process*> exec = Find(exec_id);
  if (!exec.ok()) return done(exec.status());
  StartExec(**exec, std::move(done));
}

void Container::StartInit(Reply<pid_t> done) {
  if (init_.phase() != TaskPhase::kCreated || init_.reaped) {
    done(FailedPrecondition("container " + id() + " was started before"));
    return Next();
  }
  init_.set_starting(true);
  options_.runtime->Start(id(), [self = shared_from_this(),
                                 done = std::move(done)](const Status& status) {
    self->init_.set_starting(false);
    const Status running = status.ok() ? self->SetRunning() : status;
    done(running.ok() ? StatusOr<pid_t>(self->init_.pid()) : running);
    self->HandleExits();
    self->Next();
  });
}

Status Container::SetRunning() {
  init_.set_phase(TaskPhase::kRunning);
  PublishStarted(parts_.events, id(), "", init_.pid());
  return Failpoint("shim.start.program");
}

void Container::OnReaped(Process& process, const Reaper::Exit& exit) {
  process.reaped = exit;
  HandleExits();
}

void Container::HandleExits() {
  const auto execs = execs_;  // telling an exit may end an exec
  for (const auto& [exec_id, exec] : execs) {
    if (!exec->reaped || exec->starting()) continue;
    TellExit(*exec);
    FreeIfForgotten(exec);
  }
  if (!init_.reaped || init_.starting() || init_.stopped()) return;
  if (!own_pid_namespace_) {
    // Nobody but us ends those that the init leaves behind.
    if (cgroup_ != nullptr) {
      LogFailure("kill what is left of " + id(), cgroup_->Signal(SIGKILL));
    } else if (HasRunningExec()) {
      options_.runtime->Kill(id(), SIGKILL, true, [](const Status&) {});
    }
  }
  if (!HasRunningExec()) TellExit(init_);
}

bool Container::HasRunningExec() const {
  return std::any_of(execs_.begin(), execs_.end(), [](const auto& each) {
    const Process& exec = *each.second;
    return exec.starting() || exec.phase() == TaskPhase::kRunning;
  });
}

void Container::TellExit(Process& process) {
  process.stdio().ReadNow();
  if (&process == &init_) {
    ReadOom();
    StopOom();
  }
  process.SetExited(*std::exchange(process.reaped, std::nullopt));
  if (!process.hidden()) {
    PublishExited(parts_.events, id(), process);
  }
  process.TellWaiters();
}

void Container::Kill(const std::string& exec_id, int signal, bool all,
                     Done done) {
  const StatusOr<Process*> found = Find(exec_id);
  if (!found.ok()) return done(found.status());
  const Process& process = **found;
  if (process.stopped() || process.reaped) {
    return done(NotFound("process already finished"));
  }
  if (process.pid() <= 0) {
    if (&process == &init_ && init_.starting() && signal == SIGKILL) {
      options_.runtime->Abort(id());
      return done(OkStatus());
    }
    return done(FailedPrecondition("the process was not started"));
  }
  if (process.exec_id().empty()) {
    if (!options_.native) {
      return options_.runtime->Kill(id(), signal, all, std::move(done));
    }
    const bool spare_none =
        signal == SIGKILL &&
        (!own_pid_namespace_ || init_.phase() == TaskPhase::kPaused);
    if ((all || spare_none) && cgroup_ != nullptr) {
      return done(cgroup_->Signal(signal));
    }
  }
  // Not reaped yet, so the pid is its own.
  done(kill(process.pid(), signal) == 0
           ? Failpoint("shim.kill.sent")
           : Errno(errno, "kill " + std::to_string(process.pid())));
}

void Container::Freeze(bool frozen, Done done) {
  Enqueue([self = shared_from_this(), frozen, done = std::move(done)] {
    const TaskPhase from = frozen ? TaskPhase::kRunning : TaskPhase::kPaused;
    if (self->init_.phase() != from) {
      done(FailedPrecondition("container " + self->id() +
                              (frozen ? " is not running" : " is not paused")));
      return self->Next();
    }
    self->options_.runtime->Freeze(
        self->id(), frozen, [self, frozen, done](const Status& status) {
          if (status.ok() && !self->init_.stopped()) {
            self->init_.set_phase(frozen ? TaskPhase::kPaused
                                         : TaskPhase::kRunning);
            PublishFrozen(self->parts_.events, self->id(), frozen);
          }
          done(status);
          self->Next();
        });
  });
}

void Container::Update(const std::string& resources, Done done) {
  Enqueue([self = shared_from_this(), resources, done = std::move(done)] {
    if (self->init_.stopped()) {
      done(FailedPrecondition("container " + self->id() + " has exited"));
      return self->Next();
    }
    self->options_.runtime->Update(self->id(), resources,
                                   [self, done](const Status& status) {
                                     done(status);
                                     self->Next();
                                   });
  });
}

void Container::Delete(const std::string& exec_id, Reply<TaskState> done) {
  if (!exec_id.empty()) return DeleteExec(exec_id, std::move(done));
  if (init_.starting()) options_.runtime->Abort(id());
  Enqueue([self = shared_from_this(), done = std::move(done)] {
    self->DeleteInit([self, done](StatusOr<TaskState> state) {
      done(std::move(state));
      self->Next();
    });
  });
}

void Container::DeleteInit(Reply<TaskState> done) {
  if (gone_) return done(NotFound("container " + id() + " is not there"));
  if (init_.stopped()) return DeleteStopped(std::move(done));
  if (init_.phase() == TaskPhase::kCreated) {
    return DeleteCreated(std::move(done));
  }
  done(FailedPrecondition("container " + id() + " is running"));
}

void Container::DeleteCreated(Reply<TaskState> done) {
  options_.runtime->Delete(
      id(), [self = shared_from_this(),
             done = std::move(done)](const Status& status) {
        if (!IgnoreNotFound(status).ok()) return done(status);
        self->init_.Wait({[self, done](const StatusOr<ExitStatus>&) {
                            self->DeleteStopped(done);
                          },
                          [] { return true; }});
      });
}

void Container::DeleteStopped(Reply<TaskState> done) {
  const auto self = shared_from_this();
  init_.stdio().WhenClosed(kDrainAtDelete, [self, done = std::move(done)] {
    self->init_.stdio().Close();
    self->options_.runtime->Delete(
        self->id(), [self, done](const Status& status) {
          if (!IgnoreNotFound(status).ok()) return done(status);
          const Status deleted = Failpoint("shim.delete.state");
          if (!deleted.ok()) return done(deleted);
          self->ReleaseRootfs();
          self->gone_ = true;
          PublishDeleted(self->parts_.events, self->id(), self->init_);
          done(self->init_.State());
        });
  });
}

}  // namespace berth::shim
