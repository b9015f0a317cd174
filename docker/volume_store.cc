#include "docker/volume_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/failpoint.h"
#include "base/fs/atomic_file.h"
#include "base/fs/foreign_mount.h"
#include "base/fs/tree.h"
#include "base/io/host_lookup.h"
#include "base/json.h"
#include "base/strings.h"
#include "base/sys/file.h"
#include "base/sys/mount.h"
#include "base/unique_fd.h"
#include "docker/convert/names.h"

namespace berth::docker {
namespace {

constexpr char kAnonymousLabel[] = "com.docker.volume.anonymous";
constexpr uint64_t kMaxRecord = 1 << 20;

using Options = std::map<std::string, std::string>;

Status CheckOptions(const std::string& name, const Options& options) {
  const std::string what = "create " + name + ": ";
  for (const auto& [key, value] : options) {
    if (key != "type" && key != "device" && key != "o") {
      return InvalidArgument(what + "invalid option: " + Quoted(key));
    }
  }
  for (const char* needed : {"device", "type"}) {
    if (!options.empty() && options.count(needed) == 0) {
      return InvalidArgument(what +
                             "missing required option: " + Quoted(needed));
    }
  }
  return OkStatus();
}

// Without a word to its server, which may be dead.
bool IsMountPoint(const std::string& path) {
  struct statx info = {};
  return statx(AT_FDCWD, path.c_str(),
               AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC,
               STATX_TYPE, &info) == 0 &&
         (info.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

// Its first address, of version 4 if it has one.
StatusOr<std::string> LookUp(const Context& ctx, const std::string& host) {
  ASSIGN_OR_RETURN_AS(const std::vector<std::string> all, LookUpHost(ctx, host),
                      "error resolving passed in network volume address");
  const auto best = std::find_if(
      all.begin(), all.end(),
      [](const std::string& ip) { return ip.find(':') == std::string::npos; });
  return best == all.end() ? all.front() : *best;
}

// The kernel knows no names of hosts, and the helpers of mount(8), which look
// them up, are not run.
Status LookUpServer(const Context& ctx, Mount& mount) {
  if (mount.type != "nfs" && mount.type != "cifs") return OkStatus();
  constexpr std::string_view kAddress = "addr=";
  for (std::string& option : mount.options) {
    if (!StartsWith(option, kAddress)) continue;
    ASSIGN_OR_RETURN(const std::string ip,
                     LookUp(ctx, option.substr(kAddress.size())));
    option = std::string(kAddress) + ip;
    return OkStatus();
  }
  if (mount.type != "cifs" || !StartsWith(mount.source, "//")) {
    return OkStatus();
  }
  const size_t end = std::min(mount.source.find('/', 2), mount.source.size());
  if (end == 2) return OkStatus();
  ASSIGN_OR_RETURN(const std::string ip,
                   LookUp(ctx, mount.source.substr(2, end - 2)));
  mount.source = "//" + ip + mount.source.substr(end);
  return OkStatus();
}

}  // namespace

bool Volume::anonymous() const { return labels.count(kAnonymousLabel) > 0; }

VolumeStore::VolumeStore(std::string directory)
    : directory_(std::move(directory)) {}

std::string VolumeStore::PathOf(const std::string& name) const {
  return directory_ + "/" + name;
}

std::string VolumeStore::MarkOf(const std::string& name) const {
  return PathOf(name) + "/abandoned";
}

Status VolumeStore::Abandon(const std::string& name) {
  RETURN_IF_ERROR(CheckName(name, "volume"));
  RETURN_IF_ERROR(MakeDirectories(PathOf(name), 0700));
  return OpenFile(MarkOf(name), O_WRONLY | O_CREAT | O_NOFOLLOW, 0600).status();
}

bool VolumeStore::IsAbandoned(const std::string& name) const {
  return CheckName(name, "volume").ok() &&
         access(MarkOf(name).c_str(), F_OK) == 0;
}

Status VolumeStore::Claim(const std::string& name) {
  RETURN_IF_ERROR(CheckName(name, "volume"));
  if (unlink(MarkOf(name).c_str()) == 0 || errno == ENOENT) return OkStatus();
  return Errno(errno, "remove " + Quoted(MarkOf(name)));
}

StatusOr<Volume> VolumeStore::Create(
    const Context& ctx, const std::string& name,
    const std::map<std::string, std::string>& labels,
    const std::map<std::string, std::string>& options) {
  RETURN_IF_ERROR(CheckName(name, "volume"));
  RETURN_IF_ERROR(CheckOptions(name, options));
  ASSIGN_OR_RETURN(const KeyedMutex::Lock lock, verbs_.Acquire(ctx, name));
  StatusOr<Volume> there = Get(name);
  if (there.ok() || !IsNotFound(there.status())) return there;
  const std::string path = PathOf(name);
  RETURN_IF_ERROR(MakeDirectories(path, 0700));
  RETURN_IF_ERROR(MakeDirectories(path + "/_data", 0755));
  RETURN_IF_ERROR(Failpoint("docker.volume.directory"));
  const Json record = {
      {"Labels", labels}, {"Options", options}, {"Created", Now()}};
  RETURN_IF_ERROR(
      WriteFileAtomically(path + "/volume.json", DumpJson(record), 0600));
  {
    MutexLock left(mutex_);
    left_.erase(name);
  }
  RETURN_IF_ERROR(Failpoint("docker.volume.recorded"));
  return Get(name);
}

StatusOr<Volume> VolumeStore::Get(const std::string& name) const {
  const Status missing = NotFound("get " + name + ": no such volume");
  if (!CheckName(name, "volume").ok()) return missing;
  Volume volume;
  volume.name = name;
  volume.mountpoint = PathOf(name) + "/_data";
  const std::string file = PathOf(name) + "/volume.json";
  const StatusOr<std::string> text = ReadFile(file, kMaxRecord);
  if (IsNotFound(text.status())) return missing;
  RETURN_IF_ERROR(text.status());
  ASSIGN_OR_RETURN(const Json json, ParseJson(*text, file));
  JsonReader reader(json, file);
  reader.Get("Labels", volume.labels);
  reader.Get("Options", volume.options);
  reader.Get("Created", volume.created);
  RETURN_IF_ERROR(reader.status());
  return volume;
}

StatusOr<std::vector<std::string>> VolumeStore::Names() const {
  const StatusOr<UniqueFd> dir = OpenFile(directory_, O_RDONLY | O_DIRECTORY);
  if (IsNotFound(dir.status())) return std::vector<std::string>();
  RETURN_IF_ERROR(dir.status());
  return ListDirectory(dir->get());
}

Status VolumeStore::Sweep(
    const Context& ctx, const std::function<bool(const std::string&)>& in_use) {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, Names());
  Status unreadable;
  for (const std::string& name : names) {
    ASSIGN_OR_RETURN(const KeyedMutex::Lock lock, verbs_.Acquire(ctx, name));
    if (!CheckName(name, "volume").ok()) continue;
    const Status there = Get(name).status();
    if (!there.ok() && !IsNotFound(there)) unreadable = there;
    if (!IsNotFound(there)) {
      if (access(MarkOf(name).c_str(), F_OK) != 0) continue;
      if (in_use(name)) {
        RETURN_IF_ERROR(Claim(name));
        continue;
      }
    }
    RETURN_IF_ERROR(RemoveFiles(ctx, name));
  }
  return unreadable;
}

Status VolumeStore::RemoveFiles(const Context& ctx,
                                const std::string& name) const {
  RETURN_IF_ERROR(DetachForeign(ctx, PathOf(name) + "/_data"));
  return RemoveTree(AT_FDCWD, PathOf(name));
}

Status VolumeStore::Attach(const Context& ctx, const std::string& name) {
  ASSIGN_OR_RETURN(const Volume volume, Get(name));
  if (!volume.mounted()) return OkStatus();
  ASSIGN_OR_RETURN(const KeyedMutex::Lock lock, verbs_.Acquire(ctx, name));
  if (IsMountPoint(volume.mountpoint)) return OkStatus();
  const auto option = [&](const char* key) {
    const auto found = volume.options.find(key);
    return found == volume.options.end() ? "" : found->second;
  };
  Mount mount = {option("type"), option("device"), volume.mountpoint, {}};
  for (const std::string& word : Split(option("o"), ',')) {
    if (!word.empty()) mount.options.push_back(word);
  }
  const std::string failed =
      "error while mounting volume '" + volume.mountpoint + "': ";
  const Status known = LookUpServer(ctx, mount);
  if (!known.ok()) return FailedPrecondition(failed + Message(known));
  const Status mounted = MountForeign(ctx, mount);
  if (mounted.ok()) return OkStatus();
  return FailedPrecondition(
      failed + "failed to mount local volume: " + Message(mounted));
}

Status VolumeStore::Detach(
    const Context& ctx, const std::string& name,
    const std::function<std::vector<std::string>()>& users) {
  const StatusOr<Volume> volume = Get(name);
  if (!volume.ok() || !volume->mounted()) return OkStatus();
  ASSIGN_OR_RETURN(const KeyedMutex::Lock lock, verbs_.Acquire(ctx, name));
  {
    MutexLock uses(mutex_);
    if (uses_.count(name) > 0) return OkStatus();
  }
  if (!users().empty()) return OkStatus();
  return DetachForeign(ctx, volume->mountpoint);
}

StatusOr<std::vector<Volume>> VolumeStore::List() const {
  std::vector<Volume> volumes;
  ASSIGN_OR_RETURN(const std::vector<std::string> names, Names());
  for (const std::string& name : names) {
    StatusOr<Volume> volume = Get(name);
    if (volume.ok()) volumes.push_back(*std::move(volume));
  }
  return volumes;
}

VolumeStore::Use VolumeStore::BeginUse(const std::string& name) {
  MutexLock lock(mutex_);
  ++uses_[name];
  return Use(this, name);
}

VolumeStore::Use::~Use() {
  if (store_ == nullptr) return;
  MutexLock lock(store_->mutex_);
  const auto found = store_->uses_.find(name_);
  if (--found->second == 0) store_->uses_.erase(found);
}

// A use begins before its volume is made, which waits for us, and ends after
// its container has a record: so it is asked for before the records are.
Status VolumeStore::Remove(
    const Context& ctx, const std::string& name,
    const std::function<std::vector<std::string>()>& users) {
  ASSIGN_OR_RETURN(const KeyedMutex::Lock lock, verbs_.Acquire(ctx, name));
  const Status there = Get(name).status();
  if (IsNotFound(there)) {
    MutexLock left(mutex_);
    if (left_.count(name) == 0) return there;
  }
  if (IsNotFound(there)) return FinishRemoval(ctx, name);
  const std::string what = "remove " + name + ": volume is in use - [";
  {
    MutexLock uses(mutex_);
    if (uses_.count(name) > 0) {
      return FailedPrecondition(what + "a container that is being created]");
    }
  }
  const std::vector<std::string> ids = users();
  if (!ids.empty()) return FailedPrecondition(what + Join(ids, ", ") + "]");
  // Without its record it is gone; what a crash leaves is only bytes.
  const std::string record = PathOf(name) + "/volume.json";
  if (unlink(record.c_str()) != 0) {
    return Errno(errno, "remove " + Quoted(record));
  }
  return FinishRemoval(ctx, name);
}

Status VolumeStore::FinishRemoval(const Context& ctx, const std::string& name) {
  Status gone = Failpoint("docker.volume.forgotten");
  if (gone.ok()) gone = RemoveFiles(ctx, name);
  MutexLock left(mutex_);
  if (gone.ok()) {
    left_.erase(name);
  } else {
    left_.insert(name);
  }
  return gone;
}

}  // namespace berth::docker
