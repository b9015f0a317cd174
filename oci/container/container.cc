#include "oci/container/container.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "base/json.h"
#include "base/strings.h"
#include "base/sys/file.h"
#include "base/sys/process.h"
#include "base/sys/user.h"
#include "oci/cgroup/cgroup.h"
#include "oci/cgroup/device_filter.h"
#include "oci/container/creation.h"
#include "oci/container/hooks.h"
#include "oci/init/birth.h"
#include "oci/init/handshake.h"
#include "oci/init/listener_post.h"
#include "oci/init/rootfs.h"
#include "oci/init/seccomp.h"
#include "oci/rdt/resctrl.h"
#include "oci/spec/annotations.h"
#include "oci/spec/merge.h"
#include "oci/spec/parse.h"
#include "oci/spec/serialize.h"
#include "oci/spec/validate.h"

namespace berth::oci {
namespace {

constexpr int kKillMilliseconds = 10000;
constexpr uint64_t kMaxAnswer = 64 << 10;
constexpr uint64_t kMaxMountTable = 64 << 20;
// Texts of runc's that callers know.
constexpr char kStartedBefore[] = "cannot start an already running container";

StatusOr<std::unique_ptr<Cgroup>> CgroupAt(const std::string& path,
                                           bool systemd) {
  if (path.empty()) return WithoutCgroup();
  ASSIGN_OR_RETURN(const CgroupHost* const host, CgroupHost::Own());
  return systemd ? OpenScope(*host, path) : OpenCgroup(*host, path);
}

// The init, if it is still the one that was recorded: NOT_FOUND otherwise. A
// zombie has stopped.
StatusOr<UniqueFd> OpenInit(const StateFile& state) {
  ASSIGN_OR_RETURN(UniqueFd pidfd, OpenPidfd(state.pid));
  ASSIGN_OR_RETURN(const ProcessStat stat, ReadProcessStat(state.pid));
  if (stat.start_time != state.start_time || stat.state == 'Z' ||
      stat.state == 'X') {
    return NotFound("container not running");
  }
  return pidfd;
}

// Whether an exec failed because the container's init ended meanwhile. Before
// that is dead it takes no process into its pid namespace (ENOMEM), and kills
// those that are there: worth waiting for it.
bool FailedByEnd(const Status& failure, int init) {
  constexpr int kEndingMs = 1000;
  const bool may_be = failure.code() == StatusCode::kResourceExhausted ||
                      failure.code() == StatusCode::kUnavailable ||
                      ErrnoOf(failure) == EOWNERDEAD;
  struct pollfd ended = {init, POLLIN, 0};
  return TEMP_FAILURE_RETRY(poll(&ended, 1, may_be ? kEndingMs : 0)) > 0;
}

bool OwnsItsPids(const Spec& spec) {
  const NamespaceSpec* pid = spec.linux.Find(NamespaceType::kPid);
  return pid != nullptr && pid->path.empty();
}

int NamespacesOf(const Spec& spec) {
  int flags = 0;
  for (const NamespaceSpec& entry : spec.linux.namespaces) {
    flags |= CloneFlag(entry.type);
  }
  return flags;
}

// A path of `exec --cgroup`, not empty, which must stay below the container's.
StatusOr<std::string> CgroupBelow(const std::string& own,
                                  const std::string& path) {
  for (const std::string& part : Split(path, '/')) {
    if (part == "..") {
      return InvalidArgument("cgroup " + Quoted(path) +
                             ": outside the container's");
    }
  }
  return own + "/" + path;
}

// Becomes readable at the exit; that is all we wait for, never for teardown.
Status AwaitExit(const UniqueFd& pidfd) {
  struct pollfd exited = {pidfd.get(), POLLIN, 0};
  const int ready = TEMP_FAILURE_RETRY(poll(&exited, 1, kKillMilliseconds));
  if (ready < 0) return Errno(errno, "wait for the init");
  if (ready == 0) return DeadlineExceeded("the init outlives SIGKILL");
  return OkStatus();
}

// Everything up to the end of file.
StatusOr<std::string> ReadAnswer(int result) {
  const int flags = fcntl(result, F_GETFL);
  if (flags < 0 || fcntl(result, F_SETFL, flags & ~O_NONBLOCK) != 0) {
    return Errno(errno, "fcntl");
  }
  return ReadAll(result, kMaxAnswer, kResultFifo);
}

std::string OwnerOf(const std::string& directory) {
  struct stat st;
  if (stat(directory.c_str(), &st) != 0) return "";
  const auto passwd = ReadFile("/etc/passwd", kMaxUserFileBytes);
  if (!passwd.ok()) return "";
  const auto user = FindUser(*passwd, st.st_uid);
  return user ? user->name : "";
}

// The listener is told of the container, whoever asks to exec.
StatusOr<ListenerPost> PostFor(const Container& container,
                               const Seccomp& seccomp) {
  ASSIGN_OR_RETURN(const OciState state, container.State());
  const auto message = [&seccomp, state](pid_t pid) {
    return ListenerMessage(state.oci_version, pid, seccomp.listener_metadata,
                           ToHookJson(state));
  };
  return ListenerPost::Make(seccomp.listener_path, message);
}

}  // namespace

StatusOr<Container> Container::Create(const std::string& root,
                                      const CreateOptions& options) {
  Creation creation(root, options);
  RETURN_IF_ERROR(creation.Run());
  Container container(std::move(creation.state()));
  container.spec_ = std::make_unique<Spec>(std::move(creation.spec()));
  container.cgroup_ = creation.TakeCgroup();
  container.pidfd_ = creation.TakePidfd();
  container.console_ = creation.TakeConsole();
  container.start_ = creation.TakeStart();
  container.result_ = creation.TakeResult();
  container.warnings_ = creation.TakeWarnings();
  return container;
}

StatusOr<Container> Container::Load(const std::string& root,
                                    const std::string& id) {
  ASSIGN_OR_RETURN(StateFile state, StateFile::Load(root, id));
  return Container(std::move(state));
}

StatusOr<std::vector<std::string>> ListContainers(const std::string& root) {
  const auto directory = OpenFile(root, O_RDONLY | O_DIRECTORY);
  if (IsNotFound(directory.status())) return std::vector<std::string>();
  RETURN_IF_ERROR(directory.status());
  ASSIGN_OR_RETURN(std::vector<std::string> names,
                   ListDirectory(directory->get()));
  std::erase_if(names, [&](const std::string& name) {
    return !CheckContainerId(name).ok();
  });
  return names;
}

StatusOr<const Spec*> Container::GetSpec() const {
  if (spec_ == nullptr) {
    ASSIGN_OR_RETURN(const std::string text,
                     ReadFile(state_.Path(kConfigCopy), kMaxSpecBytes));
    ASSIGN_OR_RETURN(Spec spec, ParseSpec(text));
    if (state_.crun_dialect) RETURN_IF_ERROR(ApplyAnnotations(spec));
    spec_ = std::make_unique<const Spec>(std::move(spec));
  }
  return spec_.get();
}

StatusOr<Cgroup*> Container::GetCgroup() const {
  if (cgroup_ == nullptr) {
    ASSIGN_OR_RETURN(cgroup_,
                     CgroupAt(state_.cgroup_path, state_.systemd_cgroup));
  }
  return cgroup_.get();
}

StatusOr<ContainerStatus> Container::CurrentStatus() const {
  return StatusBy(OpenInit(state_));
}

StatusOr<ContainerStatus> Container::StatusBy(
    const StatusOr<UniqueFd>& init) const {
  if (IsNotFound(init.status())) return ContainerStatus::kStopped;
  RETURN_IF_ERROR(init.status());
  ASSIGN_OR_RETURN(Cgroup * cgroup, GetCgroup());
  const auto frozen = cgroup->Frozen();
  if (frozen.ok() && *frozen) return ContainerStatus::kPaused;
  if (access(state_.Path(kStartFifo).c_str(), F_OK) == 0) {
    return ContainerStatus::kCreated;
  }
  return ContainerStatus::kRunning;
}

StatusOr<OciState> Container::State() const {
  OciState state;
  ASSIGN_OR_RETURN(state.status, CurrentStatus());
  state.oci_version = state_.oci_version;
  state.id = state_.id;
  state.pid = state.status == ContainerStatus::kStopped ? 0 : state_.pid;
  state.bundle = state_.bundle;
  state.rootfs = state_.rootfs;
  state.created = state_.created;
  state.annotations = state_.annotations;
  state.owner = OwnerOf(state_.directory);
  return state;
}

Status Container::Start() {
  if (start_.valid()) {
    RETURN_IF_ERROR(WriteAll(start_.get(), "s"));
    start_.reset();
    return HearOfStart(result_.get());
  }
  const std::string fifo = state_.Path(kStartFifo);
  auto opened = OpenFile(fifo, O_WRONLY | O_NONBLOCK);
  if (!opened.ok()) {
    // ENXIO: nobody reads, so the init is dead. ENOENT: started before.
    const auto status = CurrentStatus();
    const bool stopped = ErrnoOf(opened.status()) == ENXIO ||
                         (status.ok() && *status == ContainerStatus::kStopped);
    return FailedPrecondition(
        stopped ? "cannot start a container that has stopped" : kStartedBefore);
  }
  ASSIGN_OR_RETURN(const ContainerStatus status, CurrentStatus());
  if (status != ContainerStatus::kCreated) {
    return FailedPrecondition("cannot start a container that is " +
                              std::string(StatusName(status)));
  }
  ASSIGN_OR_RETURN(const Spec* spec, GetSpec());
  if (!spec->process) {
    return InvalidArgument("config.json: no process to start");
  }
  ASSIGN_OR_RETURN(const UniqueFd result,
                   OpenFile(state_.Path(kResultFifo), O_RDONLY | O_NONBLOCK));
  // Whoever takes the name away has the right to start it.
  if (unlink(fifo.c_str()) != 0) {
    return FailedPrecondition(kStartedBefore);
  }
  RETURN_IF_ERROR(WriteAll(opened->get(), "s"));
  opened->reset();
  const Status started = HearOfStart(result.get());
  unlink(state_.Path(kResultFifo).c_str());
  return started;
}

Status Container::HearOfStart(int result) {
  ASSIGN_OR_RETURN(const std::string answer, ReadAnswer(result));
  if (answer.empty()) return Internal("the init died before it was started");
  if (answer[0] != 'x') return DecodeStatus(answer);
  if (answer.size() > 1) return DecodeStatus(answer.substr(1));
  ASSIGN_OR_RETURN(const Spec* spec, GetSpec());
  return RunPoststartHooks(*spec);
}

Status Container::RunPoststartHooks(const Spec& spec) {
  if (spec.hooks.poststart.empty()) return OkStatus();
  OciState state;
  state.oci_version = state_.oci_version;
  state.id = state_.id;
  state.status = ContainerStatus::kRunning;
  state.pid = state_.pid;
  state.bundle = state_.bundle;
  state.annotations = state_.annotations;
  const Status status =
      RunHooks("poststart", spec.hooks.poststart, ToHookJson(state),
               RuntimeHookSetting(spec.hooks, state_.bundle));
  if (status.ok()) return OkStatus();
  // A policy that cannot be carried out must not leave its subject running.
  (void)Delete(true).ok();
  return status;
}

StatusOr<ProcessSpec> Container::DefaultProcess() const {
  ASSIGN_OR_RETURN(const Spec* spec, GetSpec());
  if (!spec->process) return InvalidArgument("config.json: no process");
  return *spec->process;
}

StatusOr<ExecResult> Container::Exec(const ProcessSpec& process,
                                     const ExecOptions& options) {
  RETURN_IF_ERROR(ValidateProcess(process));
  if (!process.terminal && !options.io.console_socket.empty()) {
    return InvalidArgument(
        "a console socket is given, but process.terminal is not set");
  }
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
    return Errno(errno, "become undumpable");
  }
  const auto init = OpenInit(state_);
  ASSIGN_OR_RETURN(const ContainerStatus status, StatusBy(init));
  if (status == ContainerStatus::kStopped ||
      (status == ContainerStatus::kPaused && !options.ignore_paused)) {
    return FailedPrecondition("cannot exec in a " +
                              std::string(StatusName(status)) + " container" +
                              (status == ContainerStatus::kPaused
                                   ? " (use --ignore-paused to override)"
                                   : ""));
  }
  ASSIGN_OR_RETURN(const Spec* spec, GetSpec());
  SeccompFilter filter;
  if (spec->linux.seccomp) {
    ASSIGN_OR_RETURN(filter, CachedSeccomp(*spec->linux.seccomp,
                                           SeccompCacheOf(state_.directory)));
  }
  std::optional<ListenerPost> post;
  if (filter.has_listener()) {
    ASSIGN_OR_RETURN(post, PostFor(*this, *spec->linux.seccomp));
  }
  std::unique_ptr<Cgroup> below;
  ASSIGN_OR_RETURN(Cgroup * cgroup, GetCgroup());
  if (!options.cgroup.empty()) {
    if (state_.cgroup_path.empty()) {
      return FailedPrecondition("exec --cgroup: the container has none");
    }
    ASSIGN_OR_RETURN(const std::string path,
                     CgroupBelow(state_.cgroup_path, options.cgroup));
    ASSIGN_OR_RETURN(below, CgroupAt(path, false));
    cgroup = below.get();
  }
  ProcessSpec own = process;
  own.user.keep_groups |= spec->process && spec->process->user.keep_groups;
  const bool user = spec->linux.Find(NamespaceType::kUser) != nullptr;
  StatusOr<Born> made =
      BearExec({.id = state_.id,
                .process = own,
                .io = options.io,
                .filter = filter.program.empty() ? nullptr : &filter,
                .post = post ? &*post : nullptr,
                .cgroup = *cgroup,
                .resctrl_tasks = state_.resctrl_tasks,
                .init_pid = state_.pid,
                .init_pidfd = init->get(),
                .namespaces = NamespacesOf(*spec),
                .user_namespace = user,
                .linux = spec->linux});
  if (!made.ok() && FailedByEnd(made.status(), init->get())) {
    return FailedPrecondition("cannot exec in a stopped container");
  }
  ASSIGN_OR_RETURN(Born born, std::move(made));
  if (!options.io.pid_file.empty()) {
    RETURN_IF_ERROR_AS(
        ReplaceFile(options.io.pid_file, std::to_string(born.pid), 0644),
        "write the pid file");
  }
  ExecResult result;
  result.pid = born.pid;
  result.pidfd = std::move(born.pidfd);
  result.console = std::move(born.console);
  result.warnings = std::move(born.warnings);
  return result;
}

