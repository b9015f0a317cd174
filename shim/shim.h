// A shim as berthd sees it: the process that holds one sandbox's containers.
//
// A shim outlives berthd. What identifies it is in its state directory, so
// that a berthd started later finds it again (ShimLauncher::Reconnect). The
// wire is containerd's task API (docs/ARCHITECTURE.md), so any shim that
// speaks it can stand behind these interfaces; calls that only berth-shim
// knows say so.
//
// Errors of every call, besides its own: NOT_FOUND when the shim knows no
// such task; UNAVAILABLE when the shim is gone, at once for all that wait;
// DEADLINE_EXCEEDED and CANCELLED from the context. Thread-safe, all of it.
#ifndef SHIM_SHIM_H_
#define SHIM_SHIM_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/context.h"
#include "base/status.h"
#include "base/sys/mount.h"

namespace berth::shim {

// Where the three streams of a process go. Each is empty (/dev/null), the
// absolute path of a fifo that the caller made (and keeps open at its end),
// or a URI: "file:///ABS", and for a container's first process
// "berth-log:///ABS?format=cri" (or format=json-file, then also
// &max-size=BYTES&max-file=N; with both, &line=BYTES is where long lines are
// cut; &syslog= and &journal= of shim/process/log_forwarder.h send each record
// on). The same log URI for out and err is one file in which each record
// names its stream. With a terminal, err must be empty.
struct Stdio {
  std::string in;
  std::string out;
  std::string err;
  bool terminal = false;
};

struct CreateTask {
  std::string id;      // the container's
  std::string bundle;  // absolute; holds config.json, and rootfs/ if used
  // Done in order on <bundle>/rootfs (their own targets are ignored), undone
  // when the task is deleted.
  std::vector<Mount> rootfs;
  Stdio stdio;
};

struct ExecTask {
  std::string container_id;
  std::string exec_id;  // unique within the container, until deleted
  std::string process;  // JSON: `process` of the runtime specification
  Stdio stdio;
};

struct ExecSyncTask {
  std::string container_id;
  std::string process;                // as above; no terminal
  Duration timeout{0};                // 0: none
  uint64_t output_limit = 16u << 20;  // of each stream; the rest is dropped
};

struct ExecSyncResult {
  uint32_t exit_status = 0;
  bool timed_out = false;  // killed, with all it had started
  std::string out;
  std::string err;
};

struct ExitStatus {
  uint32_t code = 0;  // 128 + signal for a killed process
  UnixNanos at = 0;   // when the shim reaped it
};

// created -> running -> stopped; paused beside running.
enum class TaskPhase { kUnknown, kCreated, kRunning, kStopped, kPaused };

struct TaskState {
  TaskPhase phase = TaskPhase::kUnknown;
  pid_t pid = 0;
  ExitStatus exit;  // when stopped
};

struct TerminalSize {
  uint32_t width = 0;
  uint32_t height = 0;
};

// A file that berth-shim makes in the bundle of a container in whose cgroup the
// kernel has killed something for want of memory.
inline constexpr char kOomMark[] = "oom";

// Of the container's cgroup at time `at`. 0 is also "not known".
struct TaskStats {
  UnixNanos at = 0;
  uint64_t cpu_usage_ns = 0;  // since the start
  uint64_t cpu_user_ns = 0;
  uint64_t cpu_system_ns = 0;
  uint64_t memory_usage = 0;        // bytes, page cache included
  uint64_t memory_working_set = 0;  // usage without inactive file pages
  uint64_t memory_rss = 0;
  uint64_t memory_limit = 0;  // 0: none
  uint64_t page_faults = 0;
  uint64_t major_page_faults = 0;
  uint64_t swap_usage = 0;
  uint64_t swap_limit = 0;
  uint64_t oom_kills = 0;
  uint64_t pids = 0;
  uint64_t pids_limit = 0;  // 0: none
};

// One process that a shim holds: a container's init, or an exec in it. A
// handle: dropping it does nothing to the process. Must not outlive its Shim.
// Thread-safe.
class Task {
 public:
  virtual ~Task() = default;

  // Lets a created process run; FAILED_PRECONDITION if it did before, or if
  // the container of an exec is not running.
  virtual StatusOr<pid_t> Start(const Context& ctx) = 0;
  // `told` hears once how the process exited, at once if it has, on a thread
  // that it must not hold up: the same answer until Delete. Not after the end
  // of this object's Shim has begun.
  virtual void WhenExited(
      std::function<void(const StatusOr<ExitStatus>& exit)> told) = 0;
  virtual StatusOr<TaskState> State(const Context& ctx) = 0;
  // NOT_FOUND if it has exited. `all`: every process of the container.
  virtual Status Kill(const Context& ctx, int signal, bool all) = 0;
  // Joins the streams of a running process: output goes to these fifos too
  // (from now on), input from this one is added. A reader that leaves is
  // forgotten. Of an exec berth-shim only, else UNIMPLEMENTED.
  virtual Status Attach(const Context& ctx, const Stdio& fifos) = 0;
  // No effect without a terminal.
  virtual Status Resize(const Context& ctx, TerminalSize size) = 0;
  virtual Status CloseStdin(const Context& ctx) = 0;
  virtual Status Freeze(const Context& ctx, bool frozen) = 0;
  // `resources`: JSON, `linux.resources` of the runtime specification.
  virtual Status Update(const Context& ctx, const std::string& resources) = 0;
  virtual StatusOr<TaskStats> Stats(const Context& ctx) = 0;
  // The log file has been renamed: go on in a new one.
  virtual Status ReopenLog(const Context& ctx) = 0;
  // Only of what was never started or has exited: frees what it held, and
  // answers how it ended. FAILED_PRECONDITION while it runs.
  virtual StatusOr<ExitStatus> Delete(const Context& ctx) = 0;
};

// Returns when the process has exited.
StatusOr<ExitStatus> AwaitExit(const Context& ctx, Task& task);

// What Shim::Run made.
struct RunningTask {
  std::unique_ptr<Task> task;
  pid_t pid = 0;
};

// The connection to one shim. Thread-safe.
class Shim {
 public:
  virtual ~Shim() = default;

