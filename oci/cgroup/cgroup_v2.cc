#include "oci/cgroup/cgroup_v2.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <utility>

#include "base/strings.h"
#include "base/sys/file.h"
#include "base/undo.h"
#include "oci/cgroup/cgroup_files.h"
#include "oci/cgroup/device_filter.h"
#include "oci/cgroup/stats_v1.h"
#include "oci/cgroup/stats_v2.h"

namespace berth::oci {
namespace {

// Usage is counted from the first moment; others are turned on when asked for.
constexpr const char* kAlways[] = {"cpu", "io", "memory", "pids"};

class OomWatchV2 : public OomWatch {
 public:
  explicit OomWatchV2(UniqueFd events_file) : file_(std::move(events_file)) {}

  int fd() const override { return file_.get(); }
  uint32_t events() const override { return EPOLLPRI; }
  StatusOr<uint64_t> Read() override { return kills_.Update(file_.get()); }

 private:
  const UniqueFd file_;  // memory.events
  OomKills kills_;
};

std::set<std::string> Words(const std::string& text) {
  std::set<std::string> words;
  for (const std::string& word : Split(text, ' ')) words.insert(word);
  return words;
}

bool Includes(const std::set<std::string>& all,
              const std::set<std::string>& some) {
  return std::includes(all.begin(), all.end(), some.begin(), some.end());
}

}  // namespace

CgroupV2::CgroupV2(CgroupHierarchy tree, std::string path)
    : tree_(std::move(tree)),
      path_(std::move(path)),
      directory_(tree_.mount_point + path_) {}

std::string CgroupV2::File(std::string_view name) const {
  return directory_ + "/" + std::string(name);
}

bool CgroupV2::Offered(const std::string& controller) const {
  const auto& all = tree_.controllers;
  return std::find(all.begin(), all.end(), controller) != all.end();
}

Status CgroupV2::MakeDirectories() const {
  std::string path = tree_.mount_point;
  for (const std::string& part : Split(path_.substr(1), '/')) {
    path += "/" + part;
    RETURN_IF_ERROR(MakeCgroup(path).status());
  }
  return OkStatus();
}

Status CgroupV2::EnableIn(const std::string& directory,
                          const std::set<std::string>& wanted,
                          const std::set<std::string>& required) const {
  const std::string file = directory + "/cgroup.subtree_control";
  ASSIGN_OR_RETURN(const std::string on, ReadCgroupFile(file));
  const std::set<std::string> enabled = Words(on);
  for (const std::string& controller : wanted) {
    if (enabled.count(controller) != 0) continue;
    const Status status = WriteCgroupFile(file, "+" + controller);
    // A group that holds processes cannot hand a controller down.
    if (required.count(controller) != 0) RETURN_IF_ERROR(status);
  }
  return OkStatus();
}

Status CgroupV2::EnableControllers(
    const std::set<std::string>& required) const {
  std::set<std::string> wanted = required;
  for (const char* const controller : kAlways) {
    if (Offered(controller)) wanted.insert(controller);
  }
  ASSIGN_OR_RETURN(const std::string ours,
                   ReadCgroupFile(File("cgroup.controllers")));
  if (Includes(Words(ours), wanted)) return OkStatus();
  std::string path = tree_.mount_point;
  for (const std::string& part : Split(path_.substr(1), '/')) {
    RETURN_IF_ERROR(EnableIn(path, wanted, required));
    path += "/" + part;
  }
  return OkStatus();
}

Status CgroupV2::CheckUnused() const {
  ASSIGN_OR_RETURN(const std::string pids,
                   ReadCgroupFile(File("cgroup.procs")));
  if (!pids.empty()) {
    return FailedPrecondition("cgroup " + directory_ +
                              " already holds processes");
  }
  ASSIGN_OR_RETURN(const bool frozen, Frozen());
  if (!frozen) return OkStatus();
  return FailedPrecondition("cgroup " + directory_ + " is frozen");
}

StatusOr<std::vector<LimitWrite>> CgroupV2::WritesFor(
    const Resources& limits) const {
  const CpuLimits& cpu = limits.cpu;
  const bool period_alone =
      cpu.period.value_or(0) != 0 && cpu.quota.value_or(0) == 0;
  if (!period_alone) return LimitsV2(limits);
  // cpu.max takes a quota alone, but no period alone.
  Resources complete = limits;
  const auto current = ReadCgroupFile(File("cpu.max"));
  if (current.ok()) {
    complete.cpu.quota = ParseInt(current->substr(0, current->find(' ')));
  }
  return LimitsV2(complete);
}

// The kernel would kill rather than refuse a limit below what is in use.
Status CgroupV2::CheckMemoryInUse(const MemoryLimits& memory) const {
  const int64_t limit = memory.limit.value_or(0);
  if (!memory.check_before_update.value_or(false) || limit <= 0) {
    return OkStatus();
  }
  const uint64_t used = ReadNumber(File("memory.current"));
  if (used <= static_cast<uint64_t>(limit)) return OkStatus();
  return FailedPrecondition("memory limit " + std::to_string(limit) +
                            " is below the " + std::to_string(used) +
                            " bytes in use");
}

Status CgroupV2::WriteLimits(const Resources& limits,
                             const std::vector<LimitWrite>& writes) {
  RETURN_IF_ERROR(CheckMemoryInUse(limits.memory));
  RETURN_IF_ERROR(ApplyLimits(
      writes,
      [this](const LimitWrite& write,
             const std::string& file) -> StatusOr<std::string> {
        if (Offered(write.controller)) return File(file);
        return FailedPrecondition("no cgroup controller " + write.controller +
                                  " for " + file);
      }));
  if (limits.devices.empty()) return OkStatus();
  const int fd = birth_fd();
  if (fd < 0) return NotFound("no cgroup " + path_);
  return AttachDeviceFilter(fd, limits.devices);
}

Status CgroupV2::Create(const Resources& limits) {
  ASSIGN_OR_RETURN(const std::vector<LimitWrite> writes, WritesFor(limits));
  auto made = MakeCgroup(directory_);
  if (IsNotFound(made.status())) {
    RETURN_IF_ERROR(MakeDirectories());
    made = true;
  }
  RETURN_IF_ERROR(made.status());
  Undo undo;
  if (*made) {
    undo.Add([this] {
      fd_.reset();  // of a directory that is gone
      rmdir(directory_.c_str());
    });
  } else {
    RETURN_IF_ERROR(CheckUnused());
  }
  std::set<std::string> required;
  for (const LimitWrite& write : writes) {
    if (Offered(write.controller)) required.insert(write.controller);
  }
  RETURN_IF_ERROR(EnableControllers(required));
  RETURN_IF_ERROR(WriteLimits(limits, writes));
  undo.Commit();
  return OkStatus();
}

Status CgroupV2::Update(const Resources& limits) {
  ASSIGN_OR_RETURN(const std::vector<LimitWrite> writes, WritesFor(limits));
  std::set<std::string> required;
  for (const LimitWrite& write : writes) {
    if (Offered(write.controller)) required.insert(write.controller);
  }
  RETURN_IF_ERROR(EnableControllers(required));
  return WriteLimits(limits, writes);
}

Status CgroupV2::EnterSelf() {
  return WriteCgroupFile(File("cgroup.procs"), "0");
}

int CgroupV2::birth_fd() {
  if (!fd_.valid()) {
    fd_.reset(open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  return fd_.get();
}

StatusOr<bool> CgroupV2::Frozen() const {
  const auto state = ReadCgroupFile(File("cgroup.freeze"));
  if (IsNotFound(state.status())) return false;
  RETURN_IF_ERROR(state.status());
  return *state == "1";
}

Status CgroupV2::Freeze(bool frozen) {
  ASSIGN_OR_RETURN(UniqueFd events, OpenFile(File("cgroup.events"), O_RDONLY));
  RETURN_IF_ERROR(WriteCgroupFile(File("cgroup.freeze"), frozen ? "1" : "0"));
  const uint64_t wanted = frozen ? 1 : 0;
  const auto deadline = std::chrono::steady_clock::now() + kSettleTime;
  // Each change of the file wakes poll with POLLPRI (cgroup-v2.rst).
  while (ValueOf(ReadTable(File("cgroup.events")), "frozen") != wanted) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) {
      if (frozen) RETURN_IF_ERROR(WriteCgroupFile(File("cgroup.freeze"), "0"));
      return DeadlineExceeded((frozen ? "freeze cgroup " : "thaw cgroup ") +
                              path_);
    }
    char skipped[256];
    if (pread(events.get(), skipped, sizeof(skipped), 0) < 0) {
      return NotFound("no cgroup " + path_);
    }
    if (ValueOf(ReadTable(File("cgroup.events")), "frozen") == wanted) break;
    pollfd waiting = {.fd = events.get(), .events = POLLPRI, .revents = 0};
    poll(&waiting, 1, static_cast<int>(left.count()) + 1);
  }
  return OkStatus();
}

Status CgroupV2::Signal(int signal) {
  if (signal != SIGKILL) {
    ASSIGN_OR_RETURN(const std::vector<pid_t> pids, Pids());
    return SignalEach(pids, signal);
  }
  if (!DirectoryExists(directory_)) return OkStatus();
  const Status killed = WriteCgroupFile(File("cgroup.kill"), "1");
  // Linux before 5.14 has no such file.
  if (!IsNotFound(killed)) return killed;
  return KillAll([this] { return Pids(); });
}

StatusOr<std::vector<pid_t>> CgroupV2::Pids() const {
  return PidsOfTree(directory_);
}

StatusOr<CgroupStats> CgroupV2::Stats() const {
  if (!DirectoryExists(directory_)) return NotFound("no cgroup " + path_);
  return ReadStatsV2(directory_);
}

StatusOr<std::unique_ptr<OomWatch>> CgroupV2::WatchOom() const {
  ASSIGN_OR_RETURN(UniqueFd file, OpenFile(File("memory.events"), O_RDONLY));
  return std::make_unique<OomWatchV2>(std::move(file));
}

Status CgroupV2::Remove() {
  fd_.reset();
  return RemoveCgroupTree(directory_);
}

}  // namespace berth::oci