Status Container::Kill(int signal, bool all) {
  ASSIGN_OR_RETURN(Cgroup * cgroup, GetCgroup());
  const bool alone = state_.cgroup_path.empty();
  if (all && !alone) return cgroup->Signal(signal);
  const auto init = OpenInit(state_);
  if (!init.ok() && !IsNotFound(init.status())) return init.status();
  if (signal == SIGKILL) {
    ASSIGN_OR_RETURN(const Spec* spec, GetSpec());
    if (!OwnsItsPids(*spec) && !alone) return KillAll(init);
  }
  if (!init.ok()) return FailedPrecondition("container not running");
  const Status sent = SignalProcess(init->get(), signal);
  if (IsNotFound(sent)) return FailedPrecondition("container not running");
  RETURN_IF_ERROR(sent);
  if (signal == SIGKILL) {
    // A frozen process of v1 does not die before it thaws.
    const auto frozen = cgroup->Frozen();
    if (frozen.ok() && *frozen) return cgroup->Freeze(false);
  }
  return OkStatus();
}

// The init may have left the others behind, or the cgroup.
Status Container::KillAll(const StatusOr<UniqueFd>& init) {
  ASSIGN_OR_RETURN(Cgroup * cgroup, GetCgroup());
  ASSIGN_OR_RETURN(const std::vector<pid_t> pids, cgroup->Pids());
  if (!init.ok() && pids.empty()) {
    return FailedPrecondition("container not running");
  }
  RETURN_IF_ERROR(cgroup->Signal(SIGKILL));
  if (!init.ok()) return OkStatus();
  return IgnoreNotFound(SignalProcess(init->get(), SIGKILL));
}

