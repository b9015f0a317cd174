#include "sandbox/testing/fakes.h"

#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <utility>

#include "base/strings.h"

namespace berth::sandbox {

void Failures::Set(const std::string& call, Status status) {
  MutexLock lock(mutex_);
  failures_[call] = std::move(status);
}

void Failures::Clear(const std::string& call) {
  MutexLock lock(mutex_);
  failures_.erase(call);
}

Status Failures::Check(const std::string& call) {
  MutexLock lock(mutex_);
  ++calls_[call];
  const auto it = failures_.find(call);
  return it == failures_.end() ? OkStatus() : it->second;
}

int Failures::Calls(const std::string& call) {
  MutexLock lock(mutex_);
  return calls_[call];
}

// ---- Tasks ------------------------------------------------------------------

class FakeTask : public shim::Task {
 public:
  FakeTask(FakeShims& all, FakeShim& shim, std::string sandbox, std::string id)
      : all_(all),
        shim_(shim),
        sandbox_(std::move(sandbox)),
        id_(std::move(id)) {}

  StatusOr<pid_t> Start(const Context& ctx) override {
    RETURN_IF_ERROR(all_.Pass(ctx, sandbox_, "task Start"));
    MutexLock lock(all_.mutex_);
    ASSIGN_OR_RETURN(FakeProcess * process, FindLocked());
    if (process->phase != shim::TaskPhase::kCreated) {
      return FailedPrecondition("started before");
    }
    process->phase = shim::TaskPhase::kRunning;
    return getpid();
  }

  void WhenExited(
      std::function<void(const StatusOr<shim::ExitStatus>&)> told) override;

  StatusOr<shim::TaskState> State(const Context& ctx) override {
    RETURN_IF_ERROR(all_.Pass(ctx, sandbox_, "task State"));
    MutexLock lock(all_.mutex_);
    ASSIGN_OR_RETURN(FakeProcess * process, FindLocked());
    return shim::TaskState{process->phase, getpid(), process->exit};
  }

  Status Kill(const Context& ctx, int signal, bool) override {
    RETURN_IF_ERROR(all_.Pass(ctx, sandbox_, "task Kill"));
    MutexLock lock(all_.mutex_);
    ASSIGN_OR_RETURN(FakeProcess * process, FindLocked());
    if (process->phase == shim::TaskPhase::kStopped) {
      return NotFound("process already finished");
    }
    process->signals.push_back(signal);
    if (signal == SIGKILL || (signal == SIGTERM && !process->ignores_term)) {
      process->phase = shim::TaskPhase::kStopped;
      process->exit = {128u + static_cast<uint32_t>(signal), Now()};
      all_.changed_.SignalAll();
      all_.TellLocked();
    }
    return OkStatus();
  }

  Status Attach(const Context&, const shim::Stdio&) override {
    return Unimplemented("attach");
  }
  Status Resize(const Context&, shim::TerminalSize) override {
    return OkStatus();
  }
  Status CloseStdin(const Context&) override { return OkStatus(); }
  Status Freeze(const Context& ctx, bool frozen) override {
    RETURN_IF_ERROR(all_.Pass(ctx, sandbox_, "task Freeze"));
    MutexLock lock(all_.mutex_);
    ASSIGN_OR_RETURN(FakeProcess * process, FindLocked());
    process->phase =
        frozen ? shim::TaskPhase::kPaused : shim::TaskPhase::kRunning;
    return OkStatus();
  }
  Status Update(const Context& ctx, const std::string& resources) override {
    RETURN_IF_ERROR(all_.Pass(ctx, sandbox_, "task Update"));
    MutexLock lock(all_.mutex_);
    ASSIGN_OR_RETURN(FakeProcess * process, FindLocked());
    process->resources = resources;
    return OkStatus();
  }
  StatusOr<shim::TaskStats> Stats(const Context&) override {
    return shim::TaskStats();
  }
  Status ReopenLog(const Context&) override { return OkStatus(); }

