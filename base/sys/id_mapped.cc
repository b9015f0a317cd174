#include "base/sys/id_mapped.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string_view>
#include <utility>

#include "base/strings.h"
#include "base/sys/file.h"
#include "base/sys/mount.h"
#include "base/undo.h"

namespace berth {
namespace {

constexpr char kUidMap[] = "uidmap=";
constexpr char kGidMap[] = "gidmap=";
constexpr char kLower[] = "lowerdir=";
constexpr char kUpper[] = "upperdir=";

Status WriteMap(const std::string& path, const std::string& text) {
  ASSIGN_OR_RETURN(const UniqueFd file, OpenFile(path, O_WRONLY));
  // The kernel takes the whole map in one write or not at all.
  if (write(file.get(), text.data(), text.size()) < 0) {
    return Errno(errno, "write " + path);
  }
  return OkStatus();
}

// A process in a new user namespace that ends when the pipe's other end is
// closed. Not heard of by who waits for all children: it sends no signal.
StatusOr<pid_t> CloneHolder(const UniqueFd& read_end,
                            const UniqueFd& write_end) {
  const long pid =
      syscall(SYS_clone, CLONE_NEWUSER, nullptr, nullptr, nullptr, nullptr);
  if (pid < 0) return Errno(errno, "clone into a user namespace");
  if (pid == 0) {
    char byte;
    syscall(SYS_close, write_end.get());
    syscall(SYS_read, read_end.get(), &byte, 1);
    syscall(SYS_exit_group, 0);
  }
  return static_cast<pid_t>(pid);
}

std::string RangesText(const std::vector<IdRange>& ranges) {
  std::vector<std::string> words;
  for (const IdRange& range : ranges) {
    words.push_back(std::to_string(range.inside) + ":" +
                    std::to_string(range.outside) + ":" +
                    std::to_string(range.size));
  }
  return Join(words, ",");
}

Status ParseRanges(const std::string& option, std::vector<IdRange>& ranges) {
  std::vector<std::string> words =
      Split(option.substr(option.find('=') + 1), ',');
  if (words.empty()) words.emplace_back();
  for (const std::string& word : words) {
    const std::vector<std::string> numbers = Split(word, ':');
    IdRange range;
    uint32_t* const fields[] = {&range.inside, &range.outside, &range.size};
    bool good = numbers.size() == 3;
    for (size_t i = 0; good && i < 3; ++i) {
      const auto number = ParseUint(numbers[i]);
      good = number && *number <= UINT32_MAX;
      if (good) *fields[i] = static_cast<uint32_t>(*number);
    }
    if (!good) {
      return InvalidArgument("mount option " + Quoted(option) +
                             ": no map of ids");
    }
    ranges.push_back(range);
  }
  return OkStatus();
}

}  // namespace

std::string IdMapText(const std::vector<IdRange>& ranges) {
  std::string text;
  for (const IdRange& range : ranges) {
    text += std::to_string(range.inside) + " " + std::to_string(range.outside) +
            " " + std::to_string(range.size) + "\n";
  }
  return text;
}

std::optional<uint32_t> OutsideId(const std::vector<IdRange>& ranges,
                                  uint32_t inside) {
  for (const IdRange& range : ranges) {
    if (inside >= range.inside && inside - range.inside < range.size) {
      return range.outside + (inside - range.inside);
    }
  }
  return std::nullopt;
}

StatusOr<UniqueFd> MakeUserNamespace(const IdMaps& maps) {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) return Errno(errno, "pipe");
  const UniqueFd read_end(fds[0]);
  UniqueFd write_end(fds[1]);
  ASSIGN_OR_RETURN(const pid_t pid, CloneHolder(read_end, write_end));
  Undo end;
  end.Add([&] {
    write_end.reset();
    TEMP_FAILURE_RETRY(waitpid(pid, nullptr, __WALL));
  });
  const std::string proc = "/proc/" + std::to_string(pid);
  RETURN_IF_ERROR(WriteMap(proc + "/uid_map", IdMapText(maps.uids)));
  RETURN_IF_ERROR(WriteMap(proc + "/gid_map", IdMapText(maps.gids)));
  return OpenFile(proc + "/ns/user", O_RDONLY);
}

