#include "shim/runtime/pod_init.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utility>

#include "base/strings.h"
#include "base/sys/mount.h"
#include "base/sys/namespace.h"
#include "base/sys/process.h"
#include "base/unique_fd.h"

namespace berth::shim {
namespace {

struct Pipe {
  UniqueFd read_end;
  UniqueFd write_end;

  static StatusOr<Pipe> Make() {
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0) return Errno(errno, "pipe");
    return Pipe{UniqueFd(fds[0]), UniqueFd(fds[1])};
  }
};

Status DropCapabilities() {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct none[2] = {};
  if (syscall(SYS_capset, &header, none) != 0) return Errno(errno, "capset");
  return OkStatus();
}

Status BecomeHarmless(bool user_namespace) {
  if (user_namespace && (setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0)) {
    return Errno(errno, "become root of the user namespace");
  }
  setsid();
  prctl(PR_SET_NAME, "berth-pause");
  // As pid 1 it is only sent what it has a handler for, and SIGKILL from
  // outside; children that nobody waits for reap themselves.
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  ignore.sa_flags = SA_NOCLDWAIT;
  sigaction(SIGCHLD, &ignore, nullptr);
  RETURN_IF_ERROR(EnterEmptyRoot());
  RETURN_IF_ERROR(DropCapabilities());
  // After all that changes who we are, which would take it back.
  if (prctl(PR_SET_DUMPABLE, 0) != 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) {
    return Errno(errno, "prctl");
  }
  return OkStatus();
}

// Reads for ever from a pipe whose other end it holds itself.
[[noreturn]] void RunInit(const Pipe& report, const Pipe& never,
                          bool user_namespace) {
  Status status = CloseAllBut(
      3, {report.write_end.get(), never.read_end.get(), never.write_end.get()});
  if (status.ok()) status = BecomeHarmless(user_namespace);
  if (!status.ok()) {
    const std::string why = Message(status);
    (void)!write(report.write_end.get(), why.data(), why.size());
    _exit(1);
  }
  if (dup2(never.read_end.get(), 0) < 0 || dup2(never.write_end.get(), 2) < 0 ||
      dup2(report.write_end.get(), 1) < 0 || close_range(3, ~0u, 0) != 0 ||
      syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 0, nullptr) != 0) {
    _exit(1);
  }
  char byte = 0;
  // A caller that died before it would have been told of reads no more; exit(2)
  // is the one call besides that strict mode allows.
  if (write(1, &byte, 1) != 1) syscall(SYS_exit, 1);
  while (true) (void)!read(0, &byte, 1);
}

// In a process of its own, which gives up the caller's rights: makes the child
// for the caller and says its pid to `born`, which the child never reads.
[[noreturn]] void MakeInside(const UniqueFd& user, const UniqueFd& born,
                             const Pipe& report, const Pipe& never,
                             const CloneOptions& options) {
  const auto make = [&]() -> StatusOr<pid_t> {
    RETURN_IF_ERROR(
        CloseAllBut(3, {user.get(), born.get(), report.write_end.get(),
                        never.read_end.get(), never.write_end.get()}));
    RETURN_IF_ERROR(EnterNamespace(user.get(), CLONE_NEWUSER));
    ASSIGN_OR_RETURN(const ClonedProcess child, CloneProcess(options));
    if (child.pid == 0) RunInit(report, never, true);
    return child.pid;
  };
  const StatusOr<pid_t> pid = make();
  const pid_t said = pid.ok() ? *pid : -1;
  (void)!write(born.get(), &said, sizeof(said));
  _exit(pid.ok() ? 0 : 1);
}

StatusOr<pid_t> CloneInside(const std::string& user_namespace,
                            const Pipe& report, const Pipe& never,
                            CloneOptions options) {
  ASSIGN_OR_RETURN(const UniqueFd user,
                   OpenNamespace(user_namespace, CLONE_NEWUSER));
  ASSIGN_OR_RETURN(Pipe born, Pipe::Make());
  ASSIGN_OR_RETURN(const ClonedProcess middle, CloneProcess({}));
  options.sibling = true;
  if (middle.pid == 0) {
    MakeInside(user, born.write_end, report, never, options);
  }
  born.write_end.reset();
  pid_t pid = -1;
  const ssize_t n =
      TEMP_FAILURE_RETRY(read(born.read_end.get(), &pid, sizeof(pid)));
  TEMP_FAILURE_RETRY(waitpid(middle.pid, nullptr, 0));
  if (n != sizeof(pid) || pid <= 0) {
    return Internal("make a process in user namespace " +
                    Quoted(user_namespace));
  }
  return pid;
}

StatusOr<pid_t> Clone(const std::string& user_namespace, const Pipe& report,
                      const Pipe& never) {
  const CloneOptions options{.namespaces = CLONE_NEWPID | CLONE_NEWNS};
  if (!user_namespace.empty()) {
    return CloneInside(user_namespace, report, never, options);
  }
  ASSIGN_OR_RETURN(const ClonedProcess child, CloneProcess(options));
  if (child.pid == 0) RunInit(report, never, false);
  return child.pid;
}

}  // namespace

StatusOr<pid_t> MakePodInit(const std::string& user_namespace) {
  ASSIGN_OR_RETURN(Pipe report, Pipe::Make());
  ASSIGN_OR_RETURN(const Pipe never, Pipe::Make());
  ASSIGN_OR_RETURN(const pid_t pid, Clone(user_namespace, report, never));
  report.write_end.reset();
  char said[256];
  const ssize_t n =
      TEMP_FAILURE_RETRY(read(report.read_end.get(), said, sizeof(said)));
  if (n == 1 && said[0] == 0) return pid;
  TEMP_FAILURE_RETRY(waitpid(pid, nullptr, 0));
  return Internal(n > 0 ? std::string(said, static_cast<size_t>(n))
                        : "it died before it was ready");
}

}  // namespace berth::shim
