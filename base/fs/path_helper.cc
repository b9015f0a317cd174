#include "base/fs/path_helper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <deque>
#include <map>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/strings.h"
#include "base/unique_fd.h"

namespace berth {
namespace {

// How long a killed helper that is not stuck may take to be gone.
constexpr int kDyingMs = 200;
constexpr Duration kLongestPoll = std::chrono::minutes(1);
// Of helpers at work or stuck: for one mount, and in all.
constexpr size_t kMostOfMount = 4;
constexpr size_t kMostOfAll = 64;

// Plain memory, of both processes.
struct Request {
  void (*work)(void* question, void* answer);
  void* question;
  void* answer;
  size_t answer_size;
};

// In the helper. It must not keep our sockets and locks while it is stuck.
[[noreturn]] void Help(const Request& request, int to) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  dup2(to, STDIN_FILENO);
  if (syscall(SYS_close_range, 1u, ~0u, 0u) != 0) {
    for (int fd = 1; fd < 65536; ++fd) close(fd);
  }
  request.work(request.question, request.answer);
  ssize_t written;
  do {
    written = write(STDIN_FILENO, request.answer, request.answer_size);
  } while (written < 0 && errno == EINTR);
  _exit(0);
}

// The helpers of this process.
class Helpers {
 public:
  Status Ask(const Context& ctx, const std::string& mount,
             const Request& request) {
    RETURN_IF_ERROR(Enter(mount));
    const Status asked = AskOne(ctx, mount, request);
    MutexLock lock(mutex_);
    if (--busy_[mount] == 0) busy_.erase(mount);
    return asked;
  }

  size_t stuck() EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    Reap();
    return stuck_.size();
  }

 private:
  struct Stuck {
    pid_t pid;
    std::string mount;
  };

  Status Enter(const std::string& mount) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    Reap();
    size_t all = 0;
    for (const auto& [point, count] : busy_) all += count;
    const auto found = busy_.find(mount);
    if (all >= kMostOfAll ||
        (found != busy_.end() && found->second >= kMostOfMount)) {
      return Unavailable("the file system on " + Quoted(mount) +
                         " does not answer");
    }
    ++busy_[mount];
    return OkStatus();
  }

  Status AskOne(const Context& ctx, const std::string& mount,
                const Request& request) EXCLUDES(mutex_) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return Errno(errno, "make a pipe");
    const UniqueFd from(ends[0]);
    UniqueFd to(ends[1]);
    // Not fork: handlers of libraries may take locks (fork(2), _Fork(3)).
    const pid_t pid = _Fork();
    if (pid < 0) return Errno(errno, "start a helper");
    if (pid == 0) Help(request, to.get());
    to.reset();
    const Status received = Receive(ctx, from.get(), request);
    if (received.ok()) {
      waitpid(pid, nullptr, 0);
      return OkStatus();
    }
    kill(pid, SIGKILL);
    if (!EndsAtOnce(pid)) {
      MutexLock lock(mutex_);
      stuck_.push_back({pid, mount});
      ++busy_[mount];
    }
    if (received.code() != StatusCode::kDeadlineExceeded) return received;
    return DeadlineExceeded("the file system on " + Quoted(mount) +
                            " does not answer");
  }

  // Reaps a killed helper, unless it is stuck in the kernel.
  static bool EndsAtOnce(pid_t pid) {
    const UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
    pollfd ended = {process.get(), POLLIN, 0};
    if (!process.valid() || poll(&ended, 1, kDyingMs) <= 0) return false;
    return waitpid(pid, nullptr, 0) == pid;
  }

  static Status Receive(const Context& ctx, int from, const Request& request) {
    while (true) {
      pollfd polled[] = {{from, POLLIN, 0}, {ctx.cancel_fd(), POLLIN, 0}};
      RETURN_IF_ERROR(ctx.Check());
      const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(
          ctx.Remaining(kLongestPoll));
      if (poll(polled, 2, static_cast<int>(ms.count()) + 1) <= 0) continue;
      if (polled[0].revents == 0) continue;
      // Less than PIPE_BUF is written at once; this may come in pieces.
      char* const bytes = static_cast<char*>(request.answer);
      size_t got = 0;
      while (got < request.answer_size) {
        const ssize_t n = TEMP_FAILURE_RETRY(
            read(from, bytes + got, request.answer_size - got));
        if (n <= 0) return Unavailable("a helper died");
        got += static_cast<size_t>(n);
      }
      return OkStatus();
    }
  }

  void Reap() REQUIRES(mutex_) {
    std::erase_if(stuck_, [this](const Stuck& one) NO_THREAD_SAFETY_ANALYSIS {
      if (waitpid(one.pid, nullptr, WNOHANG) == 0) return false;
      if (--busy_[one.mount] == 0) busy_.erase(one.mount);
      return true;
    });
  }

  Mutex mutex_;
  std::deque<Stuck> stuck_ GUARDED_BY(mutex_);
  // Helpers at work and stuck ones, by mount point.
  std::map<std::string, size_t> busy_ GUARDED_BY(mutex_);
};

Helpers& AllHelpers() {
  static auto& helpers = *new Helpers();
  return helpers;
}

}  // namespace

Status AskHelper(const Context& ctx, const std::string& mount,
                 void (*work)(void* question, void* answer), void* question,
                 void* answer, size_t answer_size) {
  return AllHelpers().Ask(ctx, mount, {work, question, answer, answer_size});
}

size_t StuckHelpers() { return AllHelpers().stuck(); }

}  // namespace berth
