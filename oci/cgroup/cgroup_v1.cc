#include "oci/cgroup/cgroup_v1.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <utility>

#include "base/strings.h"
#include "base/sys/file.h"
#include "base/undo.h"
#include "oci/cgroup/cgroup_files.h"
#include "oci/cgroup/device_filter.h"
#include "oci/cgroup/stats_v1.h"

namespace berth::oci {
namespace {

// Device access must be decided by somebody, and usage must be counted from
// the first moment. All else is joined when it is asked for.
constexpr const char* kAlways[] = {"devices", "memory", "cpu", "cpuacct",
                                   "pids"};

// systemd kills what it finds in its own hierarchy below a service of its: a
// container must not be found there when the service that made it stops.
bool IsSystemds(const CgroupHierarchy& hierarchy) {
  const bool named =
      hierarchy.v2 ||
      hierarchy.controllers == std::vector<std::string>{"name=systemd"};
  return named && hierarchy.own_path != "/";
}

// One that a container may be in: it has controllers, or systemd looks at it.
bool IsOurs(const CgroupHierarchy& hierarchy) {
  if (IsSystemds(hierarchy)) return true;
  return !hierarchy.v2 && !hierarchy.controllers.empty() &&
         !StartsWith(hierarchy.controllers[0], "name=");
}

std::string ParentOf(const std::string& path) {
  return path.substr(0, path.rfind('/'));
}

// A new cpuset has no CPUs and no memory, and takes no process before it has:
// it gets its parent's.
Status InheritCpuset(const std::string& directory) {
  for (const char* const file : {"/cpuset.cpus", "/cpuset.mems"}) {
    ASSIGN_OR_RETURN(const std::string own, ReadCgroupFile(directory + file));
    if (!own.empty()) continue;
    ASSIGN_OR_RETURN(const std::string parents,
                     ReadCgroupFile(ParentOf(directory) + file));
    if (parents.empty()) continue;
    RETURN_IF_ERROR(WriteCgroupFile(directory + file, parents));
  }
  return OkStatus();
}

class OomWatchV1 : public OomWatch {
 public:
  OomWatchV1(UniqueFd control, UniqueFd event)
      : control_(std::move(control)), event_(std::move(event)) {}

  int fd() const override { return event_.get(); }
  uint32_t events() const override { return EPOLLIN; }

  StatusOr<uint64_t> Read() override {
    uint64_t count = 0;
    // Not blocking: takes back what has been told, if anything.
    (void)!read(event_.get(), &count, sizeof(count));
    return kills_.Update(control_.get());
  }

