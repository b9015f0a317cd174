// The verbs of berth-oci: runc's command line, one function a verb.
#ifndef OCI_CLI_COMMANDS_H_
#define OCI_CLI_COMMANDS_H_

#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/unique_fd.h"
#include "oci/cli/flags.h"
#include "oci/cli/log.h"
#include "oci/cli/notify_relay.h"

namespace berth::oci {

struct Command;

// What the flags before the verb say.
struct Invocation {
  std::string root;
  bool explicit_root = false;
  bool systemd_cgroup = false;
  bool no_cgroup = false;
  std::optional<bool> rootless;  // unset: to be found out
  const Log& log;
  const Command& command;
  // From the verb's first argument on.
  std::vector<std::string> args;
};

struct Command {
  const char* name;
  const char* usage;  // arguments, for messages
  const char* about;
  // The program's exit code; an error is logged and becomes `failure_code`.
  StatusOr<int> (*run)(const Invocation&);
  int failure_code;
};

const std::vector<Command>& Commands();

// What a verb returns when it has only shown its help: a success.
Status HelpShown();
bool IsHelpShown(const Status& status);

// The verb's flags and at least `least`, at most `most` other arguments. If
// they are not right, its help is shown, as for --help.
StatusOr<Flags> ParseCommand(const Invocation& invocation,
                             const std::vector<FlagSpec>& known, size_t least,
                             size_t most);
// The same for a verb whose flags end at its first argument, which *next is
// the place of; what follows is not the verb's own.
StatusOr<Flags> ParseLeading(const Invocation& invocation,
                             const std::vector<FlagSpec>& known, size_t* next);

// --preserve-fds: how many after 2 are passed on; each must be open. All others
// that the caller left open are closed, before anything else is opened.
// Those that LISTEN_FDS announces (sd_listen_fds(3)) come before them, and add
// to `env` what the program is to know of them.
StatusOr<int> PreserveFds(const Invocation& invocation, const Flags& flags,
                          std::vector<std::string>& env);

// To who listens at --pidfd-socket, if it is given.
Status SendPidfd(const Flags& flags, const UniqueFd& pidfd);

// Listens for a container that is to be started, if the caller waits to hear
// that it is ready ($NOTIFY_SOCKET); else `relay` stays empty.
Status ListenForReady(const Invocation& invocation, const std::string& id,
                      std::optional<NotifyRelay>& relay);

StatusOr<int> RunCreate(const Invocation& invocation);
StatusOr<int> RunRun(const Invocation& invocation);
StatusOr<int> RunStart(const Invocation& invocation);
StatusOr<int> RunExecVerb(const Invocation& invocation);
StatusOr<int> RunKill(const Invocation& invocation);
StatusOr<int> RunDelete(const Invocation& invocation);
StatusOr<int> RunState(const Invocation& invocation);
StatusOr<int> RunList(const Invocation& invocation);
StatusOr<int> RunPs(const Invocation& invocation);
StatusOr<int> RunEvents(const Invocation& invocation);
StatusOr<int> RunPause(const Invocation& invocation);
StatusOr<int> RunResume(const Invocation& invocation);
StatusOr<int> RunUpdate(const Invocation& invocation);
StatusOr<int> RunFeatures(const Invocation& invocation);
StatusOr<int> RunSpec(const Invocation& invocation);

}  // namespace berth::oci

#endif  // OCI_CLI_COMMANDS_H_