  StatusOr<shim::ExitStatus> Delete(const Context& ctx) override {
    RETURN_IF_ERROR(all_.Pass(ctx, sandbox_, "task Delete"));
    MutexLock lock(all_.mutex_);
    ASSIGN_OR_RETURN(FakeProcess * process, FindLocked());
    if (process->phase == shim::TaskPhase::kRunning ||
        (process->phase == shim::TaskPhase::kCreated && process->starting)) {
      return FailedPrecondition("running");
    }
    const shim::ExitStatus exit = process->exit;
    all_.FindLocked(sandbox_)->processes.erase(id_);
    return exit;
  }

 private:
  StatusOr<FakeProcess*> FindLocked() REQUIRES(all_.mutex_) {
    FakeShims::State* shim = all_.FindLocked(sandbox_);
    if (shim == nullptr || !shim->alive) return Unavailable("shim is gone");
    const auto it = shim->processes.find(id_);
    if (it == shim->processes.end()) return NotFound("no such task");
    return &it->second;
  }

  FakeShims& all_;
  FakeShim& shim_;
  const std::string sandbox_;
  const std::string id_;
};

// ---- Shims ------------------------------------------------------------------

class FakeShim : public shim::Shim {
 public:
  FakeShim(FakeShims& all, std::string id) : all_(all), id_(std::move(id)) {
    all_.connections_.insert(this);  // under the lock of who makes it
  }
  ~FakeShim() override {
    MutexLock lock(all_.mutex_);
    all_.connections_.erase(this);
  }

  pid_t sandbox_pid() const override { return getpid(); }

  StatusOr<std::unique_ptr<shim::Task>> Create(
      const Context& ctx, const shim::CreateTask& task) override {
    RETURN_IF_ERROR(all_.Pass(ctx, id_, "shim Create"));
    MutexLock lock(all_.mutex_);
    FakeShims::State* shim = all_.FindLocked(id_);
    if (shim == nullptr || !shim->alive) return Unavailable("shim is gone");
    if (shim->processes.count(task.id) > 0) return AlreadyExists("task");
    FakeProcess process;
    process.request = task;
    process.ignores_term = all_.ignore_term_;
    shim->processes[task.id] = process;
    return std::make_unique<FakeTask>(all_, *this, id_, task.id);
  }
  StatusOr<shim::RunningTask> Run(const Context& ctx,
                                  const shim::CreateTask& create) override {
    ASSIGN_OR_RETURN(std::unique_ptr<shim::Task> task, Create(ctx, create));
    const StatusOr<pid_t> pid = task->Start(ctx);
    if (pid.ok()) return shim::RunningTask{std::move(task), *pid};
    MutexLock lock(all_.mutex_);
    FakeShims::State* shim = all_.FindLocked(id_);
    if (shim != nullptr) shim->processes.erase(create.id);
    return pid.status();
  }
  // A process like any other, by its exec id.
  StatusOr<std::unique_ptr<shim::Task>> Exec(
      const Context& ctx, const shim::ExecTask& task) override {
    shim::CreateTask create;
    create.id = task.exec_id;
    create.bundle = "exec of " + task.container_id;
    create.stdio = task.stdio;
    return Create(ctx, create);
  }
  // Whether they run or not.
  Status ForgetExecs(const Context& ctx, const std::string& id,
                     const std::string& keep) override {
    RETURN_IF_ERROR(all_.Pass(ctx, id_, "shim ForgetExecs"));
    MutexLock lock(all_.mutex_);
    FakeShims::State* shim = all_.FindLocked(id_);
    if (shim == nullptr || !shim->alive) return Unavailable("shim is gone");
    std::erase_if(shim->processes, [&](const auto& each) {
      return each.second.request.bundle == "exec of " + id &&
             !StartsWith(each.first, keep);
    });
    return OkStatus();
  }
  StatusOr<shim::ExecSyncResult> ExecSync(
      const Context& ctx, const shim::ExecSyncTask& task) override {
    RETURN_IF_ERROR(all_.Pass(ctx, id_, "shim ExecSync"));
    shim::ExecSyncResult result;
    result.out = task.process;
    result.timed_out = task.timeout == std::chrono::milliseconds(1);
    return result;
  }
  StatusOr<std::unique_ptr<shim::Task>> Find(const Context& ctx,
                                             const std::string& id,
                                             const std::string&) override {
    RETURN_IF_ERROR(all_.Pass(ctx, id_, "task State"));
    MutexLock lock(all_.mutex_);
    FakeShims::State* shim = all_.FindLocked(id_);
    if (shim == nullptr || !shim->alive) return Unavailable("shim is gone");
    if (shim->processes.count(id) == 0) return NotFound("no such task");
    return std::make_unique<FakeTask>(all_, *this, id_, id);
  }
  void WhenLost(std::function<void(const Status&)> told) override {
    MutexLock lock(all_.mutex_);
    when_lost_ = std::move(told);
    all_.TellLocked();
  }
  void WhenInitExited(std::function<void(const Status&)> told) override {
    MutexLock lock(all_.mutex_);
    when_init_exited_ = std::move(told);
    all_.TellLocked();
  }
  Status Kill() override {
    all_.failures.Check("shim Kill").IgnoreError();
    all_.Crash(id_);
    return OkStatus();
  }
  Status Shutdown(const Context& ctx) override {
    RETURN_IF_ERROR(all_.Pass(ctx, id_, "shim Shutdown"));
    MutexLock lock(all_.mutex_);
    FakeShims::State* shim = all_.FindLocked(id_);
    if (shim == nullptr) return Unavailable("shim is gone");
    if (!shim->processes.empty()) return FailedPrecondition("holds a task");
    all_.shims_.erase(id_);
    all_.TellLocked();
    return OkStatus();
  }

