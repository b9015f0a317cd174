#include "oci/init/birth.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <utility>

#include "base/strings.h"
#include "base/sys/namespace.h"
#include "base/sys/process.h"
#include "oci/container/hooks.h"
#include "oci/init/entry.h"
#include "oci/init/exec_process.h"
#include "oci/init/id_map.h"
#include "oci/init/init_process.h"
#include "oci/init/namespace_plan.h"
#include "oci/init/net_devices.h"
#include "oci/init/privileges.h"
#include "oci/init/process_setup.h"
#include "oci/init/scheduling.h"
#include "oci/init/terminal.h"
#include "oci/init/time_namespace.h"

namespace berth::oci {
namespace {

// What the parent does on behalf of a child.
struct Parent {
  const ProcessSpec* process = nullptr;
  const Spec* spec = nullptr;  // of an init
  const ProcessIo& io;
  bool user_namespace = false;
  HookState hook_state;
  std::string bundle;
};

void Reap(pid_t pid) { (void)TEMP_FAILURE_RETRY(waitpid(pid, nullptr, 0)); }

// In the new process: nothing of what follows is a success.
[[noreturn]] void Die(const Handshake& channel, const Status& why) {
  (void)channel.SendError(why).ok();
  _exit(1);
}

Status MapIds(pid_t pid, const Spec& spec) {
  return WriteIdMaps(pid, spec.linux.uid_mappings, spec.linux.gid_mappings);
}

Status RunRuntimeHooks(const Parent& parent, pid_t pid) {
  const std::string state = parent.hook_state("creating", pid);
  const Hooks& hooks = parent.spec->hooks;
  const HookSetting setting = RuntimeHookSetting(hooks, parent.bundle);
  RETURN_IF_ERROR(RunHooks("prestart", hooks.prestart, state, setting));
  return RunHooks("createRuntime", hooks.create_runtime, state, setting);
}

Status TakeConsole(const Parent& parent, UniqueFd master, Born& born) {
  if (parent.io.console_socket.empty()) {
    born.console = std::move(master);
    return OkStatus();
  }
  return SendMaster(parent.io.console_socket, master.get());
}

// Answers one message; true when the child is ready.
StatusOr<bool> Answer(const Parent& parent, HandshakeMessage message,
                      Born& born) {
  switch (message.type) {
    case MessageType::kMapIds:
      RETURN_IF_ERROR(MapIds(born.pid, *parent.spec));
      RETURN_IF_ERROR(born.channel.Send(MessageType::kGo));
      return false;
    case MessageType::kMoveDevices:
      RETURN_IF_ERROR(MoveNetDevices(parent.spec->linux.net_devices, born.pid));
      RETURN_IF_ERROR(born.channel.Send(MessageType::kGo));
      return false;
    case MessageType::kRunHooks:
      RETURN_IF_ERROR(RunRuntimeHooks(parent, born.pid));
      RETURN_IF_ERROR(born.channel.Send(MessageType::kGo));
      return false;
    case MessageType::kConsole:
      RETURN_IF_ERROR(TakeConsole(parent, std::move(message.fd), born));
      return false;
    case MessageType::kWarning:
      born.warnings.push_back(message.text);
      return false;
    case MessageType::kReady:
      return true;
    case MessageType::kError:
      return DecodeStatus(message.text);
    case MessageType::kEnd:
      return Died();
    default:
      return Internal("unexpected message from the container's process");
  }
}

// By the parent, which has the rights for it; what a copy of the child would
// not have from it the program's own process does.
Status Schedule(const Parent& parent, pid_t pid) {
  const ProcessSpec& process = *parent.process;
  if (process.io_priority.has_value()) {
    RETURN_IF_ERROR(SetIoPriority(pid, *process.io_priority));
  }
  if (!process.scheduler || !IsInherited(*process.scheduler)) return OkStatus();
  return SetScheduler(pid, *process.scheduler);
}

// What was done to the child: whoever finds none says that it died, not that
// something is missing.
Status DoneTo(const Status& status) {
  return ErrnoOf(status) == ESRCH ? Died() : status;
}

Status Accompany(const Parent& parent, Born& born) {
  if (parent.process != nullptr && parent.process->oom_score_adj &&
      geteuid() == 0) {
    RETURN_IF_ERROR(DoneTo(SetOomScoreOf(
        born.pid, *parent.process->oom_score_adj, born.warnings)));
  }
  for (bool ready = false; !ready;) {
    ASSIGN_OR_RETURN(HandshakeMessage message, born.channel.Receive());
    ASSIGN_OR_RETURN(ready, Answer(parent, std::move(message), born));
  }
  if (parent.process == nullptr) return OkStatus();
  if (parent.user_namespace) {
    RETURN_IF_ERROR(
        DoneTo(SetRlimits(born.pid, parent.process->rlimits, born.warnings)));
  }
  return DoneTo(Schedule(parent, born.pid));
}

// To ready, or dead.
Status Raise(const Parent& parent, Born& born) {
  const Status status = Accompany(parent, born);
  if (status.ok()) return status;
  (void)SignalProcess(born.pidfd.get(), SIGKILL).ok();
  if (!parent.io.sibling) Reap(born.pid);
  return status;
}

// The parent writes to a child that may be dead.
class IgnorePipeSignal {
 public:
  IgnorePipeSignal() : before_(signal(SIGPIPE, SIG_IGN)) {}
  ~IgnorePipeSignal() { signal(SIGPIPE, before_); }

