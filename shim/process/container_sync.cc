// Container: processes that one call makes and sees to their end.
#include <signal.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "shim/process/container.h"

namespace berth::shim {
namespace {

// How long ExecSync waits for output after the process itself has exited; and
// at most what is left of its timeout.
constexpr Duration kDrainAtSync = std::chrono::seconds(5);
constexpr Duration kDrainAfterKill = std::chrono::seconds(1);
constexpr Duration kDrainAtLeast = std::chrono::milliseconds(10);

// How their names begin. No client can name an exec so: see ValidateId.
constexpr char kSyncPrefix[] = "/sync";

// How one of them gets on. Single-threaded.
struct Progress {
  bool timed_out = false;
  bool ended = false;  // by its caller
  bool over = false;   // it could not start
  EventLoop::TimerId timer = 0;
  std::optional<SteadyTime> limit;

  Duration Drain() const {
    if (timed_out || ended) return kDrainAfterKill;
    if (!limit) return kDrainAtSync;
    return std::clamp<Duration>(*limit - std::chrono::steady_clock::now(),
                                kDrainAtLeast, kDrainAtSync);
  }
};

}  // namespace

std::function<void()> Container::ExecSync(const std::string& process,
                                          const ExecSyncFiles& how,
                                          Reply<ExecSyncOutcome> done) {
  if (init_.phase() != TaskPhase::kRunning || init_.reaped) {
    done(FailedPrecondition("container " + id() + " is not running"));
    return nullptr;
  }
  const std::string name = kSyncPrefix + std::to_string(++last_sync_);
  auto exec =
      std::make_shared<Process>(parts_.loop, name, Stdio(), options_.io);
  StatusOr<ProcessFds> fds = exec->stdio().OpenFiles(how.files);
  if (!fds.ok()) {
    done(fds.status());
    return nullptr;
  }

  const auto self = shared_from_this();
  auto progress = std::make_shared<Progress>();
  if (how.timeout > Duration(0)) {
    progress->limit = std::chrono::steady_clock::now() + how.timeout;
    progress->timer = parts_.loop.After(how.timeout, [self, exec, progress] {
      progress->timed_out = true;
      if (exec->pid() > 0 && !exec->reaped) self->KillSession(exec->pid());
    });
  }
  const auto finish = [self, exec, progress, done] {
    ExecSyncOutcome outcome{exec->exit(), progress->timed_out,
                            exec->stdio().out_bytes(),
                            exec->stdio().err_bytes()};
    exec->stdio().Close();
    self->execs_.erase(exec->exec_id());
    done(outcome);
  };
  const auto exited = [self, exec, progress,
                       finish](const StatusOr<ExitStatus>&) {
    self->parts_.loop.CancelTimer(progress->timer);
    exec->stdio().WhenClosed(progress->Drain(), finish);
  };
  execs_[name] = exec;
  exec->set_starting(true);
  options_.runtime->Exec(
      id(), process, *std::move(fds),
      [self, exec, progress, exited, done](StatusOr<StartedProcess> started) {
        self->ExecStarted(
            exec, std::move(started),
            [self, exec, progress, exited, done](const StatusOr<pid_t>& pid) {
              if (!pid.ok()) {
                self->parts_.loop.CancelTimer(progress->timer);
                self->execs_.erase(exec->exec_id());
                progress->over = true;
                return done(pid.status());
              }
              if (progress->timed_out || progress->ended) {
                self->KillSession(*pid);
              }
              exec->Wait({exited, [] { return true; }});
            });
      });
  if (progress->over) return nullptr;
  return [self, exec, progress] {
    progress->ended = true;
    // Its pid is its own until it is reaped; its output may be open still.
    if (exec->pid() > 0 && !exec->reaped && !exec->stopped()) {
      self->KillSession(exec->pid());
    }
  };
}

void Container::KillSession(pid_t leader) {
  const bool leads = getsid(leader) == leader;
  kill(leader, SIGKILL);
  if (!leads || cgroup_ == nullptr) return;
  // Until a look finds nobody new: they may fork while we go through them.
  for (int look = 0; look < 8; ++look) {
    const StatusOr<std::vector<pid_t>> pids = cgroup_->Pids();
    bool found = false;
    if (pids.ok()) {
      for (const pid_t pid : *pids) {
        if (pid == leader || getsid(pid) != leader) continue;
        found = kill(pid, SIGKILL) == 0 || found;
      }
    }
    if (!found) return;
  }
}

}  // namespace berth::shim
