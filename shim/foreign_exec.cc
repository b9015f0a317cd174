#include "shim/foreign_exec.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <thread>
#include <utility>

#include "base/strings.h"
#include "base/unique_fd.h"

namespace berth::shim {
namespace {

constexpr Duration kDrain = std::chrono::seconds(5);
constexpr Duration kCleanUp = std::chrono::seconds(10);

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

// What Wait answers, on a thread of its own, and a descriptor that tells.
struct Exit {
  StatusOr<ExitStatus> status = Unavailable("not yet");
  UniqueFd done;
};

int MillisUntil(SteadyTime time) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(
      time - std::chrono::steady_clock::now());
  return static_cast<int>(std::clamp<int64_t>(left.count(), 0, 60'000));
}

// Reads both streams until they have ended, or the process has and a while
// has passed. True if the process had to be killed.
bool Collect(const Context& ctx, Task& task, const ExecSyncTask& exec,
             Capture& out, Capture& err, const Exit& exit) {
  const SteadyTime start = std::chrono::steady_clock::now();
  SteadyTime kill_at =
      exec.timeout > Duration(0) ? start + exec.timeout : SteadyTime::max();
  SteadyTime give_up = SteadyTime::max();
  bool killed = false, out_open = true, err_open = true, exited = false;
  while (!exited || out_open || err_open) {
    const SteadyTime now = std::chrono::steady_clock::now();
    if (now >= give_up) break;
    if (!exited && !killed && (now >= kill_at || !ctx.Check().ok())) {
      killed = true;
      give_up = now + kDrain;
      const Context end =
          Context::Background(ctx.request_id()).WithTimeout(kCleanUp);
      task.Kill(end, SIGKILL, false).IgnoreError();
    }
    pollfd fds[] = {{out_open ? out.reader.get() : -1, POLLIN, 0},
                    {err_open ? err.reader.get() : -1, POLLIN, 0},
                    {exited ? -1 : exit.done.get(), POLLIN, 0},
                    {killed ? -1 : ctx.cancel_fd(), POLLIN, 0}};
    poll(fds, 4, MillisUntil(std::min(kill_at, give_up)));
    if (fds[0].revents != 0) out_open = ReadSome(out, exec.output_limit);
    if (fds[1].revents != 0) err_open = ReadSome(err, exec.output_limit);
    if (fds[2].revents != 0) {
      exited = true;
      give_up = std::chrono::steady_clock::now() + kDrain;
    }
    if (killed) kill_at = SteadyTime::max();
  }
  return killed;
}

}  // namespace

StatusOr<ExecSyncResult> ExecSyncByTask(const Context& ctx, Shim& shim,
                                        const std::string& scratch,
                                        const ExecSyncTask& exec) {
  const std::string exec_id = "sync-" + RandomId().substr(0, 16);
  Capture out, err;
  RETURN_IF_ERROR(Open(scratch + "/" + exec_id + ".out", out));
  RETURN_IF_ERROR(Open(scratch + "/" + exec_id + ".err", err));
  ExecTask task;
  task.container_id = exec.container_id;
  task.exec_id = exec_id;
  task.process = exec.process;
  task.stdio = {"", out.path, err.path, false};
  ASSIGN_OR_RETURN(const std::unique_ptr<Task> process, shim.Exec(ctx, task));

  const Context end =
      Context::Background(ctx.request_id()).WithTimeout(kCleanUp);
  const StatusOr<pid_t> started = process->Start(ctx);
  if (!started.ok()) {
    process->Delete(end).IgnoreError();
    return started.status();
  }
  Exit exit;
  exit.done.reset(eventfd(0, EFD_CLOEXEC));
  const Context waiting = Context::Background(ctx.request_id()).WithCancel();
  std::thread waiter([&] {
    exit.status = process->Wait(waiting);
    eventfd_write(exit.done.get(), 1);
  });
  ExecSyncResult result;
  result.timed_out = Collect(ctx, *process, exec, out, err, exit);
  waiting.Cancel();  // no effect if it has exited
  waiter.join();
  process->Delete(end).IgnoreError();
  RETURN_IF_ERROR(ctx.Check());
  RETURN_IF_ERROR(exit.status.status());
  result.exit_status = exit.status->code;
  result.out = std::move(out.text);
  result.err = std::move(err.text);
  return result;
}

}  // namespace berth::shim