 private:
  const sighandler_t before_;
};

// Of the process between: what makes it root of the init's user namespace.
Status EnterUser(NamespacePlan& plan, const Handshake& channel) {
  if (plan.user.valid()) {
    return Annotate(EnterNamespace(plan.user.get(), CLONE_NEWUSER),
                    "join user namespace");
  }
  RETURN_IF_ERROR(GetIds(plan.by_user, channel));
  plan.at_birth &= ~static_cast<uint64_t>(CLONE_NEWUSER);
  plan.in_new_user = true;
  return OkStatus();
}

// Holds the init until the process between has said who it is: both speak on
// one channel, and kBorn comes first.
class Gate {
 public:
  Status Make() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return Errno(errno, "pipe");
    waits_.reset(ends[0]);
    opens_.reset(ends[1]);
    return OkStatus();
  }
  Status Open() const {
    if (write(opens_.get(), "g", 1) != 1) return Errno(errno, "write a pipe");
    return OkStatus();
  }
  // By the init, which then has neither end.
  Status Pass() {
    opens_.reset();
    char byte;
    const bool said = TEMP_FAILURE_RETRY(read(waits_.get(), &byte, 1)) == 1;
    waits_.reset();
    return said ? OkStatus() : Died();
  }

 private:
  UniqueFd waits_;
  UniqueFd opens_;
};

// The process between, for a user namespace that is there already: gives up
// the host's rights, then makes the init, as a child of its own parent. Also
// where only the root of a new user namespace may make the time namespace that
// its child is born in.
[[noreturn]] void RunMiddle(const InitRequest& request, NamespacePlan& plan,
                            Handshake& channel, bool in_cgroup) {
  const auto bear = [&]() -> Status {
    if (!in_cgroup) RETURN_IF_ERROR(request.cgroup.EnterSelf());
    RETURN_IF_ERROR(EnterUser(plan, channel));
    if (plan.time_by_middle()) {
      const Dumpable dumpable;
      RETURN_IF_ERROR(TimeNamespace::Make(request.spec.linux).status());
    }
    Gate gate;
    RETURN_IF_ERROR(gate.Make());
    ASSIGN_OR_RETURN(
        const ClonedProcess child,
        CloneProcess({.namespaces = plan.at_birth, .sibling = true}));
    if (child.pid == 0) {
      if (!gate.Pass().ok()) _exit(1);
      Die(channel, RunInit(request, plan, channel, true));
    }
    RETURN_IF_ERROR(channel.Send(MessageType::kBorn, std::to_string(child.pid),
                                 child.pidfd.get()));
    return gate.Open();
  };
  const Status status = bear();
  if (!status.ok()) Die(channel, status);
  _exit(0);
}

// Answers the process between until it says who is born.
StatusOr<HandshakeMessage> HearOfBirth(const InitRequest& request,
                                       const Born& middle) {
  while (true) {
    ASSIGN_OR_RETURN(HandshakeMessage message, middle.channel.Receive());
    if (message.type != MessageType::kMapIds) return message;
    RETURN_IF_ERROR(MapIds(middle.pid, request.spec));
    RETURN_IF_ERROR(middle.channel.Send(MessageType::kGo));
  }
}

StatusOr<Born> AwaitMiddle(const InitRequest& request, Born middle) {
  auto received = HearOfBirth(request, middle);
  // It ends by itself, but one that waits for its maps.
  if (!received.ok()) {
    (void)SignalProcess(middle.pidfd.get(), SIGKILL).ok();
  }
  if (!request.io.sibling) Reap(middle.pid);
  ASSIGN_OR_RETURN(HandshakeMessage message, std::move(received));
  if (message.type == MessageType::kError) return DecodeStatus(message.text);
  const auto pid = ParseInt(message.text);
  if (message.type != MessageType::kBorn || !pid) {
    return Internal("the process that joins the user namespace died");
  }
  Born born;
  born.pid = static_cast<pid_t>(*pid);
  born.pidfd = std::move(message.fd);
  born.channel = std::move(middle.channel);
  return born;
}

// The life of a new process; returns only to say why it failed.
using Life = std::function<Status(Handshake& channel, bool in_cgroup)>;

StatusOr<Born> Clone(Cgroup& cgroup, const ProcessIo& io, uint64_t namespaces,
                     const Life& life) {
  ASSIGN_OR_RETURN(auto ends, Handshake::Pair());
  const int birth_fd = cgroup.birth_fd();
  ASSIGN_OR_RETURN(auto cloned, CloneProcess({.namespaces = namespaces,
                                              .cgroup = birth_fd,
                                              .sibling = io.sibling}));
  if (cloned.pid == 0) {
    ends.first.Close();
    signal(SIGPIPE, SIG_IGN);
    Die(ends.second, life(ends.second, birth_fd >= 0));
  }
  ends.second.Close();
  Born born;
  born.pid = cloned.pid;
  born.pidfd = std::move(cloned.pidfd);
  born.channel = std::move(ends.first);
  return born;
}

// `bear`, with children born in the time namespace that the plan wants.
StatusOr<Born> InTime(const InitRequest& request, const NamespacePlan& plan,
                      const std::function<StatusOr<Born>()>& bear) {
  if (!plan.new_time || plan.time_by_middle()) return bear();
  ASSIGN_OR_RETURN(const TimeNamespace time,
                   TimeNamespace::Make(request.spec.linux));
  StatusOr<Born> born = bear();
  const Status returned = time.Return();
  if (returned.ok() || !born.ok()) return born;
  (void)SignalProcess(born->pidfd.get(), SIGKILL).ok();
  if (!request.io.sibling) Reap(born->pid);
  return returned;
}

StatusOr<Born> CloneInit(const InitRequest& request, NamespacePlan& plan) {
  if (!plan.user.valid() && !plan.time_by_middle()) {
    return InTime(request, plan, [&] {
      return Clone(request.cgroup, request.io, plan.at_birth,
                   [&](Handshake& channel, bool in_cgroup) {
                     return RunInit(request, plan, channel, in_cgroup);
                   });
    });
  }
  const uint64_t own = plan.at_birth & CLONE_NEWUSER;
  ASSIGN_OR_RETURN(Born middle, InTime(request, plan, [&] {
                     return Clone(
                         request.cgroup, request.io, own,
                         [&](Handshake& channel, bool in_cgroup) -> Status {
                           RunMiddle(request, plan, channel, in_cgroup);
                         });
                   }));
  return AwaitMiddle(request, std::move(middle));
}

// In a user namespace the process cannot do it itself.
void GiveIo(const ProcessIo& io, const ProcessSpec& process,
            const std::vector<IdMapping>& uid_mappings) {
  if (uid_mappings.empty() || process.terminal) return;
  const auto owner = ToHostId(uid_mappings, process.user.uid);
  if (owner) GiveIoTo(io, *owner);
}

// What the copy waits for before it runs its program.
Status PassListener(ListenerPost* post, const Entry& entry) {
  if (post == nullptr) return OkStatus();
  post->CloseProcessEnd();
  const Status passed = post->Pass([&] { return entry.born(); });
  if (passed.ok() || entry.born() <= 0) return passed;
  const auto copy = OpenPidfd(entry.born());
  if (copy.ok()) (void)SignalProcess(copy->get(), SIGKILL).ok();
  return passed;
}

// The process outside is ready: `born` becomes its copy inside.
Status EnterInside(const Entry& entry, ListenerPost* post, bool sibling,
                   Born& born) {
  RETURN_IF_ERROR(born.channel.Send(MessageType::kGo));
  born.channel.Close();
  const Status passed = PassListener(post, entry);
  auto awaited = entry.Await(born.pidfd.get());
  if (!sibling) Reap(born.pid);
  ASSIGN_OR_RETURN(const Entry::Outcome outcome, std::move(awaited));
  born.pid = outcome.pid;
  born.pidfd.reset();
  const Status status = passed.ok() ? outcome.status : passed;
  if (!status.ok()) {
    if (outcome.pid > 0 && !sibling) Reap(outcome.pid);
    return status;
  }
  auto pidfd = OpenPidfd(outcome.pid);
  // A sibling that has ended is not ours to reap.
  if (IsNotFound(pidfd.status())) return OkStatus();
  ASSIGN_OR_RETURN(born.pidfd, std::move(pidfd));
  return OkStatus();
}

StatusOr<Born> CloneOutside(const InitRequest& request,
                            const NamespacePlan& plan, Entry& entry, int go) {
  return InTime(request, plan, [&] {
    return Clone(
        request.cgroup, request.io, 0, [&](Handshake& channel, bool in_cgroup) {
          return RunInitOutside(request, plan, channel, entry, go, in_cgroup);
        });
  });
}

StatusOr<Born> BearInside(const InitRequest& request, const NamespacePlan& plan,
                          const Parent& parent) {
  if (plan.pid_first && !request.spec.hooks.create_container.empty()) {
    // They would be seen inside while the host's root is still theirs.
    return Unimplemented(
        "hooks.createContainer with a pid namespace that does not belong to "
        "the user namespace");
  }
  ASSIGN_OR_RETURN(Entry entry, Entry::Make());
  int go[2];
  if (pipe2(go, O_CLOEXEC) != 0) return Errno(errno, "pipe");
  UniqueFd hears(go[0]);
  UniqueFd says(go[1]);
  ASSIGN_OR_RETURN(Born born, CloneOutside(request, plan, entry, hears.get()));
  RETURN_IF_ERROR(Raise(parent, born));
  RETURN_IF_ERROR(EnterInside(entry, nullptr, request.io.sibling, born));
  born.go = std::move(says);
  return born;
}

}  // namespace

