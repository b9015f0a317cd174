#include "oci/init/init_process.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/strings.h"
#include "base/sys/file.h"
#include "base/sys/namespace.h"
#include "oci/container/hooks.h"
#include "oci/init/id_map.h"
#include "oci/init/privileges.h"
#include "oci/init/process_setup.h"
#include "oci/init/program.h"
#include "oci/init/rootfs.h"
#include "oci/init/sysctls.h"
#include "oci/init/terminal.h"

namespace berth::oci {
namespace {

Status EnterNamespaces(const NamespacePlan& plan) {
  for (const NamespacePlan::Join& join : plan.joins) {
    RETURN_IF_ERROR_AS(
        EnterNamespace(join.fd.get(), join.type),
        std::string("join namespace ") + NamespaceProcName(join.type));
  }
  if (plan.new_cgroup) {
    RETURN_IF_ERROR_AS(UnshareNamespaces(CLONE_NEWCGROUP),
                       "new cgroup namespace");
  }
  return OkStatus();
}

Status RaiseLoopback() {
  const UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return Errno(errno, "socket");
  struct ifreq request = {};
  request.ifr_name[0] = 'l';
  request.ifr_name[1] = 'o';
  request.ifr_flags = IFF_UP;
  if (ioctl(fd.get(), SIOCSIFFLAGS, &request) != 0) {
    return Errno(errno, "set lo up");
  }
  return OkStatus();
}

Status SetNames(const Spec& spec) {
  if (!spec.hostname.empty() &&
      sethostname(spec.hostname.data(), spec.hostname.size()) != 0) {
    return Errno(errno, "set hostname " + Quoted(spec.hostname));
  }
  if (!spec.domainname.empty() &&
      setdomainname(spec.domainname.data(), spec.domainname.size()) != 0) {
    return Errno(errno, "set domainname " + Quoted(spec.domainname));
  }
  return OkStatus();
}

Status MakeTerminal(const InitRequest& request, Rootfs& rootfs,
                    const Handshake& channel, UniqueFd& slave) {
  ASSIGN_OR_RETURN(
      Terminal terminal,
      OpenTerminal(rootfs.root(), request.spec.process->console_size,
                   request.spec.process->user.uid));
  RETURN_IF_ERROR(rootfs.AttachConsole(terminal.slave.get()));
  RETURN_IF_ERROR(
      channel.Send(MessageType::kConsole, "", terminal.master.get()));
  slave = std::move(terminal.slave);
  return OkStatus();
}

// Hooks inside that have no environment get the container's.
const std::vector<std::string>* EnvironmentOf(const InitRequest& request) {
  return request.spec.process ? &request.spec.process->env : nullptr;
}

Status RunCreationHooks(const InitRequest& request, const Rootfs& rootfs,
                        const Handshake& channel) {
  const Hooks& hooks = request.spec.hooks;
  if (!hooks.prestart.empty() || !hooks.create_runtime.empty()) {
    RETURN_IF_ERROR(channel.Send(MessageType::kRunHooks));
    RETURN_IF_ERROR(channel.WaitForGo());
  }
  if (hooks.create_container.empty()) return OkStatus();
  if (fchdir(rootfs.root().fd()) != 0) return Errno(errno, "fchdir");
  return RunHooks("createContainer", hooks.create_container,
                  request.hook_state("creating", getpid()),
                  {.env = EnvironmentOf(request)});
}

// Blocks in the one call that no filter forbids.
Status WaitForStart(int start) {
  char byte;
  const ssize_t n = TEMP_FAILURE_RETRY(read(start, &byte, 1));
  if (n != 1) return Errno(n < 0 ? errno : EPIPE, "wait for start");
  return OkStatus();
}

// By the process inside: the end of file is the runtime's.
Status WaitForByte(int go) {
  char byte;
  const bool said = TEMP_FAILURE_RETRY(read(go, &byte, 1)) == 1;
  close(go);
  return said ? OkStatus() : Cancelled("the runtime gave up");
}

// The one that hears of errors is who says start.
Status StartAndRun(const InitRequest& request, const Program& program) {
  const std::vector<Hook>& hooks = request.spec.hooks.start_container;
  const Execution execution(program.path, program.args, program.env);
  // What only the loading of the filter needs is not held while others may
  // look on for long; but hooks could not be made behind a filter. A listener
  // is for the one who creates to pass on.
  const bool early =
      program.post != nullptr || (program.last_capabilities && hooks.empty());
  if (early) RETURN_IF_ERROR(SettleDown(program));
  RETURN_IF_ERROR(WaitForStart(request.start));
  if (!request.spec.process) {
    return InvalidArgument("process: nothing to start");
  }
  if (!hooks.empty()) {
    const auto confine = [&] { return early ? OkStatus() : Confine(program); };
    RETURN_IF_ERROR(RunHooks("startContainer", hooks,
                             request.hook_state("created", getpid()),
                             {.env = &program.env, .confine = confine}));
  }
  // Its presence tells an execve from a death.
  if (write(request.result, "x", 1) != 1) return Errno(errno, "answer start");
  if (!early) RETURN_IF_ERROR(SettleDown(program));
  return execution.Run();
}

// Returns only to say why not, which `result` has been told.
Status AwaitStart(const InitRequest& request, const Program& program) {
  Status failure = LeadSession(program);
  if (failure.ok()) failure = StartAndRun(request, program);
  const std::string text = EncodeStatus(failure);
  (void)!write(request.result, text.data(), text.size());
  return failure;
}

Status BuildRoot(const InitRequest& request, Rootfs& rootfs,
                 const Handshake& channel) {
  RETURN_IF_ERROR(rootfs.Build());
  const bool terminal = request.spec.process && request.spec.process->terminal;
  UniqueFd slave;
  if (terminal) {
    RETURN_IF_ERROR(MakeTerminal(request, rootfs, channel, slave));
  }
  RETURN_IF_ERROR(RunCreationHooks(request, rootfs, channel));
  if (request.spec.process) {
    // May fail on a read-only root; then going there says so.
    (void)rootfs.root().MakeDirectories(request.spec.process->cwd, 0755).ok();
  }
  RETURN_IF_ERROR(rootfs.Enter(request.no_pivot));
  RETURN_IF_ERROR(rootfs.Seal());
  return terminal ? UseTerminal(slave.get()) : OkStatus();
}

Status EnterNewWorld(const InitRequest& request, const NamespacePlan& plan,
                     const Handshake& channel, bool in_cgroup) {
  umask(0);
  RETURN_IF_ERROR(TakeStdio(request.io));
  if (!in_cgroup) RETURN_IF_ERROR(request.cgroup.EnterSelf());
  RETURN_IF_ERROR(JoinResctrl(request.resctrl_tasks));
  if (plan.by_user && request.spec.process) {
    RETURN_IF_ERROR(TakeOomScore(*request.spec.process, channel));
  }
  if (plan.new_user()) RETURN_IF_ERROR(GetIds(plan.by_user, channel));
  return EnterNamespaces(plan);
}

// The root and all that is around it: from here on the host is out of reach.
StatusOr<Rootfs> EnterRoot(const InitRequest& request,
                           const NamespacePlan& plan,
                           const Handshake& channel) {
  RETURN_IF_ERROR(SetSysctls(request.spec.linux.sysctl));
  ASSIGN_OR_RETURN(Rootfs rootfs,
                   Rootfs::Open(request.mounts, request.rootfs, plan.has_user(),
                                request.prepared_mounts));
  if (plan.has_user()) {
    RETURN_IF_ERROR(BecomeNamespaceRoot(request.spec.linux.uid_mappings,
                                        request.spec.linux.gid_mappings));
  }
  if (!request.io.no_new_keyring) {
    if (request.spec.process) {
      RETURN_IF_ERROR(SetKeyringLabel(*request.spec.process));
    }
    RETURN_IF_ERROR(JoinSessionKeyring("_ses." + request.id));
  }
  if (plan.new_network()) RETURN_IF_ERROR(RaiseLoopback());
  RETURN_IF_ERROR(SetNames(request.spec));
  RETURN_IF_ERROR(BuildRoot(request, rootfs, channel));
  return rootfs;
}

// All but the program's path.
StatusOr<Program> Prepare(const InitRequest& request, const NamespacePlan& plan,
                          const Handshake& channel, bool in_cgroup) {
  RETURN_IF_ERROR(EnterNewWorld(request, plan, channel, in_cgroup));
  if (!request.spec.linux.net_devices.empty()) {
    // Before sysctls: some are of a device.
    RETURN_IF_ERROR(channel.Send(MessageType::kMoveDevices));
    RETURN_IF_ERROR(channel.WaitForGo());
  }
  const ProcessSpec* process =
      request.spec.process ? &*request.spec.process : nullptr;
  UniqueFd label;
  if (process != nullptr) {
    ASSIGN_OR_RETURN(label, OpenExecLabel(*process));
  }
  ASSIGN_OR_RETURN(const Rootfs rootfs, EnterRoot(request, plan, channel));
  // After the last hook: all children from now on are born there.
  if (plan.pid.valid() && !plan.pid_first) {
    RETURN_IF_ERROR_AS(EnterNamespace(plan.pid.get(), CLONE_NEWPID),
                       "join pid namespace");
  }
  RETURN_IF_ERROR(TakeHabits(request.spec.linux));
  if (process == nullptr) return Program();
  GiveStdioTo(process->user.uid);
  return BecomeProcess(*process, rootfs.root(), request.filter, label,
                       plan.has_user(), channel);
}

// To where the runtime has to know that nothing but the start is missing.
StatusOr<Program> Ready(const InitRequest& request, const NamespacePlan& plan,
                        const Handshake& channel, int go, bool in_cgroup) {
  ASSIGN_OR_RETURN(Program program, Prepare(request, plan, channel, in_cgroup));
  program.post = request.post;
  const int post = request.post != nullptr ? request.post->process_fd() : -1;
  RETURN_IF_ERROR(FindWithoutDescriptors(
      request.io, {channel.fd(), request.start, request.result, go, post},
      program));
  RETURN_IF_ERROR(channel.Send(MessageType::kReady));
  RETURN_IF_ERROR(channel.WaitForGo());
  return program;
}

Status EnterUserNamespace(const NamespacePlan& plan) {
  if (plan.pid_first) {
    RETURN_IF_ERROR_AS(EnterNamespace(plan.pid.get(), CLONE_NEWPID),
                       "join pid namespace");
  }
  if (plan.user.valid()) {
    RETURN_IF_ERROR_AS(EnterNamespace(plan.user.get(), CLONE_NEWUSER),
                       "join user namespace");
  }
  if (plan.at_birth == 0) return OkStatus();
  RETURN_IF_ERROR_AS(UnshareNamespaces(static_cast<int>(plan.at_birth)),
                     "new namespaces");
  return OkStatus();
}

}  // namespace

Status RunInit(const InitRequest& request, const NamespacePlan& plan,
               Handshake& channel, bool in_cgroup) {
  ASSIGN_OR_RETURN(const Program program,
                   Ready(request, plan, channel, -1, in_cgroup));
  channel.Close();
  return AwaitStart(request, program);
}

Status RunInitOutside(const InitRequest& request, const NamespacePlan& plan,
                      Handshake& channel, Entry& entry, int go,
                      bool in_cgroup) {
  if (!in_cgroup) RETURN_IF_ERROR(request.cgroup.EnterSelf());
  RETURN_IF_ERROR(EnterUserNamespace(plan));
  ASSIGN_OR_RETURN(const Program program,
                   Ready(request, plan, channel, go, true));
  channel.Close();
  const Status crossed = entry.Cross(false);
  if (!crossed.ok()) entry.Fail(crossed);
  RETURN_IF_ERROR(WaitForByte(go));
  return AwaitStart(request, program);
}

}  // namespace berth::oci
