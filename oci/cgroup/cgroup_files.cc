#include "oci/cgroup/cgroup_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <memory>
#include <optional>
#include <set>

#include "base/strings.h"
#include "base/sys/file.h"
#include "base/unique_fd.h"
#include "oci/cgroup/stats.h"

namespace berth::oci {
namespace {

// cgroup.procs of a busy group is the longest.
constexpr uint64_t kMaxFile = 64 << 20;
// Rounds of killing before we say that it does not help.
constexpr int kKillRounds = 100;

StatusOr<std::vector<std::string>> Subdirectories(const std::string& path) {
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir(path.c_str()),
                                                closedir);
  if (dir == nullptr) return Errno(errno, "open directory " + path);
  std::vector<std::string> names;
  while (const dirent* const entry = readdir(dir.get())) {
    const std::string name = entry->d_name;
    if (entry->d_type == DT_DIR && name != "." && name != "..") {
      names.push_back(path + "/" + name);
    }
  }
  return names;
}

Status AddPids(const std::string& path, std::vector<pid_t>& pids) {
  const auto listed = ReadCgroupFile(path + "/cgroup.procs");
  // The member of a threaded group cannot list processes; its parent does.
  if (!listed.ok() && ErrnoOf(listed.status()) != EOPNOTSUPP) {
    return listed.status();
  }
  if (listed.ok()) {
    for (const std::string& line : Split(*listed, '\n')) {
      // 0: a process outside our pid namespace.
      const auto pid = ParseInt(line);
      if (pid.value_or(0) > 0) pids.push_back(static_cast<pid_t>(*pid));
    }
  }
  ASSIGN_OR_RETURN(const auto children, Subdirectories(path));
  for (const std::string& child : children) {
    RETURN_IF_ERROR(IgnoreNotFound(AddPids(child, pids)));
  }
  return OkStatus();
}

// rmdir, waiting while the kernel still lets go of dead processes.
Status RemoveDirectory(const std::string& path) {
  int error = 0;
  ASSIGN_OR_RETURN(const bool removed,
                   PollUntil(std::chrono::seconds(1), [&]() -> StatusOr<bool> {
                     if (rmdir(path.c_str()) == 0 || errno == ENOENT) {
                       return true;
                     }
                     error = errno;
                     if (error == EBUSY) return false;
                     return Errno(error, "remove cgroup " + path);
                   }));
  return removed ? OkStatus() : Errno(error, "remove cgroup " + path);
}

// The text of a file that the kernel writes at once, which is all that tell
// numbers: one read(2), as statistics are read of many cgroups all the time.
class OneRead {
 public:
  explicit OneRead(const std::string& path) {
    const UniqueFd fd(TEMP_FAILURE_RETRY(
        open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY)));
    if (!fd.valid()) return;
    size_ = TEMP_FAILURE_RETRY(read(fd.get(), buffer_, sizeof(buffer_)));
  }

  bool ok() const { return size_ >= 0; }
  std::string_view text() const {
    return {buffer_, size_ > 0 ? static_cast<size_t>(size_) : 0};
  }

 private:
  char buffer_[16 * 1024];  // memory.stat has some 4 KiB
  ssize_t size_ = -1;
};

Status WriteLimit(
    const LimitWrite& write,
    const std::function<StatusOr<std::string>(
        const LimitWrite& write, const std::string& file)>& path_of) {
  const auto path = path_of(write, write.file);
  if (!path.ok()) return write.optional ? OkStatus() : path.status();
  Status status = WriteCgroupFile(*path, write.value);
  if (!IsNotFound(status)) return status;
  if (!write.other_file.empty()) {
    ASSIGN_OR_RETURN(const std::string other, path_of(write, write.other_file));
    status = WriteCgroupFile(other, write.other_value);
  }
  return write.optional ? IgnoreNotFound(status) : status;
}

}  // namespace

Status WriteCgroupFile(const std::string& path, std::string_view value) {
  const UniqueFd fd(
      TEMP_FAILURE_RETRY(open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY)));
  if (!fd.valid()) return Errno(errno, "open " + path);
  const ssize_t n =
      TEMP_FAILURE_RETRY(write(fd.get(), value.data(), value.size()));
  if (n < 0) {
    return Errno(errno, "write " + Quoted(value) + " to " + path);
  }
  return OkStatus();
}

StatusOr<std::string> ReadCgroupFile(const std::string& path) {
  auto text = ReadFile(path, kMaxFile);
  if (!text.ok()) {
    if (ErrnoOf(text.status()) == ENODEV) {
      return NotFound(Message(text.status()));
    }
    return text;
  }
  return std::string(Trim(*text));
}

