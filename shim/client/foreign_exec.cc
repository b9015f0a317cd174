#include "shim/client/foreign_exec.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "base/mutex.h"
#include "base/strings.h"
#include "base/sys/file.h"
#include "base/unique_fd.h"

namespace berth::shim {
namespace {

constexpr Duration kDrain = std::chrono::seconds(5);
constexpr Duration kDrainAfterKill = std::chrono::seconds(1);
// For all that follows the timeout.
constexpr Duration kCleanUp = std::chrono::seconds(2);
constexpr uint64_t kMaxCgroupFile = 64 << 10;
constexpr int kLooks = 8;

// One stream of the process, read at our end of a fifo.
struct Capture {
  ~Capture() {
    if (!path.empty()) unlink(path.c_str());
  }
  std::string path;
  UniqueFd reader;
  std::string text;
};

Status Open(const std::string& path, Capture& capture) {
  if (mkfifo(path.c_str(), 0600) != 0) return Errno(errno, "mkfifo " + path);
  capture.path = path;
  capture.reader.reset(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!capture.reader.valid()) return Errno(errno, "open " + path);
  return OkStatus();
}

// False when there is nothing more to come.
bool ReadSome(Capture& capture, uint64_t limit) {
  char bytes[16 * 1024];
  const ssize_t n = read(capture.reader.get(), bytes, sizeof(bytes));
  if (n < 0) return errno == EAGAIN || errno == EINTR;
  const uint64_t room = limit - std::min<uint64_t>(limit, capture.text.size());
  capture.text.append(bytes, std::min<uint64_t>(room, static_cast<size_t>(n)));
  return n > 0;
}

// What Wait answers, and a descriptor that tells. Shared with the answer, which
// may come when nobody waits any more.
struct Exit {
  UniqueFd done;
  Mutex mutex;
  std::optional<StatusOr<ExitStatus>> status GUARDED_BY(mutex);
};

StatusOr<std::shared_ptr<Exit>> NewExit() {
  auto exit = std::make_shared<Exit>();
  exit->done.reset(eventfd(0, EFD_CLOEXEC));
  if (!exit->done.valid()) return Errno(errno, "eventfd");
  return exit;
}

void Watch(Task& task, const std::shared_ptr<Exit>& exit) {
  task.WhenExited([exit](const StatusOr<ExitStatus>& status) {
    MutexLock lock(exit->mutex);
    exit->status.emplace(status);
    eventfd_write(exit->done.get(), 1);
  });
}

int MillisUntil(SteadyTime time) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(
      time - std::chrono::steady_clock::now());
  return static_cast<int>(std::clamp<int64_t>(left.count(), 0, 60'000));
}

// Whether a process of this machine is in the container: a shim may speak of
// pids of another one.
bool IsIn(const std::string& container, pid_t pid) {
  const StatusOr<std::string> cgroup =
      ReadFile("/proc/" + std::to_string(pid) + "/cgroup", kMaxCgroupFile);
  return cgroup.ok() && cgroup->find(container) != std::string::npos;
}

// A process, and all that it has started and that has not made a session of
// its own.
class Session {
 public:
  Session(std::string container, pid_t leader, Task& task, const ListPids& pids)
      : container_(std::move(container)),
        leader_(leader),
        task_(task),
        pids_(pids) {}

  void Kill(const Context& ctx) const {
    const bool leads = getsid(leader_) == leader_ && IsIn(container_, leader_);
    task_.Kill(ctx, SIGKILL, false).IgnoreError();
    // Until a look finds nobody new: they may fork while we go through them.
    for (int look = 0; leads && look < kLooks; ++look) {
      bool found = false;
      for (const pid_t pid : pids_(ctx, container_)) {
        if (pid == leader_ || getsid(pid) != leader_) continue;
        if (!IsIn(container_, pid)) continue;
        found = kill(pid, SIGKILL) == 0 || found;
      }
      if (!found) return;
    }
  }

 private:
  const std::string container_;
  const pid_t leader_;
  Task& task_;
  const ListPids& pids_;
};

// Reads both streams until they have ended, or the process has and a while
// has passed, which is at most what is left of the timeout. True if the process
// had to be killed.
bool Collect(const Context& ctx, const Session& session,
             const ExecSyncTask& exec, Capture& out, Capture& err,
             const Exit& exit) {
  const SteadyTime start = std::chrono::steady_clock::now();
  const SteadyTime limit =
      exec.timeout > Duration(0) ? start + exec.timeout : SteadyTime::max();
  SteadyTime give_up = SteadyTime::max();
  bool killed = false, out_open = true, err_open = true, exited = false;
  while (!exited || out_open || err_open) {
    const SteadyTime now = std::chrono::steady_clock::now();
    if (now >= give_up) break;
    if (!exited && !killed && (now >= limit || !ctx.Check().ok())) {
      killed = true;
      const Context end =
          Context::Background(ctx.request_id()).WithTimeout(kDrainAfterKill);
      session.Kill(end);
      give_up = std::chrono::steady_clock::now() + kDrainAfterKill;
    }
    pollfd fds[] = {{out_open ? out.reader.get() : -1, POLLIN, 0},
                    {err_open ? err.reader.get() : -1, POLLIN, 0},
                    {exited ? -1 : exit.done.get(), POLLIN, 0},
                    {killed ? -1 : ctx.cancel_fd(), POLLIN, 0}};
    poll(fds, 4, MillisUntil(killed || exited ? give_up : limit));
    if (fds[0].revents != 0) out_open = ReadSome(out, exec.output_limit);
    if (fds[1].revents != 0) err_open = ReadSome(err, exec.output_limit);
    if (fds[2].revents != 0) {
      exited = true;
      const SteadyTime last = std::chrono::steady_clock::now();
      give_up = killed ? last + kDrainAfterKill
                       : std::min<SteadyTime>(last + kDrain, limit);
    }
  }
  return killed;
}

}  // namespace

StatusOr<ExecSyncResult> ExecSyncByTask(const Context& ctx, Shim& shim,
                                        const ListPids& pids,
                                        const std::string& scratch,
                                        const ExecSyncTask& exec) {
  const std::string exec_id = "sync-" + RandomId().substr(0, 16);
  Capture out, err;
  RETURN_IF_ERROR(Open(scratch + "/" + exec_id + ".out", out));
  RETURN_IF_ERROR(Open(scratch + "/" + exec_id + ".err", err));
  // All that can be missing is had before there is a process.
  ASSIGN_OR_RETURN(const std::shared_ptr<Exit> exit, NewExit());
  ExecTask task;
  task.container_id = exec.container_id;
  task.exec_id = exec_id;
  task.process = exec.process;
  task.stdio = {"", out.path, err.path, false};
  const Context limit =
      exec.timeout > Duration(0) ? ctx.WithTimeout(exec.timeout) : ctx;
  ASSIGN_OR_RETURN(const std::unique_ptr<Task> process, shim.Exec(limit, task));

  const auto clean_up = [&] {
    process->Delete(Context::Background(ctx.request_id()).WithTimeout(kCleanUp))
        .IgnoreError();
  };
  const StatusOr<pid_t> started = process->Start(limit);
  if (!started.ok()) {
    clean_up();
    return started.status();
  }
  Watch(*process, exit);
  ExecSyncResult result;
  const Session session(exec.container_id, *started, *process, pids);
  result.timed_out = Collect(ctx, session, exec, out, err, *exit);
  clean_up();
  RETURN_IF_ERROR(ctx.Check());
  MutexLock lock(exit->mutex);
  if (!exit->status.has_value()) {
    return DeadlineExceeded("the shim does not say how the process ended");
  }
  RETURN_IF_ERROR(exit->status->status());
  result.exit_status = (*exit->status)->code;
  result.out = std::move(out.text);
  result.err = std::move(err.text);
  return result;
}

}  // namespace berth::shim
