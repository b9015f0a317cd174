#include "base/fs/foreign_path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <map>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "base/strings.h"
#include "base/sys/file.h"
#include "base/sys/mount_table.h"
#include "base/unique_fd.h"

namespace berth {
namespace {

// How long a killed helper that is not stuck may take to be gone.
constexpr int kDyingMs = 200;
constexpr Duration kLimit = std::chrono::seconds(20);
// Of helpers at work or stuck: for one mount, and in all.
constexpr size_t kMostOfMount = 4;
constexpr size_t kMostOfAll = 64;
constexpr int kMaxLinks = 40;  // path_resolution(7)
constexpr uint64_t kMaxMountInfo = 64 << 20;

// File systems that answer without anybody's help but the disk's.
bool IsOwn(std::string_view type) {
  static constexpr std::string_view kOwn[] = {
      "bdev",    "bpf",        "btrfs",    "cgroup",   "cgroup2",    "configfs",
      "debugfs", "devpts",     "devtmpfs", "efivarfs", "erofs",      "exfat",
      "ext2",    "ext3",       "ext4",     "f2fs",     "hugetlbfs",  "iso9660",
      "mqueue",  "nsfs",       "overlay",  "proc",     "pstore",     "ramfs",
      "rootfs",  "securityfs", "squashfs", "sysfs",    "tmpfs",      "tracefs",
      "udf",     "vfat",       "xfs",      "zfs",      "binfmt_misc"};
  return std::find(std::begin(kOwn), std::end(kOwn), type) != std::end(kOwn);
}

// Where foreign file systems are mounted.
std::map<std::string, bool> ForeignPoints(const std::string& mountinfo) {
  std::map<std::string, bool> foreign;
  for (const MountEntry& entry : ParseMountTable(mountinfo)) {
    foreign[entry.point] = !IsOwn(entry.type);
  }
  // If the root's server is dead, so are we.
  foreign["/"] = false;
  std::erase_if(foreign, [](const auto& entry) { return !entry.second; });
  return foreign;
}

// The table of mounts, read again when the kernel says that it has changed.
class MountTable {
 public:
  StatusOr<std::map<std::string, bool>> Foreign() EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    if (!file_.valid()) {
      ASSIGN_OR_RETURN(file_, OpenFile("/proc/self/mountinfo", O_RDONLY));
    } else {
      // A poll that is told of a change has taken it (proc_pid_mountinfo(5)).
      pollfd changed = {file_.get(), POLLPRI, 0};
      if (poll(&changed, 1, 0) == 0) return foreign_;
    }
    if (lseek(file_.get(), 0, SEEK_SET) != 0) {
      return Errno(errno, "rewind mountinfo");
    }
    const StatusOr<std::string> text =
        ReadAll(file_.get(), kMaxMountInfo, "mountinfo");
    if (!text.ok()) {
      file_.reset();
      return text.status();
    }
    foreign_ = ForeignPoints(*text);
    return foreign_;
  }

 private:
  Mutex mutex_;
  UniqueFd file_ GUARDED_BY(mutex_);
  std::map<std::string, bool> foreign_ GUARDED_BY(mutex_);
};

MountTable& Mounts() {
  static auto& table = *new MountTable();
  return table;
}

// What a helper is asked, and what it answers. Plain memory: between fork and
// the end of the helper nothing may be allocated or locked.
struct Question {
  char path[PATH_MAX];
  bool make;
  mode_t mode;
};
struct Answer {
  int error;
  struct stat info;
  char path[PATH_MAX];
};

// The error of the last directory, unless it exists.
int MakeMissing(char* path, mode_t mode) {
  for (char* slash = path + 1; *slash != '\0'; ++slash) {
    if (*slash != '/') continue;
    *slash = '\0';
    (void)mkdir(path, mode);
    *slash = '/';
  }
  return mkdir(path, mode) == 0 || errno == EEXIST ? 0 : errno;
}

int Find(Question& question, Answer& answer) {
  if (question.make) {
    const int error = MakeMissing(question.path, question.mode);
    if (error != 0) return error;
  }
  const int fd = open(question.path, O_PATH | O_CLOEXEC);
  if (fd < 0) return errno;
  if (fstat(fd, &answer.info) != 0) return errno;
  char link[] = "/proc/self/fd/\0\0\0\0\0\0\0\0\0\0\0";
  char* digit = link + strlen(link);
  for (int divisor = 1000000000; divisor > 0; divisor /= 10) {
    if (fd >= divisor || divisor == 1) {
      *digit++ = static_cast<char>('0' + fd / divisor % 10);
    }
  }
  const ssize_t n = readlink(link, answer.path, sizeof(answer.path) - 1);
  close(fd);
  return n < 0 ? errno : 0;
}

// In the helper. It must not keep our sockets and locks while it is stuck.
[[noreturn]] void Help(Question& question, int to) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  dup2(to, STDIN_FILENO);
  if (syscall(SYS_close_range, 1u, ~0u, 0u) != 0) {
    for (int fd = 1; fd < 65536; ++fd) close(fd);
  }
  Answer answer = {};
  answer.error = Find(question, answer);
  ssize_t written;
  do {
    written = write(STDIN_FILENO, &answer, sizeof(answer));
  } while (written < 0 && errno == EINTR);
  _exit(0);
}

