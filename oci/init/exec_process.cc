#include "oci/init/exec_process.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs/rooted_path.h"
#include "base/sys/file.h"
#include "base/sys/namespace.h"
#include "oci/init/id_map.h"
#include "oci/init/privileges.h"
#include "oci/init/process_setup.h"
#include "oci/init/program.h"
#include "oci/init/scheduling.h"
#include "oci/init/terminal.h"

namespace berth::oci {
namespace {

// An init that is about to end has no namespaces any more.
Status Enter(int init, int namespaces) {
  const Status entered = EnterNamespace(init, namespaces);
  if (ErrnoOf(entered) != ESRCH) return entered;
  return FailedPrecondition("the container is ending");
}

Status JoinContainer(const ExecRequest& request, bool in_cgroup) {
  umask(0);
  RETURN_IF_ERROR(TakeStdio(request.io));
  const CpuAffinity affinity =
      request.process.exec_cpu_affinity.value_or(CpuAffinity());
  RETURN_IF_ERROR(SetAffinity(affinity.initial, "initial"));
  if (!in_cgroup) RETURN_IF_ERROR(request.cgroup.EnterSelf());
  RETURN_IF_ERROR(JoinResctrl(request.resctrl_tasks));
  RETURN_IF_ERROR(SetAffinity(affinity.final, "final"));
  int namespaces = request.namespaces;
  // For the child: with the host's rights, which the user namespace takes. Who
  // has none gets them by that.
  if ((namespaces & CLONE_NEWPID) != 0 && geteuid() == 0) {
    RETURN_IF_ERROR_AS(Enter(request.init_pidfd, CLONE_NEWPID),
                       "join pid namespace");
    namespaces &= ~CLONE_NEWPID;
  }
  RETURN_IF_ERROR_AS(Enter(request.init_pidfd, namespaces),
                     "join the container's namespaces");
  if (!request.user_namespace) return OkStatus();
  return BecomeNamespaceRoot(request.linux.uid_mappings,
                             request.linux.gid_mappings);
}

// To that of a container that has no mount namespace to find it by.
Status ChangeRoot(const UniqueFd& root) {
  if (!root.valid()) return OkStatus();
  if (fchdir(root.get()) != 0) return Errno(errno, "fchdir to the root");
  if (chroot(".") != 0) return Errno(errno, "chroot");
  return OkStatus();
}

Status MakeTerminal(const ExecRequest& request, const RootedPath& root,
                    const Handshake& channel) {
  ASSIGN_OR_RETURN(const Terminal terminal,
                   OpenTerminal(root, request.process.console_size,
                                request.process.user.uid));
  RETURN_IF_ERROR(
      channel.Send(MessageType::kConsole, "", terminal.master.get()));
  return UseTerminal(terminal.slave.get());
}

// All that is done while nobody in the container can look.
StatusOr<Program> Prepare(const ExecRequest& request, const Handshake& channel,
                          bool in_cgroup) {
  // Of the host's /proc: setns takes it out of sight.
  ASSIGN_OR_RETURN(const UniqueFd label, OpenExecLabel(request.process));
  if (geteuid() != 0) {
    RETURN_IF_ERROR(TakeOomScore(request.process, channel));
  }
  UniqueFd own_root;
  if ((request.namespaces & CLONE_NEWNS) == 0) {
    ASSIGN_OR_RETURN(
        own_root,
        OpenFile("/proc/" + std::to_string(request.init_pid) + "/root",
                 O_PATH | O_DIRECTORY));
  }
  RETURN_IF_ERROR(SetKeyringLabel(request.process));
  RETURN_IF_ERROR(JoinContainer(request, in_cgroup));
  RETURN_IF_ERROR(ChangeRoot(own_root));
  if (!request.io.no_new_keyring) {
    RETURN_IF_ERROR(JoinSessionKeyring("_ses." + request.id));
  }
  ASSIGN_OR_RETURN(const RootedPath root, RootedPath::Open("/"));
  if (request.process.terminal) {
    RETURN_IF_ERROR(MakeTerminal(request, root, channel));
  }
  GiveStdioTo(request.process.user.uid);
  RETURN_IF_ERROR(TakeHabits(request.linux));
  return BecomeProcess(request.process, root, request.filter, label,
                       request.user_namespace, channel);
}

Status CrossAndRun(const Program& program, Entry& entry) {
  RETURN_IF_ERROR(entry.Cross(true));
  RETURN_IF_ERROR(LeadSession(program));
  const Execution execution(program.path, program.args, program.env);
  RETURN_IF_ERROR(SettleDown(program));
  return execution.Run();
}

}  // namespace

Status RunExec(const ExecRequest& request, Handshake& channel, Entry& entry,
               bool in_cgroup) {
  ASSIGN_OR_RETURN(Program program, Prepare(request, channel, in_cgroup));
  program.post = request.post;
  const int post = request.post != nullptr ? request.post->process_fd() : -1;
  RETURN_IF_ERROR(
      FindWithoutDescriptors(request.io, {channel.fd(), post}, program));
  RETURN_IF_ERROR(channel.Send(MessageType::kReady));
  RETURN_IF_ERROR(channel.WaitForGo());
  channel.Close();
  entry.Fail(CrossAndRun(program, entry));
}

}  // namespace berth::oci
