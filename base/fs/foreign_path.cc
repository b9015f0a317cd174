#include "base/fs/foreign_path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>
#include <vector>

#include "base/fs/path_helper.h"
#include "base/mutex.h"
#include "base/strings.h"
#include "base/sys/file.h"
#include "base/sys/mount_table.h"
#include "base/unique_fd.h"

namespace berth {
namespace {

constexpr Duration kLimit = std::chrono::seconds(20);
constexpr int kMaxLinks = 40;  // path_resolution(7)
constexpr uint64_t kMaxMountInfo = 64 << 20;

// Where foreign file systems are mounted.
std::map<std::string, bool> ForeignPoints(const std::string& mountinfo) {
  std::map<std::string, bool> foreign;
  for (const MountEntry& entry : ParseMountTable(mountinfo)) {
    foreign[entry.point] = IsForeignType(entry.type);
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

// What a helper is asked, and what it answers.
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
    const auto find = [](void* asked, void* found) {
      Answer& to = *static_cast<Answer*>(found);
      to.error = Find(*static_cast<Question*>(asked), to);
    };
    RETURN_IF_ERROR_AS(AskHelper(ctx.WithTimeout(kLimit), mount, find,
                                 &question, &answer, sizeof(answer)),
                       Quoted(path));
  }
  if (answer.error != 0) return Errno(answer.error, Quoted(path));
  return PathFacts{answer.path, answer.info};
}

}  // namespace

bool IsForeignType(std::string_view type) {
  static constexpr std::string_view kOwn[] = {
      "bdev",    "bpf",        "btrfs",    "cgroup",   "cgroup2",    "configfs",
      "debugfs", "devpts",     "devtmpfs", "efivarfs", "erofs",      "exfat",
      "ext2",    "ext3",       "ext4",     "f2fs",     "hugetlbfs",  "iso9660",
      "mqueue",  "nsfs",       "overlay",  "proc",     "pstore",     "ramfs",
      "rootfs",  "securityfs", "squashfs", "sysfs",    "tmpfs",      "tracefs",
      "udf",     "vfat",       "xfs",      "zfs",      "binfmt_misc"};
  return std::find(std::begin(kOwn), std::end(kOwn), type) == std::end(kOwn);
}

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

size_t StuckPathHelpers() { return StuckHelpers(); }

}  // namespace berth