// The helpers of this process.
class Helpers {
 public:
  StatusOr<Answer> Ask(const Context& ctx, const std::string& mount,
                       Question& question) {
    RETURN_IF_ERROR(Enter(mount));
    StatusOr<Answer> answer = AskOne(ctx, mount, question);
    MutexLock lock(mutex_);
    if (--busy_[mount] == 0) busy_.erase(mount);
    return answer;
  }

  size_t stuck() EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    Reap();
    return stuck_.size();
  }

 private:
  struct Stuck {
    pid_t pid;
    std::string mount;
  };

  Status Enter(const std::string& mount) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    Reap();
    size_t all = 0;
    for (const auto& [point, count] : busy_) all += count;
    const auto found = busy_.find(mount);
    if (all >= kMostOfAll ||
        (found != busy_.end() && found->second >= kMostOfMount)) {
      return Unavailable("the file system on " + Quoted(mount) +
                         " does not answer");
    }
    ++busy_[mount];
    return OkStatus();
  }

  StatusOr<Answer> AskOne(const Context& ctx, const std::string& mount,
                          Question& question) EXCLUDES(mutex_) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return Errno(errno, "make a pipe");
    const UniqueFd from(ends[0]);
    UniqueFd to(ends[1]);
    // Not fork: handlers of libraries may take locks (fork(2), _Fork(3)).
    const pid_t pid = _Fork();
    if (pid < 0) return Errno(errno, "start a helper");
    if (pid == 0) Help(question, to.get());
    to.reset();
    Answer answer = {};
    const Status received =
        Receive(ctx.WithTimeout(kLimit), from.get(), answer);
    if (received.ok()) {
      waitpid(pid, nullptr, 0);
      return answer;
    }
    kill(pid, SIGKILL);
    if (EndsAtOnce(pid)) return GaveUp(ctx, mount);
    MutexLock lock(mutex_);
    stuck_.push_back({pid, mount});
    ++busy_[mount];
    return GaveUp(ctx, mount);
  }

  static Status GaveUp(const Context& ctx, const std::string& mount) {
    RETURN_IF_ERROR(ctx.Check());
    return DeadlineExceeded("the file system on " + Quoted(mount) +
                            " does not answer");
  }

  // Reaps a killed helper, unless it is stuck in the kernel.
  static bool EndsAtOnce(pid_t pid) {
    const UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
    pollfd ended = {process.get(), POLLIN, 0};
    if (!process.valid() || poll(&ended, 1, kDyingMs) <= 0) return false;
    return waitpid(pid, nullptr, 0) == pid;
  }

  static Status Receive(const Context& ctx, int from, Answer& answer) {
    while (true) {
      pollfd polled[] = {{from, POLLIN, 0}, {ctx.cancel_fd(), POLLIN, 0}};
      RETURN_IF_ERROR(ctx.Check());
      const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(
          ctx.Remaining(kLimit));
      if (poll(polled, 2, static_cast<int>(ms.count()) + 1) <= 0) continue;
      if (polled[0].revents == 0) continue;
      // Less than PIPE_BUF is written at once; this may come in pieces.
      char* const bytes = reinterpret_cast<char*>(&answer);
      size_t got = 0;
      while (got < sizeof(answer)) {
        const ssize_t n =
            TEMP_FAILURE_RETRY(read(from, bytes + got, sizeof(answer) - got));
        if (n <= 0) return Unavailable("a helper died");
        got += static_cast<size_t>(n);
      }
      return OkStatus();
    }
  }

  void Reap() REQUIRES(mutex_) {
    std::erase_if(stuck_, [this](const Stuck& one) NO_THREAD_SAFETY_ANALYSIS {
      if (waitpid(one.pid, nullptr, WNOHANG) == 0) return false;
      if (--busy_[one.mount] == 0) busy_.erase(one.mount);
      return true;
    });
  }

  Mutex mutex_;
  std::deque<Stuck> stuck_ GUARDED_BY(mutex_);
  // Helpers at work and stuck ones, by mount point.
  std::map<std::string, size_t> busy_ GUARDED_BY(mutex_);
};

