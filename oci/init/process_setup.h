// What an init and an exec'd process have in common: from the moment they
// stand in their namespaces to execve. Runs in the new process.
#ifndef OCI_INIT_PROCESS_SETUP_H_
#define OCI_INIT_PROCESS_SETUP_H_

#include <optional>
#include <string>
#include <vector>

#include "base/fs/rooted_path.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "oci/init/handshake.h"
#include "oci/init/listener_post.h"
#include "oci/init/privileges.h"
#include "oci/init/process_io.h"
#include "oci/init/seccomp.h"
#include "oci/spec/spec.h"

namespace berth::oci {

// A program that is ready to run, by a process that is all but filtered.
struct Program {
  std::string path;
  std::vector<std::string> args;
  std::vector<std::string> env;
  bool terminal = false;  // 0, 1, 2 are one
  const SeccompFilter* filter = nullptr;
  const ListenerPost* post = nullptr;  // if it has a listener
  // Set last of all: no process has it from its maker (scheduling.h).
  std::optional<Scheduler> scheduler;
  // What is left of the capabilities when that is set and the filter is
  // loaded, if the process keeps more for it.
  std::optional<CapabilitySets> last_capabilities;
};

// A session of its own, no signal handlers or mask of the runtime's, and 0, 1,
// 2 from `io`, owned by the user where they are pipes or terminals (never the
// host's /dev/null).
Status TakeStdio(const ProcessIo& io);
void GiveStdioTo(uid_t owner);
// The same for fds that are not in place yet, by a runtime that may do it: a
// process in a user namespace may not. `owner` is the host's id.
void GiveIoTo(const ProcessIo& io, uid_t owner);

// Joins the groups of linux.intelRdt, by their files.
Status JoinResctrl(const std::vector<std::string>& tasks);

// process.oomScoreAdj, by the parent of the process, which may have died
// meanwhile. One that is too low for this host is left as it is, with a
// warning.
Status SetOomScoreOf(pid_t pid, int score, std::vector<std::string>& warnings);
// The same by the process itself, whose runtime is not root and may not do it;
// before it enters a user namespace.
Status TakeOomScore(const ProcessSpec& process, const Handshake& channel);

// While it lives, the files of the calling process in /proc belong to its user,
// who may write them, and not to root. Single-threaded.
class Dumpable {
 public:
  Dumpable();
  ~Dumpable();
  Dumpable(const Dumpable&) = delete;
  Dumpable& operator=(const Dumpable&) = delete;
};

// By the first process of a new user namespace: has the runtime map its ids.
// `by_user`: the runtime is not root.
Status GetIds(bool by_user, const Handshake& channel);

// What of `linux` a process takes to its program: personality, memory policy.
// What is unset is left as it is.
Status TakeHabits(const Linux& linux);

// Limits, umask, no_new_privs, directory, ids, capabilities, label. The caller
// is still itself if this fails, but good for nothing. `filter` may be null;
// `label` is of OpenExecLabel. The program is yet to be found.
StatusOr<Program> BecomeProcess(const ProcessSpec& process,
                                const RootedPath& root,
                                const SeccompFilter* filter,
                                const UniqueFd& label, bool user_namespace,
                                const Handshake& channel);

// Closes what is neither passed on nor in `kept`, and only then looks the
// program up: by its path nobody gets at a descriptor that was left open
// (CVE-2024-21626).
Status FindWithoutDescriptors(const ProcessIo& io, std::vector<int> kept,
                              Program& program);

// Leads a session, and controls its terminal if it has one. By the process
// that is to run the program.
Status LeadSession(const Program& program);

// The filter, then the last capabilities. From here on there are only system
// calls that any profile has to allow: capset(2) (without no_new_privs, or
// with a scheduler that is set here), read(2), write(2), exit_group(2) and
// execve(2).
Status Confine(const Program& program);
// The scheduler, if it is still to be set, then the same. By the process that
// is to run the program.
Status SettleDown(const Program& program);

}  // namespace berth::oci

#endif  // OCI_INIT_PROCESS_SETUP_H_
