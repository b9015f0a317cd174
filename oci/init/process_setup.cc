#include "oci/init/process_setup.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/sys/process.h"
#include "oci/init/privileges.h"
#include "oci/init/program.h"

namespace berth::oci {
namespace {

// Pipes, sockets and pseudo terminals (majors 136..143) are the container's
// own; any other node may be the host's, like its /dev/null.
bool MayChangeOwner(const struct stat& st) {
  if (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode)) return true;
  return S_ISCHR(st.st_mode) && major(st.st_rdev) >= 136 &&
         major(st.st_rdev) <= 143;
}

void GiveTo(int fd, uid_t owner) {
  struct stat st;
  if (fstat(fd, &st) != 0 || st.st_uid == owner || !MayChangeOwner(st)) return;
  // Refused (EROFS, EPERM in a user namespace): the streams still work, only
  // /dev/stdout cannot be opened again.
  (void)!fchown(fd, owner, static_cast<gid_t>(-1));
}

Status Load(const SeccompFilter* filter) {
  return filter == nullptr ? OkStatus() : LoadSeccomp(*filter);
}

}  // namespace

Status TakeStdio(const ProcessIo& io) {
  setsid();  // fails only for who leads a session already
  // Words to a runtime that is gone must not kill us unheard.
  signal(SIGPIPE, SIG_IGN);
  sigset_t none;
  sigemptyset(&none);
  if (sigprocmask(SIG_SETMASK, &none, nullptr) != 0) {
    return Errno(errno, "unblock signals");
  }
  const int wanted[] = {io.stdin_fd, io.stdout_fd, io.stderr_fd};
  for (int fd = 0; fd < 3; ++fd) {
    if (wanted[fd] >= 0 && dup2(wanted[fd], fd) < 0) {
      return Errno(errno, "dup standard stream");
    }
  }
  return OkStatus();
}

void GiveStdioTo(uid_t owner) {
  for (int fd = 0; fd < 3; ++fd) GiveTo(fd, owner);
}

void GiveIoTo(const ProcessIo& io, uid_t owner) {
  const int fds[] = {io.stdin_fd, io.stdout_fd, io.stderr_fd};
  for (int fd = 0; fd < 3; ++fd) GiveTo(fds[fd] >= 0 ? fds[fd] : fd, owner);
}

StatusOr<Program> PrepareProcess(const ProcessSpec& process,
                                 const RootedPath& root,
                                 const SeccompFilter* filter,
                                 bool user_namespace,
                                 const Handshake& channel) {
  Program program;
  program.args = process.args;
  program.env = FinalEnvironment(process, root);
  const Status early = EnterDirectory(process.cwd, root);
  if (!early.ok() && early.code() != StatusCode::kPermissionDenied) {
    return early;
  }
  // In a user namespace there is no right to raise them: the parent does it.
  if (!user_namespace) {
    std::vector<std::string> warnings;
    RETURN_IF_ERROR(SetRlimits(0, process.rlimits, warnings));
    for (const std::string& warning : warnings) {
      RETURN_IF_ERROR(channel.Send(MessageType::kWarning, warning));
    }
  }
  umask(process.user.umask.value_or(0022));
  if (process.no_new_privileges &&
      prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return Errno(errno, "set no_new_privs");
  }
  if (!process.no_new_privileges) RETURN_IF_ERROR(Load(filter));
  RETURN_IF_ERROR(BecomeUser(process.user, process.capabilities));
  // A directory that root may not enter (NFS, FUSE) but the user may.
  if (!early.ok()) RETURN_IF_ERROR(EnterDirectory(process.cwd, root));
  ASSIGN_OR_RETURN(program.path, FindProgram(process.args[0], program.env));
  return program;
}

Status RunProgram(const ProcessSpec& process, const Program& program,
                  const SeccompFilter* filter, const UniqueFd& label,
                  int preserve_fds) {
  RETURN_IF_ERROR(WriteExecLabel(label, process));
  // What the runtime's caller ignores (nohup) is not the program's affair.
  for (int number = 1; number < NSIG; ++number) signal(number, SIG_DFL);
  RETURN_IF_ERROR(CloseOnExecFrom(3 + preserve_fds));
  if (process.no_new_privileges) RETURN_IF_ERROR(Load(filter));
  return Execute(program.path, program.args, program.env);
}

}  // namespace berth::oci
