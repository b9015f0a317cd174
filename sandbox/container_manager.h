#ifndef SANDBOX_CONTAINER_MANAGER_H_
#define SANDBOX_CONTAINER_MANAGER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/state/v1/state.pb.h"
#include "base/clock.h"
#include "base/context.h"
#include "base/status.h"
#include "sandbox/ids.h"
#include "sandbox/inventory.h"
#include "sandbox/record/name_index.h"
#include "sandbox/stream_session.h"

namespace berth::sandbox {

class World;

// A further process in a running container. Unset members are those of the
// container's first process.
struct ExecConfig {
  std::vector<std::string> args;
  std::vector<std::string> env;  // "NAME=value", over the container's
  std::optional<std::string> working_dir;
  std::optional<std::string> user;  // "user[:group]"
  bool privileged = false;
  bool tty = false;
  std::optional<TerminalSize> console_size;
  // Which ends the caller wants; the others are /dev/null.
  bool stdin = false;
  bool stdout = true;
  bool stderr = true;
};

struct ExecResult {
  int exit_code = 0;
  std::string output;        // of stdout
  std::string error_output;  // of stderr
  // Bytes beyond the limit that were read and dropped, of both.
  uint64_t dropped = 0;
};

// The lifecycle of containers. A verb holds the container's lock from first
// line to last, except while it waits for a process to exit.
//
// Stop and Remove of an unknown id succeed; every other verb says NOT_FOUND,
// and of nothing else: what is missing inside of a verb has other codes
// (step.h). A verb in a wrong phase is FAILED_PRECONDITION.
//
// Thread-safe. Everything it needs is in World, which must outlive it.
class ContainerManager {
 public:
  explicit ContainerManager(World& world);
  ~ContainerManager();
  ContainerManager(const ContainerManager&) = delete;
  ContainerManager& operator=(const ContainerManager&) = delete;

  // A record and a root file system; no process. POD: the sandbox must be
  // READY. Everything that the configuration alone can get wrong fails here.
  // A second Create of the same name in the same sandbox joins one that runs,
  // and is ALREADY_EXISTS once that is done. STANDALONE: `name`, if given, is
  // the container's on success and free again on failure.
  StatusOr<ContainerId> Create(
      const Context& ctx, const SandboxId& in, const ContainerConfig& config,
      std::optional<NameIndex::Claim> name = std::nullopt);

  // CREATED -> RUNNING (in a STANDALONE sandbox EXITED too). Returns when the
  // user's program has been executed. On failure: EXITED, code 128, reason
  // "StartError".
  Status Start(const Context& ctx, const ContainerId& id);

  // For who could not make its sandbox ready: EXITED with that reason, code
  // 128, "StartError", as if Start had failed. FAILED_PRECONDITION if it runs.
  Status FailStart(const Context& ctx, const ContainerId& id,
                   const Status& failure);

  // Runs a program to its end and collects what it writes, `output_limit`
  // bytes of each stream at most. `timeout` 0: none; when it passes the
  // program is killed: DEADLINE_EXCEEDED, at most some seconds later even if
  // the shim is stuck.
  StatusOr<ExecResult> ExecSync(const Context& ctx, const ContainerId& id,
                                const std::vector<std::string>& args,
                                Duration timeout, size_t output_limit);
  StatusOr<StreamSession> Exec(const Context& ctx, const ContainerId& id,
                               const ExecConfig& config);
  // To the first process. Output from now on; several may be attached.
  StatusOr<StreamSession> Attach(const Context& ctx, const ContainerId& id,
                                 bool want_stdin);
  // Of the first process's terminal.
  Status Resize(const Context& ctx, const ContainerId& id, TerminalSize size);

  Status Kill(const Context& ctx, const ContainerId& id, int signal);
  Status Freeze(const Context& ctx, const ContainerId& id, bool frozen);
  // Fields of 0 stay as they are. On failure the old limits stay, in the
  // kernel and in the record.
  Status Update(const Context& ctx, const ContainerId& id,
                const state::v1::Resources& limits);
  Status ReopenLog(const Context& ctx, const ContainerId& id);

  // The stop signal, `grace`, then SIGKILL; returns when the exit is recorded.
  // A second call with a shorter grace shortens the first one's. When the
  // caller goes away the kill goes on.
  Status Stop(const Context& ctx, const ContainerId& id, Duration grace);
  // Kills it first if it runs. Removes all but the log file.
  Status Remove(const Context& ctx, const ContainerId& id);

  // Waits until the container is EXITED (at once if it is), and returns the
  // record of then. NOT_FOUND if it is removed meanwhile.
  StatusOr<ContainerStatus> Wait(const Context& ctx, const ContainerId& id);

  // Replaces ContainerConfig.name; ALREADY_EXISTS if taken in its sandbox, or
  // by another standalone container.
  Status Rename(const Context& ctx, const ContainerId& id,
                const std::string& name);
  // Replaces ContainerConfig.door_notes.
  Status SetDoorNotes(const Context& ctx, const ContainerId& id,
                      const std::string& notes);
  // Pids of all processes in the container's cgroup, as the host sees them.
  StatusOr<std::vector<int>> Pids(const ContainerId& id) const;

 private:
  World& world_;
};

}  // namespace berth::sandbox

#endif  // SANDBOX_CONTAINER_MANAGER_H_
