#include "cni/networks.h"

#include <fcntl.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <cstdint>
#include <set>
#include <utility>

#include "base/strings.h"
#include "base/sys/file.h"

namespace berth::cni {
namespace {

constexpr uint64_t kMaxConfigBytes = 1 << 20;

StatusOr<std::string> ReadConfig(const std::string& file) {
  // O_NONBLOCK: a fifo must not hold every pod up.
  ASSIGN_OR_RETURN(const UniqueFd fd, OpenFile(file, O_RDONLY | O_NONBLOCK));
  return ReadAll(fd.get(), kMaxConfigBytes, file);
}

}  // namespace

Networks::Networks(std::string directory)
    : directory_(std::move(directory)),
      inotify_(inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {}

// True at the first call, and whenever nobody would tell us of a change.
bool Networks::Changed() {
  alignas(inotify_event) char events[4096];
  bool changed = !watching_;
  ssize_t n;
  while (watching_ && (n = read(inotify_.get(), events, sizeof(events))) > 0) {
    changed = true;
    for (ssize_t at = 0; at < n;) {
      const auto* event = reinterpret_cast<const inotify_event*>(events + at);
      if ((event->mask & (IN_IGNORED | IN_MOVE_SELF)) != 0) watching_ = false;
      at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
    }
  }
  if (!watching_ && inotify_.valid()) {
    watching_ = inotify_add_watch(inotify_.get(), directory_.c_str(),
                                  IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM |
                                      IN_CREATE | IN_DELETE | IN_DELETE_SELF |
                                      IN_MOVE_SELF) >= 0;
  }
  return changed;
}

void Networks::Load() {
  all_.clear();
  wrong_.clear();
  const StatusOr<std::vector<std::string>> files = ConfigFiles(directory_);
  if (!files.ok()) {
    wrong_ = Message(files.status());
    return;
  }
  for (const std::string& file : *files) {
    const StatusOr<std::string> text = ReadConfig(file);
    StatusOr<ConfigList> list =
        text.ok() ? ParseConfigList(*text, file) : text.status();
    if (list.ok()) {
      all_.push_back(std::make_shared<const ConfigList>(*std::move(list)));
    } else if (wrong_.empty()) {
      wrong_ = Message(list.status());
    }
  }
}

StatusOr<std::shared_ptr<const ConfigList>> Networks::Find(
    const std::string& name) {
  MutexLock lock(mutex_);
  if (Changed()) Load();
  for (const auto& list : all_) {
    if (name.empty() || list->name == name) return list;
  }
  const std::string why = wrong_.empty() ? "" : ": " + wrong_;
  if (name.empty()) {
    return Unavailable("no valid network configuration in " +
                       Quoted(directory_) + why);
  }
  return FailedPrecondition("no network " + Quoted(name) + " in " +
                            Quoted(directory_) + why);
}

std::vector<std::shared_ptr<const ConfigList>> Networks::All() {
  MutexLock lock(mutex_);
  if (Changed()) Load();
  std::vector<std::shared_ptr<const ConfigList>> all;
  std::set<std::string> names;
  for (const auto& list : all_) {
    if (names.insert(list->name).second) all.push_back(list);
  }
  return all;
}

}  // namespace berth::cni
