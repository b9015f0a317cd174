// Processes: birth, identity, signals. Source: clone(2), pidfd_open(2),
// proc_pid_stat(5), close_range(2).
#ifndef BASE_SYS_PROCESS_H_
#define BASE_SYS_PROCESS_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/unique_fd.h"

namespace berth {

struct CloneOptions {
  uint64_t namespaces = 0;  // CLONE_NEW* flags
  int cgroup = -1;          // v2 directory to be born in (CLONE_INTO_CGROUP)
  bool sibling = false;     // child of the caller's parent (CLONE_PARENT)
  // The caller goes on when the child has called execve, or has ended
  // (CLONE_VFORK); memory is the child's own all the same.
  bool until_exec = false;
  // Gets the child's pid before the child runs: shared memory then has it
  // whatever becomes of the caller (CLONE_PARENT_SETTID).
  pid_t* pid_to = nullptr;
};

struct ClonedProcess {
  pid_t pid = 0;   // 0: this is the child
  UniqueFd pidfd;  // in the parent
};

// fork(2), with more to say. Only from a single-threaded process: the child
// goes on with a copy of it all.
StatusOr<ClonedProcess> CloneProcess(const CloneOptions& options);

struct ProcessStat {
  char state = 0;  // 'R', 'S', 'Z' ...
  pid_t parent = 0;
  uint64_t start_time = 0;  // clock ticks after boot: tells pids apart
};
// NOT_FOUND if there is no such process.
StatusOr<ProcessStat> ReadProcessStat(pid_t pid);

// NOT_FOUND if there is no such process.
StatusOr<UniqueFd> OpenPidfd(pid_t pid);
// NOT_FOUND if it has exited.
Status SignalProcess(int pidfd, int signal);

// wait(2)'s status as a shell has it: the code, or 128 + signal.
int ExitCodeOf(int wait_status);

// "KILL", "SIGKILL" or "9", in any case, as kill(1) takes it.
StatusOr<int> ParseSignal(const std::string& text);

// Marks every fd from `first` on as close-on-exec.
Status CloseOnExecFrom(int first);

// Closes every fd from `first` on but those in `kept`, in any order; entries
// below `first` (-1: no fd) do not matter. For a process that goes on without
// the objects that own the fds.
Status CloseAllBut(int first, std::vector<int> kept);

}  // namespace berth

#endif  // BASE_SYS_PROCESS_H_
