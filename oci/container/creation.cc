#include "oci/container/creation.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/strings.h"
#include "base/sys/file.h"
#include "base/sys/namespace.h"
#include "base/sys/process.h"
#include "oci/cgroup/device_filter.h"
#include "oci/cgroup/limits.h"
#include "oci/cgroup/unit_limits.h"
#include "oci/container/hooks.h"
#include "oci/init/own_ids.h"
#include "oci/init/rootfs.h"
#include "oci/rdt/resctrl.h"
#include "oci/spec/annotations.h"
#include "oci/spec/parse.h"
#include "oci/spec/serialize.h"
#include "oci/spec/validate.h"

namespace berth::oci {
namespace {

constexpr uint64_t kMaxMountTable = 64 << 20;
constexpr char kNotifyInside[] = "/run/notify";

StatusOr<std::string> RealPath(const std::string& path,
                               const std::string& what) {
  char* resolved = realpath(path.c_str(), nullptr);
  if (resolved == nullptr) return Errno(errno, what + " " + Quoted(path));
  std::string result(resolved);
  free(resolved);
  return result;
}

StatusOr<UniqueFd> MakeFifo(const std::string& path) {
  if (mkfifo(path.c_str(), 0600) != 0) {
    return Errno(errno, "mkfifo " + Quoted(path));
  }
  // Both ways (fifo(7)): opens at once, and never sees an end of file.
  return OpenFile(path, O_RDWR);
}

Status MakePipe(UniqueFd& reader, UniqueFd& writer) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return Errno(errno, "pipe");
  reader.reset(ends[0]);
  writer.reset(ends[1]);
  return OkStatus();
}

// The kernel has said no, and not that something is wrong.
bool IsRefusal(const Status& status) {
  const int error = ErrnoOf(status);
  return error == EACCES || error == EPERM || error == EROFS;
}

// Whose it is: "memory".
std::string FirstLimit(const Resources& limits) {
  const auto writes =
      limits.unified.empty() ? LimitsV1(limits) : LimitsV2(limits);
  return writes.ok() && !writes->empty() ? writes->front().controller
                                         : "resource";
}

}  // namespace

Status Creation::Run() {
  RETURN_IF_ERROR(CheckContainerId(options_.id));
  // Nobody in the container may look into a process of ours that comes to
  // it, or follow its fds (CVE-2016-9962).
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
    return Errno(errno, "become undumpable");
  }
  RETURN_IF_ERROR(ReadConfiguration());
  RETURN_IF_ERROR(LocateRootfs());
  RETURN_IF_ERROR(CheckConsole());
  RETURN_IF_ERROR(MakeDirectory());
  RETURN_IF_ERROR(MakeCgroup());
  RETURN_IF_ERROR(MakeResctrl());
  RETURN_IF_ERROR(PlanRoot());
  RETURN_IF_ERROR(MakeChannels());
  RETURN_IF_ERROR(BearAndRecord());
  undo_.Commit();
  return OkStatus();
}

Status Creation::ReadConfiguration() {
  ASSIGN_OR_RETURN(state_.bundle, RealPath(options_.bundle, "bundle"));
  const bool absolute = StartsWith(options_.config, "/");
  ASSIGN_OR_RETURN(text_,
                   ReadFile(absolute ? options_.config
                                     : state_.bundle + "/" + options_.config,
                            kMaxSpecBytes));
  ASSIGN_OR_RETURN_AS(spec_, ParseSpec(text_), "config.json");
  if (options_.crun_dialect) {
    RETURN_IF_ERROR(ApplyAnnotations(spec_));
    RETURN_IF_ERROR(AddUserNamespace());
  }
  RETURN_IF_ERROR_AS(Validate(spec_), "config.json");
  RETURN_IF_ERROR(NameCgroup());
  // After the copy is made: exec has nothing of it.
  if (spec_.process) {
    spec_.process->env.insert(spec_.process->env.end(), options_.env.begin(),
                              options_.env.end());
  }
  state_.id = options_.id;
  state_.oci_version = spec_.oci_version;
  state_.annotations = spec_.annotations;
  state_.crun_dialect = options_.crun_dialect;
  return OkStatus();
}

bool Creation::IsRootless() const {
  if (options_.rootless) return *options_.rootless;
  return geteuid() != 0 || InUserNamespace();
}