namespace {

bool IsOutside(const std::vector<IdRange>& ranges, uint32_t id) {
  return std::any_of(ranges.begin(), ranges.end(), [&](const IdRange& range) {
    return id >= range.outside && id - range.outside < range.size;
  });
}

StatusOr<bool> IsEmptyDirectory(int directory) {
  ASSIGN_OR_RETURN(UniqueFd again,
                   OpenFileAt(directory, ".", O_RDONLY | O_DIRECTORY));
  const std::unique_ptr<DIR, int (*)(DIR*)> list(fdopendir(again.get()),
                                                 closedir);
  if (list == nullptr) return Errno(errno, "fdopendir");
  again.release();
  while (const dirent* entry = readdir(list.get())) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") return false;
  }
  return true;
}

}  // namespace

StatusOr<UniqueFd> CloneGivenMount(const std::string& source, bool recursive,
                                   const IdMaps& maps) {
  ASSIGN_OR_RETURN(const UniqueFd top, OpenFile(source, O_PATH));
  struct statfs fs;
  struct stat info;
  if (fstatfs(top.get(), &fs) != 0 || fstat(top.get(), &info) != 0) {
    return Errno(errno, "look at \"" + source + "\"");
  }
  const Status refused =
      Unimplemented("this kernel cannot map the ids of the file system at \"" +
                    source + "\" (tmpfs: since 6.3)");
  if (fs.f_type != TMPFS_MAGIC || !S_ISDIR(info.st_mode)) return refused;
  if (!IsOutside(maps.uids, info.st_uid)) {
    ASSIGN_OR_RETURN(const bool empty, IsEmptyDirectory(top.get()));
    const auto uid = OutsideId(maps.uids, info.st_uid);
    const auto gid = OutsideId(maps.gids, info.st_gid);
    if (!empty || !uid || !gid) return refused;
    if (fchownat(top.get(), "", *uid, *gid, AT_EMPTY_PATH) != 0) {
      return Errno(errno, "chown \"" + source + "\"");
    }
    // The bits that chown(2) takes away.
    const std::string same = "/proc/self/fd/" + std::to_string(top.get());
    if (chmod(same.c_str(), info.st_mode & 07777) != 0) {
      return Errno(errno, "chmod \"" + source + "\"");
    }
  }
  return CloneMount(AT_FDCWD, source, recursive);
}

std::vector<std::string> IdMapOptions(const IdMaps& maps) {
  if (maps.empty()) return {};
  return {kUidMap + RangesText(maps.uids), kGidMap + RangesText(maps.gids)};
}

StatusOr<IdMaps> TakeIdMapOptions(std::vector<std::string>& options) {
  IdMaps maps;
  for (const std::string& option : options) {
    if (StartsWith(option, kUidMap)) {
      RETURN_IF_ERROR(ParseRanges(option, maps.uids));
    } else if (StartsWith(option, kGidMap)) {
      RETURN_IF_ERROR(ParseRanges(option, maps.gids));
    }
  }
  if (maps.uids.empty() != maps.gids.empty()) {
    return InvalidArgument(
        "mount options: a map of user ids or group ids, "
        "not both");
  }
  std::erase_if(options, [](const std::string& option) {
    return StartsWith(option, kUidMap) || StartsWith(option, kGidMap);
  });
  return maps;
}

StatusOr<UniqueFd> CloneMappedMount(const std::string& source, bool recursive,
                                    int user_namespace, bool map_all) {
  ASSIGN_OR_RETURN(UniqueFd tree, CloneMount(AT_FDCWD, source, recursive));
  const Status mapped = MapMountIds(tree.get(), user_namespace, map_all);
  if (ErrnoOf(mapped) == EINVAL) {
    return Unimplemented("map the ids of " + Quoted(source) +
                         ": its file system cannot do that");
  }
  RETURN_IF_ERROR_AS(mapped, "map the ids of " + Quoted(source));
  return tree;
}

StatusOr<MappedLayers> MappedLayers::Map(std::vector<std::string>& options,
                                         int user_namespace,
                                         const std::string& directory) {
  const auto lower = std::find_if(
      options.begin(), options.end(),
      [](const std::string& option) { return StartsWith(option, kLower); });
  if (lower == options.end()) {
    return InvalidArgument("overlay: no lowerdir to map");
  }
  if (mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
    return Errno(errno, "mkdir " + Quoted(directory));
  }
  MappedLayers layers(directory);
  std::vector<std::string> mapped;
  for (const std::string& path :
       Split(lower->substr(sizeof(kLower) - 1), ':')) {
    const size_t slash = path.rfind('/');
    if (slash == std::string::npos || slash == 0) {
      return InvalidArgument("overlay: lower directory " + Quoted(path));
    }
    ASSIGN_OR_RETURN(const int mount,
                     layers.MountOf(path.substr(0, slash), user_namespace));
    // Short, as all of them have to fit into one page.
    mapped.push_back("/proc/self/fd/" + std::to_string(mount) +
                     path.substr(slash));
  }
  *lower = kLower + Join(mapped, ":");
  return layers;
}