 private:
  const UniqueFd control_;  // memory.oom_control
  const UniqueFd event_;
  OomKills kills_;
};

}  // namespace

CgroupV1::CgroupV1(CgroupHost host, std::string path)
    : host_(std::move(host)), path_(std::move(path)) {
  for (const CgroupHierarchy& hierarchy : host_.hierarchies) {
    if (!IsOurs(hierarchy)) continue;
    const char* const file = hierarchy.v2 ? "/cgroup.procs" : "/tasks";
    tasks_.push_back(DirectoryOf(hierarchy) + file);
  }
}

std::string CgroupV1::DirectoryOf(const CgroupHierarchy& hierarchy) const {
  return hierarchy.mount_point + path_;
}

std::string CgroupV1::DirectoryOf(std::string_view controller) const {
  const CgroupHierarchy* const hierarchy = host_.Find(controller);
  return hierarchy == nullptr ? "" : DirectoryOf(*hierarchy);
}

std::vector<const CgroupHierarchy*> CgroupV1::NeededFor(
    const std::vector<LimitWrite>& writes) const {
  std::vector<const CgroupHierarchy*> needed;
  const auto add = [&](const CgroupHierarchy* hierarchy) {
    if (hierarchy == nullptr) return;
    if (std::find(needed.begin(), needed.end(), hierarchy) == needed.end()) {
      needed.push_back(hierarchy);
    }
  };
  for (const char* const controller : kAlways) add(host_.Find(controller));
  for (const LimitWrite& write : writes) add(host_.Find(write.controller));
  for (const CgroupHierarchy& hierarchy : host_.hierarchies) {
    if (IsSystemds(hierarchy)) add(&hierarchy);
  }
  return needed;
}

StatusOr<bool> CgroupV1::MakeDirectory(const CgroupHierarchy& hierarchy) const {
  const std::string leaf = DirectoryOf(hierarchy);
  const bool cpuset = &hierarchy == host_.Find("cpuset");
  auto made = MakeCgroup(leaf);
  if (IsNotFound(made.status()) || cpuset) {
    std::string path = hierarchy.mount_point;
    for (const std::string& part : Split(path_.substr(1), '/')) {
      path += "/" + part;
      if (path != leaf || !made.ok()) {
        const auto level = MakeCgroup(path);
        RETURN_IF_ERROR(level.status());
        if (path == leaf) made = level;
      }
      if (cpuset) RETURN_IF_ERROR(InheritCpuset(path));
    }
  }
  return made;
}

Status CgroupV1::CheckUnused(const CgroupHierarchy& hierarchy) const {
  const std::string directory = DirectoryOf(hierarchy);
  ASSIGN_OR_RETURN(const std::string pids,
                   ReadCgroupFile(directory + "/cgroup.procs"));
  if (pids.empty()) return OkStatus();
  return FailedPrecondition("cgroup " + directory + " already holds processes");
}

Status CgroupV1::WriteLimits(const Resources& limits,
                             const std::vector<LimitWrite>& writes) const {
  RETURN_IF_ERROR(ApplyLimits(
      writes,
      [this](const LimitWrite& write,
             const std::string& file) -> StatusOr<std::string> {
        const std::string directory = DirectoryOf(write.controller);
        if (!directory.empty()) return directory + "/" + file;
        return FailedPrecondition("no cgroup controller " + write.controller +
                                  " for " + file);
      }));
  if (limits.devices.empty()) return OkStatus();
  const std::string directory = DirectoryOf("devices");
  if (directory.empty()) {
    return FailedPrecondition("no cgroup controller devices");
  }
  ASSIGN_OR_RETURN(const std::vector<DeviceLine> lines,
                   DeviceLines(limits.devices));
  ASSIGN_OR_RETURN(const UniqueFd allow,
                   OpenFile(directory + "/devices.allow", O_WRONLY));
  ASSIGN_OR_RETURN(const UniqueFd deny,
                   OpenFile(directory + "/devices.deny", O_WRONLY));
  for (const DeviceLine& line : lines) {
    RETURN_IF_ERROR_AS(
        WriteAll(line.allow ? allow.get() : deny.get(), line.line),
        (line.allow ? "allow devices \"" : "deny devices \"") + line.line +
            "\" in " + directory);
  }
  return OkStatus();
}

Status CgroupV1::Create(const Resources& limits) {
  ASSIGN_OR_RETURN(const std::vector<LimitWrite> writes, LimitsV1(limits));
  ASSIGN_OR_RETURN(const bool frozen, Frozen());
  if (frozen) return FailedPrecondition("cgroup " + path_ + " is frozen");
  Undo undo;
  for (const CgroupHierarchy* const hierarchy : NeededFor(writes)) {
    ASSIGN_OR_RETURN(const bool made, MakeDirectory(*hierarchy));
    if (made) {
      undo.Add(
          [directory = DirectoryOf(*hierarchy)] { rmdir(directory.c_str()); });
    } else {
      RETURN_IF_ERROR(CheckUnused(*hierarchy));
    }
  }
  RETURN_IF_ERROR(WriteLimits(limits, writes));
  undo.Commit();
  return OkStatus();
}

Status CgroupV1::JoinLate(const CgroupHierarchy& hierarchy) {
  RETURN_IF_ERROR(MakeDirectory(hierarchy).status());
  const std::string directory = DirectoryOf(hierarchy);
  // Those forked while we move their parents are found in the next round.
  for (int round = 0; round < 100; ++round) {
    ASSIGN_OR_RETURN(const std::vector<pid_t> all, Pids());
    ASSIGN_OR_RETURN(const std::vector<pid_t> in, PidsOfTree(directory));
    bool news = false;
    for (const pid_t pid : all) {
      if (std::binary_search(in.begin(), in.end(), pid)) continue;
      const Status moved =
          WriteCgroupFile(directory + "/cgroup.procs", std::to_string(pid));
      if (ErrnoOf(moved) == ESRCH) continue;
      RETURN_IF_ERROR(moved);
      news = true;
    }
    if (!news) return OkStatus();
  }
  return ResourceExhausted("processes are born faster than they are moved to " +
                           directory);
}

Status CgroupV1::Update(const Resources& limits) {
  ASSIGN_OR_RETURN(const std::vector<LimitWrite> writes, LimitsV1(limits));
  for (const LimitWrite& write : writes) {
    const CgroupHierarchy* const hierarchy = host_.Find(write.controller);
    if (hierarchy != nullptr && !DirectoryExists(DirectoryOf(*hierarchy))) {
      RETURN_IF_ERROR(JoinLate(*hierarchy));
    }
  }
  return WriteLimits(limits, writes);
}

Status CgroupV1::EnterSelf() {
  bool entered = false;
  for (const std::string& file : tasks_) {
    const Status status = WriteCgroupFile(file, "0");
    RETURN_IF_ERROR(IgnoreNotFound(status));
    entered |= status.ok();
  }
  return entered ? OkStatus() : NotFound("no cgroup " + path_);
}

StatusOr<bool> CgroupV1::Frozen() const {
  const std::string directory = DirectoryOf("freezer");
  if (directory.empty()) return false;
  const auto state = ReadCgroupFile(directory + "/freezer.state");
  // Never frozen, so never joined.
  if (IsNotFound(state.status())) return false;
  RETURN_IF_ERROR(state.status());
  return *state != "THAWED";
}

Status CgroupV1::Thaw() const {
  const std::string file = DirectoryOf("freezer") + "/freezer.state";
  return IgnoreNotFound(WriteCgroupFile(file, "THAWED"));
}

Status CgroupV1::Freeze(bool frozen) {
  const CgroupHierarchy* const freezer = host_.Find("freezer");
  if (freezer == nullptr) {
    return FailedPrecondition("no cgroup controller freezer");
  }
  if (!DirectoryExists(DirectoryOf("devices"))) {
    return NotFound("no cgroup " + path_);
  }
  if (!frozen) return Thaw();
  const std::string file = DirectoryOf("freezer") + "/freezer.state";
  RETURN_IF_ERROR(JoinLate(*freezer));
  int tries = 0;
  ASSIGN_OR_RETURN(
      const bool settled, PollUntil(kSettleTime, [&]() -> StatusOr<bool> {
        // The kernel can stay in FREEZING for ever when a task forks at the
        // wrong moment; a new start helps.
        if (tries++ % 10 == 9) {
          RETURN_IF_ERROR(WriteCgroupFile(file, "THAWED"));
        }
        RETURN_IF_ERROR(WriteCgroupFile(file, "FROZEN"));
        ASSIGN_OR_RETURN(const std::string state, ReadCgroupFile(file));
        return state == "FROZEN";
      }));
  if (settled) return OkStatus();
  RETURN_IF_ERROR(Thaw());
  return DeadlineExceeded("freeze cgroup " + path_);
}

Status CgroupV1::Signal(int signal) {
  if (signal != SIGKILL) {
    ASSIGN_OR_RETURN(const std::vector<pid_t> pids, Pids());
    return SignalEach(pids, signal);
  }
  const auto pids = [this] { return Pids(); };
  Status status = KillAll(pids);
  if (status.code() == StatusCode::kResourceExhausted) {
    // A fork bomb: stop it first.
    RETURN_IF_ERROR(Freeze(true));
    status = KillAll(pids);
  }
  // A frozen process dies when it thaws.
  const Status thawed = Thaw();
  return status.ok() ? thawed : status;
}

StatusOr<std::vector<pid_t>> CgroupV1::Pids() const {
  const std::string directory = DirectoryOf("devices");
  return PidsOfTree(directory.empty() ? DirectoryOf(host_.hierarchies[0])
                                      : directory);
}

StatusOr<CgroupStats> CgroupV1::Stats() const {
  const auto directory_of = [this](std::string_view controller) {
    return DirectoryOf(controller);
  };
  if (!DirectoryExists(DirectoryOf("memory"))) {
    return NotFound("no cgroup " + path_);
  }
  return ReadStatsV1(directory_of);
}

StatusOr<std::unique_ptr<OomWatch>> CgroupV1::WatchOom() const {
  const std::string directory = DirectoryOf("memory");
  if (directory.empty()) {
    return FailedPrecondition("no cgroup controller memory");
  }
  ASSIGN_OR_RETURN(UniqueFd control,
                   OpenFile(directory + "/memory.oom_control", O_RDONLY));
  UniqueFd event(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event.valid()) return Errno(errno, "eventfd");
  RETURN_IF_ERROR(WriteCgroupFile(
      directory + "/cgroup.event_control",
      std::to_string(event.get()) + " " + std::to_string(control.get())));
  return std::make_unique<OomWatchV1>(std::move(control), std::move(event));
}

Status CgroupV1::Remove() {
  Status first;
  for (const CgroupHierarchy& hierarchy : host_.hierarchies) {
    const Status status = RemoveCgroupTree(DirectoryOf(hierarchy));
    if (first.ok()) first = status;
  }
  return first;
}

}  // namespace berth::oci