Status Born::LetGo() {
  const IgnorePipeSignal ignore;
  if (!go.valid()) return channel.Send(MessageType::kGo);
  const char type = static_cast<char>(MessageType::kGo);
  if (write(go.get(), &type, 1) != 1) return Errno(errno, "let the init go");
  return OkStatus();
}

StatusOr<Born> BearInit(const InitRequest& request) {
  const IgnorePipeSignal ignore;
  if (request.spec.process) {
    GiveIo(request.io, *request.spec.process, request.spec.linux.uid_mappings);
  }
  ASSIGN_OR_RETURN(NamespacePlan plan, PlanNamespaces(request.spec.linux));
  const ProcessSpec* process =
      request.spec.process ? &*request.spec.process : nullptr;
  const Parent parent = {.process = process,
                         .spec = &request.spec,
                         .io = request.io,
                         .user_namespace = plan.has_user(),
                         .hook_state = request.hook_state,
                         .bundle = request.bundle};
  if (plan.pid.valid()) return BearInside(request, plan, parent);
  ASSIGN_OR_RETURN(Born born, CloneInit(request, plan));
  RETURN_IF_ERROR(Raise(parent, born));
  return born;
}

StatusOr<Born> BearExec(const ExecRequest& request) {
  const IgnorePipeSignal ignore;
  GiveIo(request.io, request.process, request.linux.uid_mappings);
  ASSIGN_OR_RETURN(Entry entry, Entry::Make());
  ASSIGN_OR_RETURN(Born born, Clone(request.cgroup, request.io, 0,
                                    [&](Handshake& channel, bool in_cgroup) {
                                      return RunExec(request, channel, entry,
                                                     in_cgroup);
                                    }));
  const Parent parent = {.process = &request.process,
                         .io = request.io,
                         .user_namespace = request.user_namespace,
                         .hook_state = nullptr,
                         .bundle = {}};
  RETURN_IF_ERROR(Raise(parent, born));
  RETURN_IF_ERROR(EnterInside(entry, request.post, request.io.sibling, born));
  return born;
}

}  // namespace berth::oci