  // The process that holds the sandbox's shared pid namespace
  // (/proc/PID/ns/pid); 0 if it has none.
  virtual pid_t sandbox_pid() const = 0;

  // Makes the container's process, halted before the user's program.
  // ALREADY_EXISTS; on any other failure nothing is left.
  virtual StatusOr<std::unique_ptr<Task>> Create(const Context& ctx,
                                                 const CreateTask& task) = 0;
  // Create, and Start of what it made: with berth-shim one call and one process
  // less. On any failure nothing is left.
  virtual StatusOr<RunningTask> Run(const Context& ctx,
                                    const CreateTask& task) = 0;
  // Registers a process; Task::Start makes it.
  virtual StatusOr<std::unique_ptr<Task>> Exec(const Context& ctx,
                                               const ExecTask& task) = 0;
  // Runs a process to its end: one round trip with berth-shim.
  virtual StatusOr<ExecSyncResult> ExecSync(const Context& ctx,
                                            const ExecSyncTask& task) = 0;
  // Lets go of the execs of container `id` that nobody will ask for any more:
  // all but those whose ids begin with `keep`. Those that run go on without
  // their streams, and are freed when they end. UNIMPLEMENTED of a foreign
  // shim, and of a berth-shim that is older than this call.
  virtual Status ForgetExecs(const Context& ctx, const std::string& id,
                             const std::string& keep) = 0;
  // A handle to a task made before, by this berthd or an earlier one.
  // NOT_FOUND if the shim does not hold it. `exec_id` is empty for init.
  virtual StatusOr<std::unique_ptr<Task>> Find(const Context& ctx,
                                               const std::string& id,
                                               const std::string& exec_id) = 0;
  // `told` hears once that the shim is gone, whatever ended it, on a thread
  // that it must not hold up, or at once if it is. Until this object has ended
  // and all of its tasks have.
  virtual void WhenLost(std::function<void(const Status& why)> told) = 0;
  // The same for the process of sandbox_pid(). Nothing if there is none.
  virtual void WhenInitExited(std::function<void(const Status& why)> told) = 0;
  // SIGKILL to the shim itself, for one that does not answer; WhenLost follows.
  // Its containers may live on: kill them first.
  virtual Status Kill() = 0;
  // Ends the shim, and the sandbox's pid 1 with it. FAILED_PRECONDITION while
  // it holds a task.
  virtual Status Shutdown(const Context& ctx) = 0;
};

// What a shim is started with. All but `binary` must be the same at Reconnect
// and Destroy.
struct SandboxShim {
  std::string id;                    // the sandbox's
  std::string name_space = "berth";  // containerd's word, not the kernel's
  // An existing directory of the sandbox alone, absolute, mode 0700: the
  // shim's working directory and its memory across our restarts (shim.sock,
  // bootstrap.json, shim.log). At most 90 bytes, for the socket's sake.
  std::string state_dir;
  // Absolute path of a shim, or the name of one: "io.containerd.kata.v2" is
  // containerd-shim-kata-v2 on PATH.
  std::string binary;
  // Absolute path of a berth-shim, if `binary` is a foreign shim: it runs
  // beside that one, in `state_dir` itself, and does what the task API has no
  // word for (logs, attached clients, the sandbox's pid 1). Empty for
  // berth-shim.
  std::string helper;
  // Absolute path of a runc-compatible program; empty: the shim's own
  // runtime. And its folder for container state (an absolute path).
  std::string runtime_program;
  std::string runtime_root;
  bool systemd_cgroup = false;
  // Cgroup path (below each controller's root, or a scope of systemd's:
  // "slice:prefix:name") that the shim itself moves to; empty: it stays in
  // ours.
  std::string cgroup;
  // For Sandbox.CreateSandbox; "berth.pid-namespace" = "pod" asks for a pid 1.
  std::map<std::string, std::string> annotations;
  std::string netns_path;  // informs; empty: the host's
};

// Starts shims, and finds those that run. Thread-safe.
class ShimLauncher {
 public:
  virtual ~ShimLauncher() = default;

  // Starts a shim and its sandbox. Nothing is left when it fails.
  virtual StatusOr<std::unique_ptr<Shim>> Launch(
      const Context& ctx, const SandboxShim& sandbox) = 0;
  // Finds a shim started before. UNAVAILABLE if it died: then Destroy.
  // DEADLINE_EXCEEDED if it does not answer within 10 s, or the context's time.
  virtual StatusOr<std::unique_ptr<Shim>> Reconnect(
      const Context& ctx, const SandboxShim& sandbox) = 0;
  // Kills a shim that does not answer, and what it left of its containers:
  // processes, runtime state, root filesystem mounts. OK if nothing is there.
  virtual Status Destroy(const Context& ctx, const SandboxShim& sandbox) = 0;
};

}  // namespace berth::shim

#endif  // SHIM_SHIM_H_
