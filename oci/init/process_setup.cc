#include "oci/init/process_setup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <optional>
#include <utility>

#include "base/strings.h"
#include "base/sys/file.h"
#include "base/sys/process.h"
#include "oci/init/privileges.h"
#include "oci/init/procfs.h"
#include "oci/init/program.h"
#include "oci/init/scheduling.h"

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

// As the host's /proc has it, whatever pid namespace we are in.
pid_t HostPid() {
  char self[32] = {};
  const ssize_t n = readlink("/proc/self", self, sizeof(self) - 1);
  return n > 0 ? static_cast<pid_t>(ParseInt(self).value_or(0)) : 0;
}

// Without no_new_privs a filter is the right of CAP_SYS_ADMIN (seccomp(2)).
uint64_t KeptCapabilities(const ProcessSpec& process, const Program& program) {
  uint64_t kept = 0;
  if (program.filter != nullptr && !process.no_new_privileges) {
    kept |= uint64_t{1} << CAP_SYS_ADMIN;
  }
  if (program.scheduler) kept |= uint64_t{1} << CAP_SYS_NICE;
  return kept;
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

Status JoinResctrl(const std::vector<std::string>& tasks) {
  for (const std::string& path : tasks) {
    ASSIGN_OR_RETURN(const UniqueFd file, OpenFile(path, O_WRONLY));
    RETURN_IF_ERROR_AS(WriteAll(file.get(), "0"), "join " + path);
  }
  return OkStatus();
}

// Without CAP_SYS_RESOURCE the score only goes up, and no lower than the
// caller's own.
Status SetOomScoreOf(pid_t pid, int score, std::vector<std::string>& warnings) {
  const auto file = OpenProcfs("/proc", std::to_string(pid) + "/oom_score_adj");
  // It has died: its end says more.
  const int error = ErrnoOf(file.status());
  if (error == ENOENT || error == ESRCH) return OkStatus();
  if (!file.ok()) return file.status();
  const std::string text = std::to_string(score);
  if (write(file->get(), text.data(), text.size()) > 0 || errno == ESRCH) {
    return OkStatus();
  }
  if (errno != EACCES && errno != EPERM) {
    return Errno(errno, "set process.oomScoreAdj " + text);
  }
  warnings.push_back("process.oomScoreAdj " + text +
                     " is below what this host allows: left as it is");
  return OkStatus();
}

Status TakeOomScore(const ProcessSpec& process, const Handshake& channel) {
  if (!process.oom_score_adj) return OkStatus();
  std::vector<std::string> warnings;
  {
    const Dumpable dumpable;
    RETURN_IF_ERROR(SetOomScoreOf(HostPid(), *process.oom_score_adj, warnings));
  }
  for (const std::string& warning : warnings) {
    RETURN_IF_ERROR(channel.Send(MessageType::kWarning, warning));
  }
  return OkStatus();
}

Dumpable::Dumpable() { prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); }

Dumpable::~Dumpable() { prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); }

// Of a runtime that is not root, and of newuidmap, the kernel takes maps for a
// dumpable process only. Nobody else is in its namespaces yet.
Status GetIds(bool by_user, const Handshake& channel) {
  std::optional<Dumpable> dumpable;
  if (by_user) dumpable.emplace();
  RETURN_IF_ERROR(channel.Send(MessageType::kMapIds));
  return channel.WaitForGo();
}

Status TakeHabits(const Linux& linux) {
  const std::string& name = linux.personality.domain;
  const unsigned long domain = name == "LINUX32" ? PER_LINUX32 : PER_LINUX;
  if (!name.empty() && personality(domain) < 0) {
    return Errno(errno, "set linux.personality " + name);
  }
  return SetMemoryPolicy(linux.memory_policy);
}

StatusOr<Program> BecomeProcess(const ProcessSpec& process,
                                const RootedPath& root,
                                const SeccompFilter* filter,
                                const UniqueFd& label, bool user_namespace,
                                const Handshake& channel) {
  Program program;
  program.args = process.args;
  program.env = FinalEnvironment(process, root);
  program.terminal = process.terminal;
  program.filter = filter;
  if (process.scheduler && !IsInherited(*process.scheduler)) {
    program.scheduler = process.scheduler;
  }
  const Status early = EnterDirectory(process.cwd, root);
  if (!early.ok() && early.code() != StatusCode::kPermissionDenied) {
    return early;
  }
  std::vector<std::string> warnings =
      CapabilityWarnings(process.capabilities.value_or(Capabilities()));
  // In a user namespace there is no right to raise them: the parent does it.
  if (!user_namespace) {
    RETURN_IF_ERROR(SetRlimits(0, process.rlimits, warnings));
  }
  for (const std::string& warning : warnings) {
    RETURN_IF_ERROR(channel.Send(MessageType::kWarning, warning));
  }
  umask(process.user.umask.value_or(0022));
  if (process.no_new_privileges &&
      prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return Errno(errno, "set no_new_privs");
  }
  const uint64_t kept = KeptCapabilities(process, program);
  ASSIGN_OR_RETURN(const CapabilitySets sets,
                   BecomeUser(process.user, process.capabilities, kept));
  if ((kept & ~sets.permitted) != 0 || (kept & ~sets.effective) != 0) {
    program.last_capabilities = sets;
  }
  // A directory that root may not enter (NFS, FUSE) but the user may.
  if (!early.ok()) RETURN_IF_ERROR(EnterDirectory(process.cwd, root));
  RETURN_IF_ERROR(WriteExecLabel(label, process));
  return program;
}

Status FindWithoutDescriptors(const ProcessIo& io, std::vector<int> kept,
                              Program& program) {
  RETURN_IF_ERROR(CloseAllBut(3 + io.preserve_fds, std::move(kept)));
  if (program.args.empty()) return OkStatus();  // nothing to start
  ASSIGN_OR_RETURN(program.path, FindProgram(program.args[0], program.env));
  return OkStatus();
}

Status LeadSession(const Program& program) {
  setsid();  // fails only for who leads a session already
  if (program.terminal && ioctl(STDIN_FILENO, TIOCSCTTY, 0) != 0) {
    return Errno(errno, "take the terminal for the session");
  }
  // What the runtime's caller ignores (nohup) is not the program's affair.
  for (int number = 1; number < NSIG; ++number) signal(number, SIG_DFL);
  return OkStatus();
}

Status Confine(const Program& program) {
  if (program.filter != nullptr) {
    ASSIGN_OR_RETURN(const int listener, LoadSeccomp(*program.filter));
    if (listener >= 0) RETURN_IF_ERROR(program.post->Give(listener));
  }
  if (!program.last_capabilities) return OkStatus();
  return SetCapabilities(*program.last_capabilities);
}

Status SettleDown(const Program& program) {
  if (program.scheduler) RETURN_IF_ERROR(SetScheduler(0, *program.scheduler));
  return Confine(program);
}

}  // namespace berth::oci
