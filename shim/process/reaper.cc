#include "shim/process/reaper.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utility>

namespace berth::shim {

Status Reaper::Start() {
  ASSIGN_OR_RETURN(signals_, OpenSignalFd({SIGCHLD}));
  return loop_.Add(signals_.get(), EPOLLIN, [this](uint32_t) {
    // One signal may stand for many exits, so its contents do not matter.
    signalfd_siginfo ignored;
    while (read(signals_.get(), &ignored, sizeof(ignored)) > 0) {
    }
    Reap();
  });
}

void Reaper::Watch(pid_t pid, Handler handler) {
  const auto early = unclaimed_.find(pid);
  if (early == unclaimed_.end()) {
    handlers_[pid] = std::move(handler);
    return;
  }
  const Exit exit = early->second;
  unclaimed_.erase(early);
  loop_.Defer([handler = std::move(handler), exit] { handler(exit); });
}

void Reaper::Settle() {
  if (--expected_ == 0) unclaimed_.clear();
}

void Reaper::Reap() {
  while (true) {
    Exit exit;
    const pid_t pid = waitpid(-1, &exit.wait_status, WNOHANG);
    if (pid <= 0) return;
    exit.at = Now();
    const auto found = handlers_.find(pid);
    if (found != handlers_.end()) {
      const Handler handler = std::move(found->second);
      handlers_.erase(found);
      handler(exit);
    } else if (expected_ > 0) {
      unclaimed_[pid] = exit;
    }
  }
}

}  // namespace berth::shim