uint64_t ReadNumber(const std::string& path) {
  const OneRead file(path);
  if (!file.ok()) return 0;
  const std::string_view text = Trim(file.text());
  if (text == "max") return kNoLimit;
  const uint64_t value = ParseUint(text).value_or(0);
  // v1 says "no limit" as the largest number of whole pages.
  return value >= uint64_t{INT64_MAX} - (64 << 10) ? kNoLimit : value;
}

std::map<std::string, uint64_t> ReadTable(const std::string& path) {
  std::map<std::string, uint64_t> table;
  const OneRead file(path);
  std::string_view left = file.text();
  while (!left.empty()) {
    const std::string_view line = left.substr(0, left.find('\n'));
    left.remove_prefix(std::min(left.size(), line.size() + 1));
    const size_t space = line.find(' ');
    if (space == std::string_view::npos) continue;
    const auto value = ParseUint(Trim(line.substr(space)));
    if (value.has_value()) table.emplace(line.substr(0, space), *value);
  }
  return table;
}

uint64_t ValueOf(const std::map<std::string, uint64_t>& table,
                 const std::string& name) {
  const auto it = table.find(name);
  return it == table.end() ? 0 : it->second;
}

bool DirectoryExists(const std::string& path) {
  struct stat info = {};
  return stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

StatusOr<bool> MakeCgroup(const std::string& path) {
  if (mkdir(path.c_str(), 0755) == 0) return true;
  if (errno == EEXIST) return false;
  return Errno(errno, "make cgroup " + path);
}

Status RemoveCgroupTree(const std::string& path) {
  if (rmdir(path.c_str()) == 0 || errno == ENOENT) return OkStatus();
  const auto children = Subdirectories(path);
  if (!children.ok()) return IgnoreNotFound(children.status());
  for (const std::string& child : *children) {
    RETURN_IF_ERROR(RemoveCgroupTree(child));
  }
  return RemoveDirectory(path);
}

StatusOr<std::vector<pid_t>> PidsOfTree(const std::string& path) {
  std::vector<pid_t> pids;
  RETURN_IF_ERROR(IgnoreNotFound(AddPids(path, pids)));
  std::sort(pids.begin(), pids.end());
  pids.erase(std::unique(pids.begin(), pids.end()), pids.end());
  return pids;
}

Status ApplyLimits(
    const std::vector<LimitWrite>& writes,
    const std::function<StatusOr<std::string>(
        const LimitWrite& write, const std::string& file)>& path_of) {
  for (size_t i = 0; i < writes.size(); ++i) {
    Status status = WriteLimit(writes[i], path_of);
    const bool swap = writes[i].swap_on_einval && i + 1 < writes.size() &&
                      ErrnoOf(status) == EINVAL;
    if (swap) {
      RETURN_IF_ERROR(WriteLimit(writes[i + 1], path_of));
      status = WriteLimit(writes[i], path_of);
      ++i;
    }
    RETURN_IF_ERROR(status);
  }
  return OkStatus();
}

Status KillAll(const std::function<StatusOr<std::vector<pid_t>>()>& pids) {
  // A process with a pending SIGKILL forks no more (fork(2) restarts and
  // finds it), so a round that finds nobody new has reached all of them.
  std::set<pid_t> killed;
  for (int round = 0; round < kKillRounds; ++round) {
    ASSIGN_OR_RETURN(const std::vector<pid_t> found, pids());
    bool news = false;
    for (const pid_t pid : found) {
      if (!killed.insert(pid).second) continue;
      news = true;
      if (kill(pid, SIGKILL) != 0 && errno != ESRCH) {
        return Errno(errno, "kill process " + std::to_string(pid));
      }
    }
    if (!news) return OkStatus();
  }
  return ResourceExhausted("processes are born faster than they are killed");
}

Status SignalEach(const std::vector<pid_t>& pids, int signal) {
  for (const pid_t pid : pids) {
    if (kill(pid, signal) != 0 && errno != ESRCH) {
      return Errno(errno, "kill process " + std::to_string(pid));
    }
  }
  return OkStatus();
}

StatusOr<bool> PollUntil(Duration limit,
                         const std::function<StatusOr<bool>()>& done) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  Duration pause = std::chrono::microseconds(100);
  while (true) {
    ASSIGN_OR_RETURN(const bool finished, done());
    if (finished) return true;
    if (std::chrono::steady_clock::now() >= deadline) return false;
    const struct timespec time = {.tv_sec = 0, .tv_nsec = pause.count()};
    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &time, nullptr);  // EINTR: early
    pause = std::min<Duration>(pause * 2, std::chrono::milliseconds(10));
  }
}

}  // namespace berth::oci