Status Container::Freeze(bool frozen) {
  ASSIGN_OR_RETURN(const ContainerStatus status, CurrentStatus());
  if (status == ContainerStatus::kStopped) {
    return FailedPrecondition("container not running");
  }
  if (frozen == (status == ContainerStatus::kPaused)) {
    return FailedPrecondition(frozen ? "container is paused already"
                                     : "container not paused");
  }
  ASSIGN_OR_RETURN(Cgroup * cgroup, GetCgroup());
  return cgroup->Freeze(frozen);
}

Status Container::Update(const Resources& limits, const IntelRdt& schemata) {
  RETURN_IF_ERROR(ValidateResources(limits));
  ASSIGN_OR_RETURN(const ContainerStatus status, CurrentStatus());
  if (status == ContainerStatus::kStopped) {
    return FailedPrecondition("container not running");
  }
  if (limits == Resources()) return SetSchemata(schemata);
  ASSIGN_OR_RETURN(Cgroup * cgroup, GetCgroup());
  ASSIGN_OR_RETURN(const Spec* spec, GetSpec());
  const Resources old = spec->linux.resources.value_or(Resources());
  Status updated = cgroup->Update(limits);
  // Last of all: they are not taken back.
  if (updated.ok()) updated = SetSchemata(schemata);
  if (!updated.ok()) {
    // Half of it may be in force: what was set before is set again. Of devices
    // the cgroup has more than config.json says: the defaults.
    (void)cgroup->Update(WithoutDevices(old)).ok();
    return updated;
  }
  Spec changed = *spec;
  changed.linux.resources = MergeResources(old, limits);
  RETURN_IF_ERROR_AS(
      ReplaceFile(state_.Path(kConfigCopy), SerializeSpec(changed), 0600),
      "save the limits");
  spec_ = std::make_unique<const Spec>(std::move(changed));
  return OkStatus();
}