Helpers& AllHelpers() {
  static auto& helpers = *new Helpers();
  return helpers;
}

// Whether the kernel meets no mount point on `path`, links followed. If the
// root has no such path, what is there of it decides; but "..", after a name
// that is missing, would lead elsewhere once the name is made.
bool StaysOnRoot(const std::string& path) {
  static const int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (path.find("/..") != std::string::npos) return false;
  const Status found =
      OpenBeneath(root, "./" + path, O_PATH, RESOLVE_NO_XDEV).status();
  return found.ok() || IsNotFound(found);
}

StatusOr<PathFacts> FactsOf(const Context& ctx, const std::string& path,
                            bool make, mode_t mode) {
  if (!StartsWith(path, "/") || path.find('\0') != std::string::npos) {
    return InvalidArgument("path " + Quoted(path) + ": not absolute");
  }
  Question question = {};
  if (path.size() >= sizeof(question.path)) {
    return Errno(ENAMETOOLONG, Quoted(path));
  }
  memcpy(question.path, path.data(), path.size());
  question.make = make;
  question.mode = mode;
  ASSIGN_OR_RETURN(const std::string mount, ForeignMountOf(path));
  Answer answer = {};
  if (mount.empty()) {
    answer.error = Find(question, answer);
  } else {
    ASSIGN_OR_RETURN_AS(answer, AllHelpers().Ask(ctx, mount, question),
                        Quoted(path));
  }
  if (answer.error != 0) return Errno(answer.error, Quoted(path));
  return PathFacts{answer.path, answer.info};
}

}  // namespace

StatusOr<std::string> ForeignMountOf(const std::string& path) {
  if (StaysOnRoot(path)) return std::string();
  ASSIGN_OR_RETURN(const auto foreign, Mounts().Foreign());
  if (foreign.empty()) return std::string();
  std::vector<std::string> left = Split(path, '/');
  std::reverse(left.begin(), left.end());
  std::string at;  // without links; "" is the root
  int links = 0;
  while (!left.empty()) {
    const std::string name = std::move(left.back());
    left.pop_back();
    if (name.empty() || name == ".") continue;
    if (name == "..") {
      at.erase(at.empty() ? 0 : at.rfind('/'));
      continue;
    }
    const std::string next = at + "/" + name;
    if (foreign.count(next) > 0) return next;
    char target[PATH_MAX];
    const ssize_t n = readlink(next.c_str(), target, sizeof(target));
    if (n < 0) {
      at = next;
      continue;
    }
    if (++links > kMaxLinks) return Errno(ELOOP, Quoted(path));
    std::vector<std::string> more =
        Split(std::string_view(target, static_cast<size_t>(n)), '/');
    if (target[0] == '/') at.clear();
    left.insert(left.end(), more.rbegin(), more.rend());
  }
  return std::string();
}

StatusOr<PathFacts> InspectPath(const Context& ctx, const std::string& path) {
  return FactsOf(ctx, path, false, 0);
}

Status MakePath(const Context& ctx, const std::string& path, mode_t mode) {
  ASSIGN_OR_RETURN(const PathFacts facts, FactsOf(ctx, path, true, mode));
  if (S_ISDIR(facts.info.st_mode)) return OkStatus();
  return Errno(ENOTDIR, Quoted(path));
}

size_t StuckPathHelpers() { return AllHelpers().stuck(); }

}  // namespace berth