// Who is not root gets one even unasked, and mappings need not be said (as with
// crun).
Status Creation::AddUserNamespace() {
  Linux& linux = spec_.linux;
  if (geteuid() != 0 && linux.Find(NamespaceType::kUser) == nullptr) {
    linux.namespaces.push_back({NamespaceType::kUser, ""});
  }
  const NamespaceSpec* user = linux.Find(NamespaceType::kUser);
  const bool mapped =
      !linux.uid_mappings.empty() && !linux.gid_mappings.empty();
  if (user == nullptr || !user->path.empty() || mapped) return OkStatus();
  RETURN_IF_ERROR_AS(
      FillIdMappings(spec_.process ? spec_.process->user : User(), linux),
      "map ids of the new user namespace");
  text_ = SerializeSpec(spec_);
  return OkStatus();
}

// linux.cgroupsPath, or our own choice.
StatusOr<std::string> Creation::NameOfCgroup() {
  const std::string& wanted = spec_.linux.cgroups_path;
  may_lack_cgroup_ = wanted.empty() && !options_.systemd_cgroup && IsRootless();
  if (may_lack_cgroup_) {
    const auto host = CgroupHost::Own();
    const auto parent = host.ok() ? (*host)->Delegated() : std::nullopt;
    if (parent) return *parent + "/" + options_.id;
  }
  return CgroupsPathFor(options_.systemd_cgroup, wanted, options_.id);
}

// Also in the copy of config.json: whoever cleans up after us reads it there.
Status Creation::NameCgroup() {
  if (options_.no_cgroup) return OkStatus();
  ASSIGN_OR_RETURN(std::string name, NameOfCgroup());
  state_.systemd_cgroup = options_.systemd_cgroup;
  if (name != spec_.linux.cgroups_path) {
    spec_.linux.cgroups_path = std::move(name);
    text_ = SerializeSpec(spec_);
  }
  ASSIGN_OR_RETURN(state_.cgroup_path,
                   CgroupPath(spec_.linux.cgroups_path, options_.id));
  return OkStatus();
}

StatusOr<std::unique_ptr<Cgroup>> Creation::OpenOwnCgroup() const {
  if (!state_.systemd_cgroup) return OpenCgroup(*host_, state_.cgroup_path);
  ScopeOptions scope;
  scope.description = "container " + options_.id;
  ASSIGN_OR_RETURN(scope.properties, AnnotationProperties(spec_.annotations));
  return OpenScope(*host_, state_.cgroup_path, std::move(scope));
}

Status Creation::LocateRootfs() {
  const std::string path = StartsWith(spec_.root.path, "/")
                               ? spec_.root.path
                               : state_.bundle + "/" + spec_.root.path;
  struct stat st;
  if (lstat(path.c_str(), &st) != 0) {
    return Errno(errno, "root.path " + Quoted(path));
  }
  if (!S_ISDIR(st.st_mode)) {
    return InvalidArgument("root.path " + Quoted(path) + ": not a directory");
  }
  ASSIGN_OR_RETURN(state_.rootfs, RealPath(path, "root.path"));
  if (state_.rootfs == "/") {
    return InvalidArgument("root.path: the host's own root");
  }
  return OkStatus();
}

Status Creation::CheckConsole() const {
  const bool terminal = spec_.process && spec_.process->terminal;
  if (!terminal && !options_.io.console_socket.empty()) {
    return InvalidArgument(
        "a console socket is given, but process.terminal is not set");
  }
  return OkStatus();
}

Status Creation::MakeDirectory() {
  RETURN_IF_ERROR(MakeDirectories(root_, 0700));
  state_.directory = root_ + "/" + options_.id;
  if (mkdir(state_.directory.c_str(), 0700) != 0) {
    if (errno == EEXIST) {
      return AlreadyExists("container with given ID already exists: " +
                           Quoted(options_.id));
    }
    return Errno(errno, "mkdir " + Quoted(state_.directory));
  }
  undo_.Add([this] { RunPoststopHooks(); });
  undo_.Add([this] { (void)RemoveStateDirectory(state_.directory).ok(); });
  RETURN_IF_ERROR(ReplaceFile(state_.Path(kConfigCopy), text_, 0600));
  return options_.notify ? AddNotifyDirectory() : OkStatus();
}

