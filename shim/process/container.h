#ifndef SHIM_PROCESS_CONTAINER_H_
#define SHIM_PROCESS_CONTAINER_H_

#include <sys/types.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/io/event_loop.h"
#include "base/status.h"
#include "oci/cgroup/cgroup.h"
#include "shim/process/event_publisher.h"
#include "shim/process/process.h"
#include "shim/process/reaper.h"
#include "shim/process/runtime.h"
#include "shim/shim.h"

namespace berth::shim {

// What a container needs of the shim around it. All outlive it.
struct ShimParts {
  EventLoop& loop;
  Reaper& reaper;
  EventPublisher& events;
};

struct ContainerOptions {
  std::shared_ptr<Runtime> runtime;
  // Its processes are plain children on this kernel, so that signals need no
  // help from the runtime.
  bool native = false;
  PipeOwner io;
  Duration create_limit{0};  // then a Create that hangs fails; 0: none
};

struct ExecSyncFiles {
  ProcessStdio::Files files;
  Duration timeout{0};  // 0: none
};

struct ExecSyncOutcome {
  ExitStatus exit;
  bool timed_out = false;
  uint64_t out_bytes = 0;
  uint64_t err_bytes = 0;
};

// One container: the task API's verbs on it, and the order of its events.
//
//   create < start < exit < delete; exec-added < exec-started < exit;
//   the exit of the init comes last, after those of all execs.
//
// When the init of a container without pid namespace of its own exits, what
// is left in its cgroup is killed. A verb that must wait calls `done` later,
// from the loop; create, start, freeze, update and delete follow one another.
// Single-threaded.
class Container : public std::enable_shared_from_this<Container> {
 public:
  template <typename T>
  using Reply = std::function<void(StatusOr<T>)>;
  using Done = std::function<void(const Status&)>;

  Container(const ShimParts& parts, ContainerOptions options, CreateTask task);
  ~Container();
  Container(const Container&) = delete;
  Container& operator=(const Container&) = delete;

  const std::string& id() const { return task_.id; }
  const std::string& bundle() const { return task_.bundle; }
  Process& init() { return init_; }
  // The init for "". NOT_FOUND.
  StatusOr<Process*> Find(const std::string& exec_id);
  // Init first.
  std::vector<Process*> Processes();

  // When one fails, all is undone and the object of no more use. Run is Create
  // and Start.
  void Create(Reply<pid_t> done);
  void Run(Reply<pid_t> done);
  void Start(const std::string& exec_id, Reply<pid_t> done);
  Status AddExec(const ExecTask& task);
  // Returns what ends it early: kills the process, as soon as there is one, and
  // what is left of its session. Empty if `done` was called already.
  std::function<void()> ExecSync(const std::string& process,
                                 const ExecSyncFiles& how,
                                 Reply<ExecSyncOutcome> done);
  // Frees the execs whose ids do not begin with `keep` ("": all), those that
  // run when they end: until then their output is dropped. Not those of
  // ExecSync, which frees its own.
  void ForgetExecs(const std::string& keep);
  void Kill(const std::string& exec_id, int signal, bool all, Done done);
  void Freeze(bool frozen, Done done);
  void Update(const std::string& resources, Done done);
  // Of the init it ends a Create or Run that is under way; after success the
  // object is of no more use.
  void Delete(const std::string& exec_id, Reply<TaskState> done);

  // Null until created, and where no cgroup can be told.
  const oci::Cgroup* cgroup() const { return cgroup_.get(); }

 private:
  using Step = std::function<void()>;

  // How long Delete waits for output that somebody else's open pipe holds back.
  static constexpr Duration kDrainAtDelete = std::chrono::seconds(10);

  // Runs `step` when the verbs before it have called Next.
  void Enqueue(Step step);
  void Next();

  // Before the runtime makes the process: root file system, streams, a limit.
  StatusOr<ProcessFds> Prepare();
  Status PrepareRootfs();
  void ReleaseRootfs();
  void Created(StatusOr<StartedProcess> started, const Reply<pid_t>& done);
  void Ran(const Status& status, const Reply<pid_t>& done);
  void StartInit(Reply<pid_t> done);
  Status SetRunning();
  void StartExec(Process& exec, Reply<pid_t> done);
  void ExecStarted(const std::shared_ptr<Process>& exec,
                   StatusOr<StartedProcess> started, const Reply<pid_t>& done);
  void DeleteInit(Reply<TaskState> done);
  void DeleteCreated(Reply<TaskState> done);
  void DeleteStopped(Reply<TaskState> done);
  void DeleteExec(const std::string& exec_id, Reply<TaskState> done);
  void FreeIfForgotten(const std::shared_ptr<Process>& exec);
  void Free(const std::shared_ptr<Process>& exec, const Status& why);

  void OnReaped(Process& process, const Reaper::Exit& exit);
  void HandleExits();
  void TellExit(Process& process);
  bool HasRunningExec() const;
  void KillSession(pid_t leader);
  void OpenCgroup(const std::string& path);
  void WatchOom();
  void ReadOom();
  void StopOom();

  const ShimParts parts_;
  const ContainerOptions options_;
  const CreateTask task_;
  Process init_;
  // Those of ExecSync have a name that no client can give.
  std::map<std::string, std::shared_ptr<Process>> execs_;
  std::map<std::string, std::string> specs_;  // of execs not started yet
  std::deque<Step> steps_;
  bool stepping_ = false;
  EventLoop::TimerId limit_ = 0;  // of Create or Run
  size_t mounted_ = 0;
  uint64_t last_sync_ = 0;
  bool own_pid_namespace_ = true;
  bool gone_ = false;  // never made, or deleted
  std::unique_ptr<oci::Cgroup> cgroup_;
  std::unique_ptr<oci::OomWatch> oom_;
};

}  // namespace berth::shim

#endif  // SHIM_PROCESS_CONTAINER_H_
