#include "daemon/host_facts.h"

#include <linux/capability.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <fstream>

#include "base/strings.h"

namespace berth::daemon {
namespace {

bool Exists(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0;
}

// Of the line "CapEff:\t000001ffffffffff" in /proc/self/status.
uint64_t EffectiveCapabilities(const std::string& proc) {
  std::ifstream status(proc + "/self/status");
  for (std::string line; std::getline(status, line);) {
    if (StartsWith(line, "CapEff:")) {
      return std::strtoull(line.c_str() + 7, nullptr, 16);
    }
  }
  return ~uint64_t{0};
}

void CheckCgroups(const std::string& cgroup, std::vector<std::string>& lacks) {
  if (Exists(cgroup + "/cgroup.controllers")) return;
  if (Exists(cgroup + "/unified/cgroup.controllers") ||
      Exists(cgroup + "/cgroup2/cgroup.controllers")) {
    lacks.push_back(
        "cgroups are hybrid: the controllers of version 1 are used, the "
        "version 2 tree is not");
  } else {
    lacks.push_back(
        "cgroups are version 1: no memory.high, no unified settings, no PSI "
        "per pod");
  }
  for (const char* controller : {"memory", "cpu", "pids", "devices"}) {
    if (!Exists(cgroup + "/" + controller)) {
      lacks.push_back(std::string("no cgroup controller ") + controller +
                      ": its limits cannot be set");
    }
  }
}

}  // namespace

std::vector<std::string> HostLacks(const std::string& proc,
                                   const std::string& cgroup) {
  std::vector<std::string> lacks;
  CheckCgroups(cgroup, lacks);
  const uint64_t capabilities = EffectiveCapabilities(proc);
  if ((capabilities >> CAP_SYS_RESOURCE & 1) == 0) {
    lacks.push_back(
        "no CAP_SYS_RESOURCE: oom_score_adj is not lowered below our own, and "
        "hard limits are not raised");
  }
  if (!HasMountSetattr()) {
    lacks.push_back(
        "no mount_setattr: neither recursive read-only mounts nor user "
        "namespaces");
  }
  return lacks;
}

bool HasMountSetattr() {
#ifdef SYS_mount_setattr
  // Without arguments it fails, but only where it is missing with ENOSYS.
  return syscall(SYS_mount_setattr, -1, nullptr, 0, nullptr, 0) == 0 ||
         errno != ENOSYS;
#else
  return false;
#endif
}

}  // namespace berth::daemon
