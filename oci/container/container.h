#ifndef OCI_CONTAINER_CONTAINER_H_
#define OCI_CONTAINER_CONTAINER_H_

#include <sys/types.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "oci/spec/resources.h"
#include "oci/spec/spec.h"

namespace berth::oci {

// What a process of a container gets as its standard streams, and how its
// birth is made known. The fds stay the caller's.
struct ProcessIo {
  // Without a terminal: what becomes 0, 1, 2. -1: the caller's own.
  int stdin_fd = -1;
  int stdout_fd = -1;
  int stderr_fd = -1;

  // With a terminal (process.terminal): a unix socket that the pty's master
  // is sent to (runc's protocol). Empty: the master is handed back, see
  // TakeConsole. Given without a terminal it is an error.
  std::string console_socket;

  // Where the decimal pid goes, in one rename; empty: nowhere.
  std::string pid_file;

  // The fds 3 .. 3+N-1 of the caller are passed on; all others are closed.
  int preserve_fds = 0;

  // The process becomes a child of the caller's parent (CLONE_PARENT), so
  // that a forked child of a supervisor can make it. The parent must reap.
  bool sibling = false;

  // Join a new session keyring "_ses.<id>" unless set.
  bool no_new_keyring = false;
};

struct CreateOptions {
  std::string id;
  std::string bundle;  // directory of config.json; absolute or relative
  ProcessIo io;
  bool no_pivot = false;
  bool systemd_cgroup = false;
};

struct ExecOptions {
  ProcessIo io;
  // A path below the container's cgroup; empty: its own.
  std::string cgroup;
  // Do not refuse a frozen container.
  bool ignore_paused = false;
};

struct ExecResult {
  pid_t pid = 0;     // in the caller's pid namespace
  UniqueFd console;  // the pty's master, if it was to be handed back
};

// The specification's states, and ours for a frozen one.
enum class ContainerStatus { kCreating, kCreated, kRunning, kPaused, kStopped };
const char* StatusName(ContainerStatus status);  // "created"

// The specification's state, and what runc adds to it.
struct OciState {
  std::string oci_version;
  std::string id;
  ContainerStatus status = ContainerStatus::kStopped;
  pid_t pid = 0;  // 0 when stopped
  std::string bundle;
  std::string rootfs;
  UnixNanos created = 0;
  std::map<std::string, std::string> annotations;
  std::string owner;  // user name, may be empty
};
std::string ToJson(const OciState& state);  // indented, as runc prints it

struct StateFile;

// One container of an OCI runtime: its state directory ROOT/ID, its init
// process and its cgroup. A handle on what the kernel and the directory hold;
// dropping it leaves the container as it is.
//
// Create and Exec must run in a single-threaded process of their own
// (berth-oci, or a child that the shim forked): they change namespaces of the
// calling process. The other verbs change nothing of the caller and may run
// anywhere.
//
// Errors: what a user got wrong in config.json is INVALID_ARGUMENT or
// UNIMPLEMENTED with the field's name; a program that cannot be run is
// NOT_FOUND ("executable file not found in $PATH") or PERMISSION_DENIED;
// unknown ids are NOT_FOUND ("container \"x\" does not exist"); a verb in the
// wrong state is FAILED_PRECONDITION ("container not running").
//
// Source: runtime.md of the OCI runtime specification; runc(8).
// Single-threaded.
class Container {
 public:
  // Applies all of config.json but the run of process.args; the init waits for
  // Start. On failure nothing is left behind. `root` is made if missing.
  static StatusOr<Container> Create(const std::string& root,
                                    const CreateOptions& options);
  static StatusOr<Container> Load(const std::string& root,
                                  const std::string& id);
  // The ids below root, sorted; none if root does not exist.
  static StatusOr<std::vector<std::string>> List(const std::string& root);

  Container(Container&&) noexcept;
  Container& operator=(Container&&) noexcept;
  ~Container();

  const std::string& id() const;
  pid_t init_pid() const;
  // The pty's master after Create without a console socket; else invalid.
  UniqueFd TakeConsole();

  // Lets the init run process.args; returns when it has been exec'd (or could
  // not be: then the error says why) and the poststart hooks are through.
  Status Start();

  // Runs one more process inside; returns when it has been exec'd.
  StatusOr<ExecResult> Exec(const ProcessSpec& process,
                            const ExecOptions& options);
  // The container's own process object, for Exec to start from.
  StatusOr<ProcessSpec> DefaultProcess() const;

  // To the init, or to every process of the cgroup. SIGKILL reaches all if the
  // init does not take them along (no pid namespace of its own).
  Status Kill(int signal, bool all);
  Status Freeze(bool frozen);
  Status Update(const Resources& limits);
  StatusOr<std::vector<pid_t>> Pids() const;

  // Releases all that Create made. A running container is an error unless
  // forced: then it is killed first.
  Status Delete(bool force);
  // Removes what is left of a container whose state cannot be read any more;
  // success if there is nothing.
  static Status DeleteRemains(const std::string& root, const std::string& id);

  StatusOr<OciState> State() const;

 private:
  explicit Container(std::string root, std::unique_ptr<StateFile> state);

  std::string root_;
  std::unique_ptr<StateFile> state_;
  UniqueFd console_;
};

}  // namespace berth::oci

#endif  // OCI_CONTAINER_CONTAINER_H_