// As runc does it. Whatever its mode, the mount makes it reachable.
Status Creation::AddNotifyDirectory() {
  const std::string directory = state_.Path(kNotifyDirectory);
  if (mkdir(directory.c_str(), 0755) != 0) {
    return Errno(errno, "mkdir " + Quoted(directory));
  }
  MountSpec mount;
  mount.destination = kNotifyInside;
  mount.type = "bind";
  mount.source = directory;
  mount.options = {"bind", "nosuid", "noexec", "nodev", "ro"};
  spec_.mounts.push_back(std::move(mount));
  if (spec_.process) {
    spec_.process->env.push_back(std::string("NOTIFY_SOCKET=") + kNotifyInside +
                                 "/" + kNotifySocket);
  }
  return OkStatus();
}

Status Creation::MakeCgroup() {
  const Resources limits = ContainerResources(spec_.linux);
  const auto host = CgroupHost::Own();
  if (options_.no_cgroup || (!host.ok() && may_lack_cgroup_)) {
    if (host.ok()) host_ = *host;
    return GoWithoutCgroup(options_.no_cgroup ? Resources() : limits);
  }
  ASSIGN_OR_RETURN(host_, host);
  ASSIGN_OR_RETURN(cgroup_, OpenOwnCgroup());
  Status made = cgroup_->Create(limits);
  if (IsRefusal(made) && IsRootless()) made = MakeCgroupAsUser(limits);
  RETURN_IF_ERROR_AS(made, "create cgroup " + Quoted(state_.cgroup_path));
  if (host_->version == CgroupVersion::kV2) left_out_ = LeftOutOnV2(limits);
  undo_.Add([this] { (void)cgroup_->Remove().ok(); });
  return OkStatus();
}

// Devices are nothing that a user could give or forbid (as with runc).
Status Creation::MakeCgroupAsUser(const Resources& limits) {
  const Status made = cgroup_->Create(WithoutDevices(limits));
  if (!IsRefusal(made) || !may_lack_cgroup_) return made;
  return GoWithoutCgroup(limits);
}

// A limit that nobody enforces is an error, in runc's words.
Status Creation::GoWithoutCgroup(const Resources& limits) {
  if (WithoutDevices(limits) != Resources()) {
    return Error(StatusCode::kPermissionDenied,
                 "cannot set " + FirstLimit(limits) +
                     " limit: container could not join or create cgroup");
  }
  cgroup_ = WithoutCgroup();
  state_.cgroup_path.clear();
  return OkStatus();
}

Status Creation::MakeResctrl() {
  if (!spec_.linux.intel_rdt) return OkStatus();
  ASSIGN_OR_RETURN(const std::string table,
                   ReadFile("/proc/self/mountinfo", kMaxMountTable));
  const std::string mount = ResctrlMount(table);
  ASSIGN_OR_RETURN(
      const ResctrlGroups groups,
      ResctrlGroups::Make(mount, *spec_.linux.intel_rdt, options_.id));
  state_.resctrl_control = groups.own_control();
  state_.resctrl_monitoring = groups.own_monitoring();
  undo_.Add([groups] { (void)groups.Remove().ok(); });
  state_.resctrl_tasks =
      ResctrlTasks(mount, *spec_.linux.intel_rdt, options_.id);
  return OkStatus();
}

Status Creation::PlanRoot() {
  ASSIGN_OR_RETURN(
      mounts_, PlanMounts(spec_, {state_.bundle, host_, state_.cgroup_path}));
  ASSIGN_OR_RETURN(prepared_mounts_, PrepareMounts(mounts_));
  if (!spec_.linux.seccomp || !spec_.process) return OkStatus();
  ASSIGN_OR_RETURN(filter_, CachedSeccomp(*spec_.linux.seccomp,
                                          SeccompCacheOf(state_.directory)));
  return filter_.has_listener() ? MakeListenerPost() : OkStatus();
}

Status Creation::MakeListenerPost() {
  const Seccomp& seccomp = *spec_.linux.seccomp;
  const auto message = [this, &seccomp](pid_t pid) {
    return ListenerMessage(spec_.oci_version, pid, seccomp.listener_metadata,
                           HookStateFor("creating", pid));
  };
  ASSIGN_OR_RETURN(post_, ListenerPost::Make(seccomp.listener_path, message));
  return OkStatus();
}