Status Container::SetSchemata(const IntelRdt& schemata) {
  if (!schemata.has_schemas()) return OkStatus();
  ASSIGN_OR_RETURN(const Spec* spec, GetSpec());
  ASSIGN_OR_RETURN(const std::string table,
                   ReadFile("/proc/self/mountinfo", kMaxMountTable));
  IntelRdt named = schemata;
  if (spec->linux.intel_rdt) named.clos_id = spec->linux.intel_rdt->clos_id;
  return UpdateSchemata(ResctrlMount(table), named, state_.id);
}

Status Container::StopInit(bool force) {
  const auto init = OpenInit(state_);
  if (IsNotFound(init.status())) return OkStatus();
  ASSIGN_OR_RETURN(const ContainerStatus status, StatusBy(init));
  if (!force && status != ContainerStatus::kCreated &&
      status != ContainerStatus::kStopped) {
    return FailedPrecondition("cannot delete container " + Quoted(state_.id) +
                              " that is not stopped: " + StatusName(status));
  }
  RETURN_IF_ERROR(IgnoreNotFound(SignalProcess(init->get(), SIGKILL)));
  if (status == ContainerStatus::kPaused) {
    ASSIGN_OR_RETURN(Cgroup * cgroup, GetCgroup());
    RETURN_IF_ERROR(IgnoreNotFound(cgroup->Freeze(false)));
  }
  return AwaitExit(*init);
}

