#include "base/sys/process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "base/strings.h"

namespace berth {

StatusOr<ClonedProcess> CloneProcess(const CloneOptions& options) {
  int pidfd = -1;
  struct clone_args args = {};
  args.flags = options.namespaces | CLONE_PIDFD;
  args.pidfd = reinterpret_cast<uint64_t>(&pidfd);
  if (options.sibling) {
    args.flags |= CLONE_PARENT;  // brings the caller's own exit signal
  } else {
    args.exit_signal = SIGCHLD;
  }
  if (options.until_exec) args.flags |= CLONE_VFORK;
  if (options.pid_to != nullptr) {
    args.flags |= CLONE_PARENT_SETTID;
    args.parent_tid = reinterpret_cast<uint64_t>(options.pid_to);
  }
  if (options.cgroup >= 0) {
    args.flags |= CLONE_INTO_CGROUP;
    args.cgroup = static_cast<uint64_t>(options.cgroup);
  }
  const long pid = syscall(SYS_clone3, &args, sizeof(args));
  if (pid < 0) return Errno(errno, "clone3");
  ClonedProcess result;
  result.pid = static_cast<pid_t>(pid);
  if (pid != 0) result.pidfd.reset(pidfd);
  return result;
}

StatusOr<ProcessStat> ReadProcessStat(pid_t pid) {
  const std::string path = "/proc/" + std::to_string(pid) + "/stat";
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return Errno(errno, "open " + path);
  char text[1024];
  const ssize_t n = TEMP_FAILURE_RETRY(read(fd.get(), text, sizeof(text)));
  // ESRCH: it went away since the open.
  if (n < 0) return Errno(errno == ESRCH ? ENOENT : errno, "read " + path);
  const std::string_view stat(text, static_cast<size_t>(n));
  // The name in parentheses may hold anything, parentheses too.
  const size_t name_end = stat.rfind(')');
  if (name_end == std::string_view::npos || name_end + 2 >= stat.size()) {
    return Internal("parse " + path);
  }
  const std::vector<std::string> fields = Split(stat.substr(name_end + 2), ' ');
  // Fields 3 (state), 4 (parent), 22 (start time), counted from 1.
  if (fields.size() < 20 || fields[0].size() != 1) {
    return Internal("parse " + path);
  }
  const auto parent = ParseInt(fields[1]);
  const auto start = ParseUint(fields[19]);
  if (!parent || !start) return Internal("parse " + path);
  return ProcessStat{fields[0][0], static_cast<pid_t>(*parent), *start};
}

StatusOr<UniqueFd> OpenPidfd(pid_t pid) {
  UniqueFd fd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!fd.valid()) {
    // EINVAL: before Linux 6.13 also for the pid of a process that is gone, but
    // still names a process group or a session.
    const bool gone = errno == ESRCH || errno == EINVAL;
    const int error = gone ? ENOENT : errno;
    return Errno(error, "pidfd_open " + std::to_string(pid));
  }
  return fd;
}

Status SignalProcess(int pidfd, int signal) {
  if (syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0) == 0) {
    return OkStatus();
  }
  const int error = errno == ESRCH ? ENOENT : errno;
  return Errno(error, "send signal " + std::to_string(signal));
}

int ExitCodeOf(int wait_status) {
  return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status)
                                  : WEXITSTATUS(wait_status);
}

StatusOr<int> ParseSignal(const std::string& text) {
  const auto number = ParseInt(text);
  if (number) {
    // 0 only asks whether the process is there (kill(2)).
    if (*number >= 0 && *number <= SIGRTMAX) return static_cast<int>(*number);
    return InvalidArgument("signal " + Quoted(text) + " out of range");
  }
  std::string name = Lower(text);
  if (StartsWith(name, "sig")) name.erase(0, 3);
  for (int signal = 1; signal <= SIGSYS; ++signal) {
    const char* known = sigabbrev_np(signal);
    if (known != nullptr && name == Lower(known)) return signal;
  }
  if (name == "rtmin") return SIGRTMIN;
  if (name == "rtmax") return SIGRTMAX;
  if (StartsWith(name, "rtmin+")) {
    const auto above = ParseInt(name.substr(6));
    if (above && *above >= 0 && *above <= SIGRTMAX - SIGRTMIN) {
      return SIGRTMIN + static_cast<int>(*above);
    }
  }
  if (StartsWith(name, "rtmax-")) {
    const auto below = ParseInt(name.substr(6));
    if (below && *below >= 0 && *below <= SIGRTMAX - SIGRTMIN) {
      return SIGRTMAX - static_cast<int>(*below);
    }
  }
  return InvalidArgument("unknown signal " + Quoted(text));
}

Status CloseOnExecFrom(int first) {
  if (close_range(static_cast<unsigned>(first), ~0u, CLOSE_RANGE_CLOEXEC) !=
      0) {
    return Errno(errno, "close_range");
  }
  return OkStatus();
}

Status CloseAllBut(int first, std::vector<int> kept) {
  std::sort(kept.begin(), kept.end());
  auto next = static_cast<unsigned>(first);
  for (const int fd : kept) {
    if (fd < 0 || static_cast<unsigned>(fd) < next) continue;
    const auto end = static_cast<unsigned>(fd);
    if (end > next && close_range(next, end - 1, 0) != 0) {
      return Errno(errno, "close_range");
    }
    next = end + 1;
  }
  if (close_range(next, ~0u, 0) != 0) return Errno(errno, "close_range");
  return OkStatus();
}

}  // namespace berth