Status Creation::MakeChannels() {
  if (options_.start_by_maker) {
    RETURN_IF_ERROR(MakePipe(start_, say_start_));
    return MakePipe(hear_result_, result_);
  }
  ASSIGN_OR_RETURN(start_, MakeFifo(state_.Path(kStartFifo)));
  ASSIGN_OR_RETURN(result_, MakeFifo(state_.Path(kResultFifo)));
  return OkStatus();
}

std::string Creation::HookStateFor(const char* status, pid_t pid) const {
  OciState state;
  state.oci_version = state_.oci_version;
  state.id = state_.id;
  state.pid = pid;
  state.bundle = state_.bundle;
  state.annotations = state_.annotations;
  state.status = std::string_view(status) == "created"
                     ? ContainerStatus::kCreated
                     : ContainerStatus::kCreating;
  return ToHookJson(state);
}

// Of a container that never was: their failure changes nothing.
void Creation::RunPoststopHooks() const {
  if (!born_once_) return;
  OciState state;
  state.oci_version = state_.oci_version;
  state.id = state_.id;
  state.bundle = state_.bundle;
  state.annotations = state_.annotations;
  for (const Hook& hook : spec_.hooks.poststop) {
    (void)RunHooks("poststop", {hook}, ToHookJson(state),
                   RuntimeHookSetting(spec_.hooks, state_.bundle))
        .ok();
  }
}

void Creation::WarnOfWhatIsLeftOut() {
  for (const std::string& field : left_out_) {
    born_.warnings.push_back("linux.resources." + field +
                             " is left out: cgroup v2 has no such setting");
  }
  const std::vector<std::string>& flags = spec_.linux.personality.flags;
  if (!flags.empty()) {
    born_.warnings.push_back("linux.personality.flags are ignored, such as " +
                             Quoted(flags[0]) + ": none is known");
  }
}

// What is made in the runtime's own mount namespace does not end with it, nor
// with an init that fails.
StatusOr<Born> Creation::Bear(const InitRequest& request) {
  if (mounts_.own_namespace) return BearInit(request);
  ASSIGN_OR_RETURN(const uint64_t before, MountNumber(state_.rootfs));
  auto born = BearInit(request);
  const auto made =
      born.ok() ? MountNumber("/proc/" + std::to_string(born->pid) + "/root")
                : MountNumber(state_.rootfs);
  if (made.ok() && *made != before) {
    state_.made_mount = *made;
    undo_.Add(
        [this] { (void)RemoveMounts(state_.rootfs, state_.made_mount).ok(); });
  }
  return born;
}

Status Creation::BearAndRecord() {
  const InitRequest request = {
      .id = options_.id,
      .spec = spec_,
      .mounts = mounts_,
      .prepared_mounts = prepared_mounts_,
      .rootfs = state_.rootfs,
      .bundle = state_.bundle,
      .io = options_.io,
      .filter = filter_.program.empty() ? nullptr : &filter_,
      .post = post_ ? &*post_ : nullptr,
      .cgroup = *cgroup_,
      .resctrl_tasks = state_.resctrl_tasks,
      .no_pivot = options_.no_pivot,
      .start = start_.get(),
      .result = result_.get(),
      .hook_state = [this](const char* status,
                           pid_t pid) { return HookStateFor(status, pid); },
  };
  born_once_ = true;
  ASSIGN_OR_RETURN(born_, Bear(request));
  cgroup_->Settle();
  WarnOfWhatIsLeftOut();
  // The end of what it says is then its own.
  if (options_.start_by_maker) result_.reset();
  undo_.Add([this] {
    (void)SignalProcess(born_.pidfd.get(), SIGKILL).ok();
    if (!options_.io.sibling) waitpid(born_.pid, nullptr, 0);
  });
  ASSIGN_OR_RETURN(const ProcessStat stat, ReadProcessStat(born_.pid));
  state_.pid = born_.pid;
  state_.start_time = stat.start_time;
  state_.created = Now();
  RETURN_IF_ERROR(state_.Save());
  if (!options_.io.pid_file.empty()) {
    RETURN_IF_ERROR_AS(
        ReplaceFile(options_.io.pid_file, std::to_string(born_.pid), 0644),
        "write the pid file");
  }
  RETURN_IF_ERROR(born_.LetGo());
  if (!post_) return OkStatus();
  post_->CloseProcessEnd();
  return post_->Pass([this] { return born_.pid; });
}

}  // namespace berth::oci
