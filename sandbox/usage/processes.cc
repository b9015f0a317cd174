#include "sandbox/usage/processes.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <string>

namespace berth::sandbox {
namespace {

bool IsSocket(int directory, const char* name) {
  constexpr char kPrefix[] = "socket:";
  constexpr size_t kLength = sizeof(kPrefix) - 1;
  char target[kLength];
  const ssize_t n = readlinkat(directory, name, target, sizeof(target));
  return n == static_cast<ssize_t>(kLength) &&
         memcmp(target, kPrefix, kLength) == 0;
}

// False if the process has gone.
bool CountDescriptors(pid_t pid, ProcessStats& stats) {
  const std::string path = "/proc/" + std::to_string(pid) + "/fd";
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir(path.c_str()),
                                                closedir);
  if (dir == nullptr) return false;
  while (const dirent* const entry = readdir(dir.get())) {
    if (entry->d_name[0] == '.') continue;
    ++stats.descriptors;
    if (IsSocket(dirfd(dir.get()), entry->d_name)) ++stats.sockets;
  }
  return true;
}

}  // namespace

ProcessStats ReadProcessStats(const std::vector<pid_t>& pids, pid_t first) {
  ProcessStats stats;
  for (const pid_t pid : pids) {
    if (CountDescriptors(pid, stats)) ++stats.processes;
  }
  // 0 would be our own.
  struct rlimit limit = {};
  if (first > 0 && prlimit(first, RLIMIT_NOFILE, nullptr, &limit) == 0 &&
      limit.rlim_cur != RLIM_INFINITY) {
    stats.descriptor_limit = limit.rlim_cur;
  }
  return stats;
}

}  // namespace berth::sandbox
