#ifndef SHIM_PROCESS_RUNTIME_H_
#define SHIM_PROCESS_RUNTIME_H_

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>

#include "base/status.h"
#include "base/unique_fd.h"
#include "shim/process/process_facts.h"

namespace berth::shim {

// What a new process gets as its streams. With a terminal: nothing, it is
// given a new pty.
struct ProcessFds {
  UniqueFd in;
  UniqueFd out;
  UniqueFd err;
  bool terminal = false;
};

struct StartedProcess {
  pid_t pid = 0;
  UniqueFd console;  // the pty's master, if it has one
  // Set if the process is not halted, and may have exited since.
  std::optional<ProcessFacts> facts;
};

struct RuntimeOptions {
  std::string program;  // RuntimeCli only
  std::string root;     // folder of the containers' state
  bool systemd_cgroup = false;
  bool no_pivot_root = false;
  bool no_new_keyring = false;
};

// An OCI runtime, as the shim drives it: ForkedRuntime (our library in a
// forked child) or RuntimeCli (any runc-compatible program).
//
// A verb returns at once and calls `done` from the event loop, once. The
// processes that Create and Exec make become children of the shim; `done` is
// called before the Reaper tells of their exit. Verbs on one container must
// not overlap, Kill excepted. Single-threaded.
//
// Errors: the runtime's own text. NOT_FOUND: no such container, or (Kill) no
// process; FAILED_PRECONDITION: wrong state.
class Runtime {
 public:
  using Done = std::function<void(const Status&)>;
  using Started = std::function<void(StatusOr<StartedProcess>)>;

  virtual ~Runtime() = default;

  // Of <bundle>/config.json. On failure nothing is left.
  virtual void Create(const std::string& id, const std::string& bundle,
                      ProcessFds fds, Started done) = 0;
  // Create and Start. First `created` gets the process, whose program has not
  // been executed yet, or the error. If there is a process, `started` then gets
  // the result of the start. If that is an error, the container must be
  // deleted.
  virtual void Run(const std::string& id, const std::string& bundle,
                   ProcessFds fds, Started created, Done started) = 0;
  // Has a Create or Run that hangs fail soon. No effect if none is under way.
  virtual void Abort(const std::string& id) = 0;
  virtual void Start(const std::string& id, Done done) = 0;
  // `process` is JSON.
  virtual void Exec(const std::string& id, const std::string& process,
                    ProcessFds fds, Started done) = 0;
  virtual void Kill(const std::string& id, int signal, bool all, Done done) = 0;
  virtual void Freeze(const std::string& id, bool frozen, Done done) = 0;
  // `resources` is JSON.
  virtual void Update(const std::string& id, const std::string& resources,
                      Done done) = 0;
  // Kills it if it runs.
  virtual void Delete(const std::string& id, Done done) = 0;
};

}  // namespace berth::shim

#endif  // SHIM_PROCESS_RUNTIME_H_
