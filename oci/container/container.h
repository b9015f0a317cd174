#ifndef OCI_CONTAINER_CONTAINER_H_
#define OCI_CONTAINER_CONTAINER_H_

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "oci/cgroup/cgroup.h"
#include "oci/container/state_file.h"
#include "oci/init/process_io.h"
#include "oci/spec/resources.h"
#include "oci/spec/spec.h"

namespace berth::oci {

struct CreateOptions {
  std::string id;
  std::string bundle;  // directory of config.json; absolute or relative
  ProcessIo io;
  // What the program gets beside process.env.
  std::vector<std::string> env = {};
  // Of config.json, from the bundle on if it is relative.
  std::string config = "config.json";
  // The program gets a directory ROOT/ID/notify at /run/notify, and
  // $NOTIFY_SOCKET, a socket there for the caller to make.
  bool notify = false;
  // What crun takes beside the specification: annotations (annotations.h), and
  // a user namespace without mappings. Not for a configuration that holds words
  // of somebody with fewer rights than the caller.
  bool crun_dialect = false;
  bool no_pivot = false;
  bool systemd_cgroup = false;
  // No cgroup is made: the container stays in the caller's.
  bool no_cgroup = false;
  // Whether the caller may lack rights over the host: then a container for
  // which no cgroup can be made has none, if its configuration names none and
  // limits nothing. Unset: yes for who is not root, or in a user namespace.
  std::optional<bool> rootless = false;
  // Only the object that Create returns will start it, at once: a pipe is
  // enough, and nobody else can. If that process ends, so does the init.
  bool start_by_maker = false;
};

struct ExecOptions {
  ProcessIo io;
  // A path below the container's cgroup; empty: its own.
  std::string cgroup;
  // Do not refuse a frozen container.
  bool ignore_paused = false;
};

struct ExecResult {
  pid_t pid = 0;  // in the caller's pid namespace
  UniqueFd pidfd;
  UniqueFd console;  // the pty's master, if it was to be handed back
  std::vector<std::string> warnings;  // as Container::warnings
};

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

  const std::string& id() const { return state_.id; }
  pid_t init_pid() const { return state_.pid; }
  // The pty's master after Create without a console socket; else invalid.
  UniqueFd TakeConsole() { return std::move(console_); }
  // Of the init, after Create; else invalid.
  UniqueFd TakePidfd() { return std::move(pidfd_); }
  // What Create could not do as asked and did not fail for, for the log.
  const std::vector<std::string>& warnings() const { return warnings_; }

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
  // Sets these limits and remembers them; unset ones stay. A failure sets
  // again what was in force, as far as it is known. Schemata of linux.intelRdt
  // are set in the container's group and not remembered.
  Status Update(const Resources& limits, const IntelRdt& schemata = {});
  // Who is in it, and what they have used. Lives as long as this object.
  StatusOr<Cgroup*> GetCgroup() const;

  // Releases all that Create made. A running container is an error unless
  // forced: then it is killed first.
  Status Delete(bool force);
  // Kills and removes what is left of a container whose state was never saved,
  // or cannot be read any more; success if there is nothing.
  static Status DeleteRemains(const std::string& root, const std::string& id);

  StatusOr<OciState> State() const;

 private:
  explicit Container(StateFile state) : state_(std::move(state)) {}

  // From Create, or read when first asked for.
  StatusOr<const Spec*> GetSpec() const;

  StatusOr<ContainerStatus> CurrentStatus() const;
  // With the init that OpenInit found, or did not.
  StatusOr<ContainerStatus> StatusBy(const StatusOr<UniqueFd>& init) const;
  // What the init says to "go"; it has been told so.
  Status HearOfStart(int result);
  Status RunPoststartHooks(const Spec& spec);
  Status SetSchemata(const IntelRdt& schemata);
  Status StopInit(bool force);
  Status KillAll(const StatusOr<UniqueFd>& init);

  StateFile state_;
  mutable std::unique_ptr<const Spec> spec_;
  mutable std::unique_ptr<Cgroup> cgroup_;
  UniqueFd pidfd_;
  UniqueFd console_;
  // With start_by_maker, until Start.
  UniqueFd start_;
  UniqueFd result_;
  std::vector<std::string> warnings_;
};

// The ids of the containers below root, sorted; none if root does not exist.
StatusOr<std::vector<std::string>> ListContainers(const std::string& root);

}  // namespace berth::oci

#endif  // OCI_CONTAINER_CONTAINER_H_
