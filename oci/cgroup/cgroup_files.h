// What both versions do to the files and directories of a cgroup. Private to
// this folder.
#ifndef OCI_CGROUP_CGROUP_FILES_H_
#define OCI_CGROUP_CGROUP_FILES_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "oci/cgroup/limits.h"

namespace berth::oci {

// How long the kernel may take to stop, or let go of, processes.
inline constexpr Duration kSettleTime = std::chrono::seconds(2);

// One write(2): the kernel takes each as a command.
Status WriteCgroupFile(const std::string& path, std::string_view value);
// Without the white space around. NOT_FOUND too for what is being removed
// (ENODEV).
StatusOr<std::string> ReadCgroupFile(const std::string& path);

// A number; kNoLimit for "max" and for v1's largest; 0 if there is no file.
uint64_t ReadNumber(const std::string& path);
// "name number" lines; empty if there is no file.
std::map<std::string, uint64_t> ReadTable(const std::string& path);
uint64_t ValueOf(const std::map<std::string, uint64_t>& table,
                 const std::string& name);

bool DirectoryExists(const std::string& path);
// True if it was made, false if it was there.
StatusOr<bool> MakeCgroup(const std::string& path);
// The directories below, each before its parent; then `path` itself. OK if
// there is none.
Status RemoveCgroupTree(const std::string& path);

// The processes of the directory, and of those below it. Sorted, each once.
StatusOr<std::vector<pid_t>> PidsOfTree(const std::string& path);

// Applies writes in order, with their alternatives. `path_of` names the file.
Status ApplyLimits(
    const std::vector<LimitWrite>& writes,
    const std::function<StatusOr<std::string>(
        const LimitWrite& write, const std::string& file)>& path_of);

// SIGKILL until no process is left that has not had it. RESOURCE_EXHAUSTED if
// they are born faster than they die.
Status KillAll(const std::function<StatusOr<std::vector<pid_t>>()>& pids);
// Any other signal, once to each.
Status SignalEach(const std::vector<pid_t>& pids, int signal);

// Calls `done` with pauses that grow from 0.1 to 10 ms, until it says true or
// an error, or the time is over: false.
StatusOr<bool> PollUntil(Duration limit,
                         const std::function<StatusOr<bool>()>& done);

}  // namespace berth::oci

#endif  // OCI_CGROUP_CGROUP_FILES_H_
