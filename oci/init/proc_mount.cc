#include "oci/init/proc_mount.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sys/mount.h"
#include "base/sys/namespace.h"
#include "base/sys/process.h"

namespace berth::oci {
namespace {

constexpr int kOwnNamespaces =
    CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;

// What the member says, and which of its descriptors the mount is.
struct Report {
  int error = 0;
  int fd = -1;
};

StatusOr<UniqueFd> NewProc(const ProcOptions& options) {
  return NewFilesystem("proc", options.source, options.superblock, options.data,
                       options.attributes);
}

// Waits to be killed.
[[noreturn]] void MakeInside(const ProcOptions& options, int report) {
  const auto mounted = NewProc(options);
  const Report said = {mounted.ok() ? 0 : ErrnoOf(mounted.status()),
                       mounted.ok() ? mounted->get() : -1};
  (void)!write(report, &said, sizeof(said));
  close(report);
  while (true) pause();
}

// Leaves all of the host's, then makes the member as a child of its own parent
// and says its pid.
[[noreturn]] void MakeMember(int pid_namespace, const ProcOptions& options,
                             int report) {
  const auto make = [&]() -> StatusOr<pid_t> {
    RETURN_IF_ERROR(EnterNamespace(pid_namespace, CLONE_NEWPID));
    RETURN_IF_ERROR(EnterEmptyRoot());
    RETURN_IF_ERROR(CloseAllBut(0, {report}));
    ASSIGN_OR_RETURN(const ClonedProcess member,
                     CloneProcess({.sibling = true}));
    if (member.pid == 0) MakeInside(options, report);
    return member.pid;
  };
  const auto pid = make();
  const pid_t said = pid.ok() ? *pid : -ErrnoOf(pid.status());
  (void)!write(report, &said, sizeof(said));
  _exit(0);
}

// Both messages, in whichever order they come: the pid is the shorter one.
Status ReadReports(int fd, pid_t& pid, Report& report) {
  bool reported = false;
  for (pid = 0; pid == 0 || (pid > 0 && !reported);) {
    char bytes[sizeof(Report)];
    // Packets: each read is one write (pipe(2), O_DIRECT).
    const ssize_t n = TEMP_FAILURE_RETRY(read(fd, bytes, sizeof(bytes)));
    if (n == sizeof(pid)) {
      memcpy(&pid, bytes, sizeof(pid));
    } else if (n == sizeof(report)) {
      memcpy(&report, bytes, sizeof(report));
      reported = true;
    } else {
      return Internal("make a procfs: its maker died");
    }
  }
  if (pid < 0) return Errno(-pid, "make a procfs");
  return OkStatus();
}

StatusOr<UniqueFd> TakeFd(pid_t pid, int fd) {
  ASSIGN_OR_RETURN(const UniqueFd pidfd, OpenPidfd(pid));
  UniqueFd taken(
      static_cast<int>(syscall(SYS_pidfd_getfd, pidfd.get(), fd, 0)));
  if (!taken.valid()) return Errno(errno, "pidfd_getfd");
  return taken;
}

}  // namespace

StatusOr<UniqueFd> MountProcByMember(int pid_namespace,
                                     const ProcOptions& options) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_DIRECT) != 0) return Errno(errno, "pipe");
  const UniqueFd reads(ends[0]);
  UniqueFd writes(ends[1]);
  ASSIGN_OR_RETURN(const ClonedProcess maker,
                   CloneProcess({.namespaces = kOwnNamespaces}));
  if (maker.pid == 0) MakeMember(pid_namespace, options, writes.get());
  writes.reset();
  pid_t pid = 0;
  const auto take = [&]() -> StatusOr<UniqueFd> {
    Report report;
    RETURN_IF_ERROR(ReadReports(reads.get(), pid, report));
    if (report.error != 0) return Errno(report.error, "make a procfs");
    return TakeFd(pid, report.fd);
  };
  StatusOr<UniqueFd> mounted = take();
  TEMP_FAILURE_RETRY(waitpid(maker.pid, nullptr, 0));
  if (pid > 0) {
    kill(pid, SIGKILL);
    TEMP_FAILURE_RETRY(waitpid(pid, nullptr, 0));
  }
  return mounted;
}

StatusOr<UniqueFd> MountProcOf(int pid_namespace, const ProcOptions& options) {
  ProcOptions named = options;
  named.superblock.push_back("pidns=/proc/self/fd/" +
                             std::to_string(pid_namespace));
  auto mounted = NewProc(named);
  // EINVAL: the kernel has no such option, or refuses another one, which it
  // will again.
  if (!mounted.ok() && ErrnoOf(mounted.status()) == EINVAL) {
    return MountProcByMember(pid_namespace, options);
  }
  return mounted;
}

}  // namespace berth::oci
