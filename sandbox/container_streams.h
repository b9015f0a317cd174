#ifndef SANDBOX_CONTAINER_STREAMS_H_
#define SANDBOX_CONTAINER_STREAMS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/context.h"
#include "base/status.h"
#include "sandbox/ids.h"
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

// What goes into and comes out of the processes of running containers: those
// of the container itself, and further ones. None of this changes a record.
//
// An unknown container is NOT_FOUND, one that does not run is
// FAILED_PRECONDITION; Attach also takes a container that may still be started.
// What is missing inside of a verb has other codes (step.h).
//
// A value: copies act on the same World, which must outlive them. Thread-safe.
class ContainerStreams {
 public:
  explicit ContainerStreams(World& world) : world_(&world) {}

  // Runs a program to its end and collects what it writes, `output_limit`
  // bytes of each stream at most. `timeout` 0: none; when it passes the
  // program is killed: DEADLINE_EXCEEDED, at most some seconds later even if
  // the shim is stuck.
  StatusOr<ExecResult> ExecSync(const Context& ctx, const ContainerId& id,
                                const std::vector<std::string>& args,
                                Duration timeout, size_t output_limit) const;
  StatusOr<StreamSession> Exec(const Context& ctx, const ContainerId& id,
                               const ExecConfig& config) const;
  // To the first process. Output from now on; several may be attached.
  StatusOr<StreamSession> Attach(const Context& ctx, const ContainerId& id,
                                 bool want_stdin) const;
  // Of the first process's terminal.
  Status Resize(const Context& ctx, const ContainerId& id,
                TerminalSize size) const;
  // The log file has been renamed: the container goes on in a new one.
  Status ReopenLog(const Context& ctx, const ContainerId& id) const;

 private:
  World* world_;
};

}  // namespace berth::sandbox

#endif  // SANDBOX_CONTAINER_STREAMS_H_