StatusOr<int> MappedLayers::MountOf(const std::string& parent,
                                    int user_namespace) {
  const auto known = std::find(parents_.begin(), parents_.end(), parent);
  if (known != parents_.end()) {
    return mounts_[static_cast<size_t>(known - parents_.begin())].get();
  }
  const std::string point = directory_ + "/" + std::to_string(mounts_.size());
  if (mkdir(point.c_str(), 0700) != 0 && errno != EEXIST) {
    return Errno(errno, "mkdir " + Quoted(point));
  }
  ASSIGN_OR_RETURN(UniqueFd tree,
                   CloneMappedMount(parent, false, user_namespace, false));
  // Nobody else's mounts come and go with it, and none go with it.
  RETURN_IF_ERROR(SetPropagation(tree.get(), MS_PRIVATE));
  ASSIGN_OR_RETURN(const UniqueFd target,
                   OpenFile(point, O_PATH | O_DIRECTORY | O_NOFOLLOW));
  RETURN_IF_ERROR(AttachMount(tree.get(), target.get()));
  parents_.push_back(parent);
  mounts_.push_back(std::move(tree));
  return mounts_.back().get();
}

MappedLayers::~MappedLayers() {
  if (directory_.empty()) return;  // moved from
  for (size_t i = 0; i < mounts_.size(); ++i) {
    mounts_[i].reset();
    (void)Unmount(directory_ + "/" + std::to_string(i),
                  MNT_DETACH | UMOUNT_NOFOLLOW)
        .ok();
  }
  for (size_t i = 0; i <= mounts_.size(); ++i) {
    rmdir((directory_ + "/" + std::to_string(i)).c_str());
  }
  rmdir(directory_.c_str());
}

Status GiveUpperDirectory(const std::vector<std::string>& options,
                          const IdMaps& maps) {
  std::string upper, lower;
  for (const std::string& option : options) {
    if (StartsWith(option, kUpper)) upper = option.substr(sizeof(kUpper) - 1);
    if (StartsWith(option, kLower)) {
      lower = option.substr(sizeof(kLower) - 1);
      lower.resize(std::min(lower.size(), lower.find(':')));
    }
  }
  if (upper.empty()) return OkStatus();
  struct stat seen {
  }, wanted{};
  if (stat(upper.c_str(), &seen) != 0) {
    return Errno(errno, "stat " + Quoted(upper));
  }
  if (stat(lower.c_str(), &wanted) != 0) {
    return Errno(errno, "stat " + Quoted(lower));
  }
  const auto uid = OutsideId(maps.uids, wanted.st_uid);
  const auto gid = OutsideId(maps.gids, wanted.st_gid);
  if (seen.st_uid != wanted.st_uid || seen.st_gid != wanted.st_gid || !uid ||
      !gid) {
    return OkStatus();
  }
  if (lchown(upper.c_str(), *uid, *gid) != 0 ||
      chmod(upper.c_str(), seen.st_mode & 07777) != 0) {
    return Errno(errno, "chown " + Quoted(upper));
  }
  return OkStatus();
}

Status ProbeMappedOverlay(const std::string& directory) {
  const std::string probe =
      directory + "/.idmap-probe-" + std::to_string(getpid());
  const std::vector<std::string> parts = {"", "/lower", "/upper", "/work",
                                          "/merged"};
  Undo undo;
  for (const std::string& part : parts) {
    if (mkdir((probe + part).c_str(), 0700) != 0 && errno != EEXIST) {
      return Errno(errno, "mkdir " + Quoted(probe + part));
    }
    undo.Add([path = probe + part] { rmdir(path.c_str()); });
  }
  undo.Add([work = probe + "/work/work"] { rmdir(work.c_str()); });
  Mount mount{"overlay",
              "overlay",
              probe + "/merged",
              {"lowerdir=" + probe + "/lower", "upperdir=" + probe + "/upper",
               "workdir=" + probe + "/work", "index=off"}};
  const IdMaps maps{{{0, 65536, 65536}}, {{0, 65536, 65536}}};
  for (const std::string& option : IdMapOptions(maps)) {
    mount.options.push_back(option);
  }
  const Status mounted = MountAt(mount);
  if (mounted.ok()) return Unmount(mount.target, MNT_DETACH);
  return Unimplemented("user namespaces: " + Message(mounted));
}

}  // namespace berth