 private:
  friend class FakeShims;
  friend class FakeTask;
  struct Waiting {
    std::string id;
    std::function<void(const StatusOr<shim::ExitStatus>&)> told;
  };

  FakeShims& all_;
  const std::string id_;
  std::vector<Waiting> waiting_ GUARDED_BY(all_.mutex_);
  std::function<void(const Status&)> when_lost_ GUARDED_BY(all_.mutex_);
  std::function<void(const Status&)> when_init_exited_ GUARDED_BY(all_.mutex_);
};

void FakeTask::WhenExited(
    std::function<void(const StatusOr<shim::ExitStatus>&)> told) {
  all_.failures.Check("task WhenExited").IgnoreError();
  MutexLock lock(all_.mutex_);
  shim_.waiting_.push_back({id_, std::move(told)});
  all_.TellLocked();
}

void FakeShims::TellLocked() {
  const Status gone = Unavailable("shim is gone");
  for (FakeShim* connection : connections_) {
    const State* shim = FindLocked(connection->id_);
    const bool lost = shim == nullptr || !shim->alive;
    if (!lost && shim->hung.count("*") > 0) continue;
    if (!lost && shim->init_exited && connection->when_init_exited_) {
      connection->when_init_exited_(Unavailable("pid 1 has exited"));
      connection->when_init_exited_ = nullptr;
    }
    std::vector<FakeShim::Waiting> later;
    for (FakeShim::Waiting& one : connection->waiting_) {
      if (lost) {
        one.told(gone);
        continue;
      }
      const auto process = shim->processes.find(one.id);
      if (process == shim->processes.end()) {
        one.told(NotFound("no such task"));
      } else if (process->second.phase == shim::TaskPhase::kStopped) {
        one.told(process->second.exit);
      } else {
        later.push_back(std::move(one));
      }
    }
    connection->waiting_ = std::move(later);
    if (lost && connection->when_lost_) {
      connection->when_lost_(gone);
      connection->when_lost_ = nullptr;
    }
  }
}

StatusOr<std::unique_ptr<shim::Shim>> FakeShims::Launch(
    const Context&, const shim::SandboxShim& sandbox) {
  RETURN_IF_ERROR(failures.Check("Launch"));
  MutexLock lock(mutex_);
  shims_[sandbox.id] = State();
  return std::make_unique<FakeShim>(*this, sandbox.id);
}

StatusOr<std::unique_ptr<shim::Shim>> FakeShims::Reconnect(
    const Context&, const shim::SandboxShim& sandbox) {
  RETURN_IF_ERROR(failures.Check("Reconnect"));
  MutexLock lock(mutex_);
  const State* shim = FindLocked(sandbox.id);
  if (shim == nullptr || !shim->alive) return Unavailable("shim is gone");
  return std::make_unique<FakeShim>(*this, sandbox.id);
}

Status FakeShims::Destroy(const Context&, const shim::SandboxShim& sandbox) {
  RETURN_IF_ERROR(failures.Check("Destroy"));
  MutexLock lock(mutex_);
  shims_.erase(sandbox.id);
  changed_.SignalAll();
  TellLocked();
  return OkStatus();
}

void FakeShims::Crash(const std::string& sandbox_id) {
  MutexLock lock(mutex_);
  if (State* shim = FindLocked(sandbox_id)) shim->alive = false;
  changed_.SignalAll();
  TellLocked();
}

void FakeShims::Exit(const std::string& container_id, uint32_t code,
                     UnixNanos at) {
  MutexLock lock(mutex_);
  for (auto& [id, shim] : shims_) {
    const auto it = shim.processes.find(container_id);
    if (it == shim.processes.end()) continue;
    it->second.phase = shim::TaskPhase::kStopped;
    it->second.exit = {code, at == 0 ? Now() : at};
  }
  changed_.SignalAll();
  TellLocked();
}

void FakeShims::Unstart(const std::string& container_id) {
  MutexLock lock(mutex_);
  for (auto& [id, shim] : shims_) {
    const auto it = shim.processes.find(container_id);
    if (it == shim.processes.end()) continue;
    it->second.phase = shim::TaskPhase::kCreated;
    it->second.starting = true;
  }
}

void FakeShims::IgnoreTerm(bool ignore) {
  MutexLock lock(mutex_);
  ignore_term_ = ignore;
}

void FakeShims::Hang(const std::string& sandbox_id, const std::string& call) {
  MutexLock lock(mutex_);
  if (State* shim = FindLocked(sandbox_id)) shim->hung.insert(call);
}

Status FakeShims::Pass(const Context& ctx, const std::string& sandbox_id,
                       const std::string& call) {
  RETURN_IF_ERROR(failures.Check(call));
  MutexLock lock(mutex_);
  return ctx.Await(mutex_, changed_, [&]() NO_THREAD_SAFETY_ANALYSIS {
    const State* shim = FindLocked(sandbox_id);
    return shim == nullptr || !shim->alive ||
           (shim->hung.count("*") == 0 && shim->hung.count(call) == 0);
  });
}

void FakeShims::ForgetWaiters(const std::string& sandbox_id) {
  MutexLock lock(mutex_);
  for (FakeShim* connection : connections_) {
    if (connection->id_ == sandbox_id) connection->waiting_.clear();
  }
}

void FakeShims::ExitInit(const std::string& sandbox_id) {
  MutexLock lock(mutex_);
  if (State* shim = FindLocked(sandbox_id)) shim->init_exited = true;
  TellLocked();
}

bool FakeShims::Has(const std::string& sandbox_id) {
  MutexLock lock(mutex_);
  return FindLocked(sandbox_id) != nullptr;
}

size_t FakeShims::size() {
  MutexLock lock(mutex_);
  return shims_.size();
}

FakeProcess FakeShims::Process(const std::string& container_id) {
  MutexLock lock(mutex_);
  for (auto& [id, shim] : shims_) {
    const auto it = shim.processes.find(container_id);
    if (it != shim.processes.end()) return it->second;
  }
  return FakeProcess();
}

bool FakeShims::HasProcess(const std::string& container_id) {
  MutexLock lock(mutex_);
  for (auto& [id, shim] : shims_) {
    if (shim.processes.count(container_id) > 0) return true;
  }
  return false;
}

FakeShims::State* FakeShims::FindLocked(const std::string& sandbox_id) {
  const auto it = shims_.find(sandbox_id);
  return it == shims_.end() ? nullptr : &it->second;
}

// ---- Network ----------------------------------------------------------------

void FakeNetwork::HangAttach(bool hang) {
  MutexLock lock(mutex_);
  hang_attach_ = hang;
  changed_.SignalAll();
}

StatusOr<cni::NetworkResult> FakeNetwork::Attach(const Context& ctx,
                                                 const cni::Attachment& to) {
  RETURN_IF_ERROR(failures.Check("Attach"));
  MutexLock lock(mutex_);
  RETURN_IF_ERROR(
      ctx.Await(mutex_, changed_,
                [this]() NO_THREAD_SAFETY_ANALYSIS { return !hang_attach_; }));
  attached_[to.sandbox_id].insert(to.interface);
  cni::NetworkResult result;
  result.interface = to.interface;
  result.network = to.network;
  // No way out: there is no interface for the route.
  result.addresses.push_back(
      {to.ips.empty() ? "10.1.2.3" : to.ips[0], 24, /*gateway=*/""});
  return result;
}

Status FakeNetwork::Check(const Context&, const cni::Attachment&) {
  return failures.Check("Check");
}

Status FakeNetwork::Detach(const Context&, const cni::Attachment& from) {
  RETURN_IF_ERROR(failures.Check("Detach"));
  MutexLock lock(mutex_);
  if (!let_go_) attached_.erase(from.sandbox_id);
  return OkStatus();
}

void FakeNetwork::LetGo(bool let_go) {
  MutexLock lock(mutex_);
  let_go_ = let_go;
}

Status FakeNetwork::DetachInterface(const Context&,
                                    const cni::Attachment& from) {
  RETURN_IF_ERROR(failures.Check("DetachInterface"));
  MutexLock lock(mutex_);
  const auto found = attached_.find(from.sandbox_id);
  if (found == attached_.end()) return OkStatus();
  found->second.erase(from.interface);
  if (found->second.empty()) attached_.erase(found);
  return OkStatus();
}

Status FakeNetwork::CollectGarbage(const Context&) {
  return failures.Check("CollectGarbage");
}

StatusOr<std::set<std::string>> FakeNetwork::Attached() const {
  MutexLock lock(mutex_);
  std::set<std::string> ids;
  for (const auto& [id, interfaces] : attached_) ids.insert(id);
  return ids;
}

std::set<std::string> FakeNetwork::attached() { return *Attached(); }

std::set<std::string> FakeNetwork::interfaces(const std::string& sandbox_id) {
  MutexLock lock(mutex_);
  const auto found = attached_.find(sandbox_id);
  return found == attached_.end() ? std::set<std::string>() : found->second;
}

// ---- Images -----------------------------------------------------------------

StatusOr<image::Rootfs> FakeImages::Acquire(const Context&,
                                            std::string_view image_id,
                                            const std::string& key,
                                            image::Persistence) {
  RETURN_IF_ERROR(failures.Check("Acquire"));
  if (image_id != "sha256:busybox") return NotFound("no such image");
  MutexLock lock(mutex_);
  keys_.insert(key);
  image::Rootfs rootfs;
  rootfs.image_id = std::string(image_id);
  rootfs.config = config;
  if (!root_.empty()) {
    rootfs.mounts.push_back(Mount{"bind", root_, "", {"rbind", "rprivate"}});
  }
  return rootfs;
}

StatusOr<image::Rootfs> FakeImages::AcquireReadOnly(const Context& ctx,
                                                    std::string_view image_id,
                                                    const std::string& key) {
  return Acquire(ctx, image_id, key, image::Persistence::kDurable);
}

StatusOr<std::string> FakeImages::ReadFile(const std::string&,
                                           std::string_view path, uint64_t) {
  const auto it = files.find(std::string(path));
  if (it == files.end()) return NotFound("no such file");
  return it->second;
}

StatusOr<std::vector<Mount>> FakeImages::Look(const std::string&) {
  if (root_.empty()) return std::vector<Mount>();
  return std::vector<Mount>{Mount{"bind", root_, "", {"rbind", "ro"}}};
}

StatusOr<image::DiskUsage> FakeImages::Usage(const std::string&) {
  return image::DiskUsage();
}

Status FakeImages::Release(const Context&, const std::string& key) {
  RETURN_IF_ERROR(failures.Check("Release"));
  MutexLock lock(mutex_);
  keys_.erase(key);
  return OkStatus();
}

std::set<std::string> FakeImages::keys() {
  MutexLock lock(mutex_);
  return keys_;
}

}  // namespace berth::sandbox