Status Container::Delete(bool force) {
  RETURN_IF_ERROR(StopInit(force));
  ASSIGN_OR_RETURN(Cgroup * cgroup, GetCgroup());
  const auto spec = GetSpec();
  // Without a pid namespace of its own the init took nobody along.
  if (!spec.ok() || !OwnsItsPids(**spec)) {
    RETURN_IF_ERROR(cgroup->Signal(SIGKILL));
  }
  RETURN_IF_ERROR(cgroup->Remove());
  RETURN_IF_ERROR(
      ResctrlGroups(state_.resctrl_control, state_.resctrl_monitoring)
          .Remove());
  if (state_.made_mount != 0) {
    RETURN_IF_ERROR(RemoveMounts(state_.rootfs, state_.made_mount));
  }
  RETURN_IF_ERROR(RemoveStateDirectory(state_.directory));
  if (!spec.ok()) return OkStatus();
  OciState state;
  state.oci_version = state_.oci_version;
  state.id = state_.id;
  state.bundle = state_.bundle;
  state.annotations = state_.annotations;
  for (const Hook& hook : (*spec)->hooks.poststop) {
    const Status status =
        RunHooks("poststop", {hook}, ToHookJson(state),
                 RuntimeHookSetting((*spec)->hooks, state_.bundle));
    if (!status.ok()) warnings_.push_back(Message(status));
  }
  return OkStatus();
}

// What a runtime that was killed has left of a container in the making: its
// processes wait in the cgroup, which the copy of config.json names.
Status Container::DeleteRemains(const std::string& root,
                                const std::string& id) {
  RETURN_IF_ERROR(CheckContainerId(id));
  const std::string directory = root + "/" + id;
  const auto text = ReadFile(directory + "/" + kConfigCopy, kMaxSpecBytes);
  const StatusOr<Spec> spec =
      text.ok() ? ParseSpec(*text) : StatusOr<Spec>(text.status());
  if (spec.ok()) {
    ASSIGN_OR_RETURN(const std::string path,
                     CgroupPath(spec->linux.cgroups_path, id));
    ASSIGN_OR_RETURN(const auto cgroup,
                     CgroupAt(path, IsScopePath(spec->linux.cgroups_path)));
    // Made after the cgroup: without it, who is in there is not ours.
    const bool ours = access((directory + "/" + kStartFifo).c_str(), F_OK) == 0;
    if (ours) RETURN_IF_ERROR(cgroup->Signal(SIGKILL));
    const Status removed = cgroup->Remove();
    if (ours) RETURN_IF_ERROR(removed);
  }
  return RemoveStateDirectory(directory);
}

}  // namespace berth::oci
