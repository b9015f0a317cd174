#ifndef DAEMON_HOST_FACTS_H_
#define DAEMON_HOST_FACTS_H_

#include <string>
#include <vector>

namespace berth::daemon {

// What this host lacks and how we do without, a sentence each: logged once, at
// the start, so that nobody has to wonder later. `proc` and `cgroup` are
// /proc and /sys/fs/cgroup but in tests.
std::vector<std::string> HostLacks(const std::string& proc,
                                   const std::string& cgroup);

// Whether mounts can be made read-only with all below them, and ids mapped:
// mount_setattr(2), Linux 5.12.
bool HasMountSetattr();

}  // namespace berth::daemon

#endif  // DAEMON_HOST_FACTS_H_
