#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/strings.h"
#include "base/sys/process.h"
#include "base/sys/socket.h"
#include "base/undo.h"
#include "oci/cli/commands.h"
#include "oci/cli/foreground.h"
#include "oci/cli/notify_relay.h"
#include "oci/container/container.h"
#include "oci/container/state_file.h"

namespace berth::oci {
namespace {

const std::vector<FlagSpec> kCreateFlags = {
    {"bundle", "b", true, "directory of config.json (default: here)"},
    {"config", "f", true, "file of the configuration (default: config.json)"},
    {"console-socket", "", true, "socket for the terminal's master"},
    {"pidfd-socket", "", true, "socket for a pidfd of the init"},
    {"pid-file", "", true, "file for the init's pid"},
    {"no-pivot", "", false, "change the root without pivot_root"},
    {"no-new-keyring", "", false, "share the caller's session keyring"},
    {"preserve-fds", "", true, "how many descriptors from 3 on are passed on"},
};

const std::vector<FlagSpec> kRunFlags = {
    {"bundle", "b", true, "directory of config.json (default: here)"},
    {"config", "f", true, "file of the configuration (default: config.json)"},
    {"console-socket", "", true, "socket for the terminal's master"},
    {"pidfd-socket", "", true, "socket for a pidfd of the init"},
    {"pid-file", "", true, "file for the init's pid"},
    {"no-pivot", "", false, "change the root without pivot_root"},
    {"no-new-keyring", "", false, "share the caller's session keyring"},
    {"preserve-fds", "", true, "how many descriptors from 3 on are passed on"},
    {"detach", "d", false, "do not wait for the container's end"},
    {"keep", "", false, "do not delete the container at its end"},
    {"no-subreaper", "", false, "do not adopt orphans of the container"},
};

StatusOr<CreateOptions> OptionsFrom(const Invocation& invocation,
                                    const Flags& flags) {
  CreateOptions options;
  options.id = flags.positional()[0];
  options.bundle = flags.Get("bundle", ".");
  if (flags.Has("config")) options.config = flags.Get("config");
  options.notify = !HostNotifySocket().empty();
  options.crun_dialect = true;
  options.no_pivot = flags.On("no-pivot");
  options.systemd_cgroup = invocation.systemd_cgroup;
  options.no_cgroup = invocation.no_cgroup;
  options.rootless = invocation.rootless;
  options.io.no_new_keyring = flags.On("no-new-keyring");
  options.io.console_socket = flags.Get("console-socket");
  options.io.pid_file = flags.Get("pid-file");
  ASSIGN_OR_RETURN(options.io.preserve_fds,
                   PreserveFds(invocation, flags, options.env));
  return options;
}

// Those after the first `known`.
void LogWarnings(const Invocation& invocation, const Container& container,
                 size_t known = 0) {
  for (size_t i = known; i < container.warnings().size(); ++i) {
    invocation.log.Warning(container.warnings()[i]);
  }
}

Status CheckDetachedConsole(Container& container) {
  if (!container.TakeConsole().valid()) return OkStatus();
  (void)container.Delete(true).ok();
  return InvalidArgument(
      "process.terminal: a detached container needs --console-socket");
}

// How many the caller announces to this very process; 0 for none.
int64_t ListeningSockets() {
  const char* pid = getenv("LISTEN_PID");
  const char* count = getenv("LISTEN_FDS");
  if (pid == nullptr || count == nullptr || ParseInt(pid) != getpid()) return 0;
  const int64_t sockets = ParseInt(count).value_or(0);
  return sockets > 0 && sockets < INT_MAX ? sockets : 0;
}

// Nobody is left who could follow it otherwise.
Status SendInit(const Flags& flags, const UniqueFd& pidfd,
                Container& container) {
  const Status sent = SendPidfd(flags, pidfd);
  if (!sent.ok()) (void)container.Delete(true).ok();
  return sent;
}

}  // namespace

Status ListenForReady(const Invocation& invocation, const std::string& id,
                      std::optional<NotifyRelay>& relay) {
  const std::string host = HostNotifySocket();
  const std::string directory =
      invocation.root + "/" + id + "/" + kNotifyDirectory;
  // None: it was created by somebody for whom nobody waited.
  if (host.empty() || access(directory.c_str(), F_OK) != 0) return OkStatus();
  ASSIGN_OR_RETURN(relay, NotifyRelay::Listen(directory, host, invocation.log));
  return OkStatus();
}

Status SendPidfd(const Flags& flags, const UniqueFd& pidfd) {
  const std::string path = flags.Get("pidfd-socket");
  if (path.empty()) return OkStatus();
  ASSIGN_OR_RETURN_AS(const UniqueFd connection, ConnectUnix(path),
                      "connect to the pidfd socket");
  return Annotate(SendFd(connection.get(), pidfd.get(), "pidfd"),
                  "send to the pidfd socket");
}

StatusOr<int> PreserveFds(const Invocation& invocation, const Flags& flags,
                          std::vector<std::string>& env) {
  ASSIGN_OR_RETURN(int64_t count, flags.Number("preserve-fds"));
  if (count < 0) return InvalidArgument("--preserve-fds: below zero");
  const int64_t sockets = ListeningSockets();
  if (sockets > 0) {
    count += sockets;
    env.push_back("LISTEN_FDS=" + std::to_string(sockets));
    env.push_back("LISTEN_PID=1");
  }
  for (int64_t i = 0; i < count; ++i) {
    if (i > INT_MAX - 3 || fcntl(static_cast<int>(3 + i), F_GETFD) < 0 ||
        static_cast<int>(3 + i) == invocation.log.fd()) {
      return InvalidArgument("--preserve-fds " + std::to_string(count) +
                             ": fd " + std::to_string(3 + i) + " is not open");
    }
  }
  RETURN_IF_ERROR(
      CloseAllBut(3 + static_cast<int>(count), {invocation.log.fd()}));
  return static_cast<int>(count);
}

StatusOr<int> RunCreate(const Invocation& invocation) {
  ASSIGN_OR_RETURN(const Flags flags,
                   ParseCommand(invocation, kCreateFlags, 1, 1));
  ASSIGN_OR_RETURN(const CreateOptions options, OptionsFrom(invocation, flags));
  ASSIGN_OR_RETURN(Container container,
                   Container::Create(invocation.root, options));
  LogWarnings(invocation, container);
  RETURN_IF_ERROR(CheckDetachedConsole(container));
  const UniqueFd pidfd = container.TakePidfd();
  RETURN_IF_ERROR(SendInit(flags, pidfd, container));
  return 0;
}

StatusOr<int> RunRun(const Invocation& invocation) {
  ASSIGN_OR_RETURN(const Flags flags,
                   ParseCommand(invocation, kRunFlags, 1, 1));
  ASSIGN_OR_RETURN(const CreateOptions options, OptionsFrom(invocation, flags));
  const bool detached = flags.On("detach");
  if (!detached && !flags.On("no-subreaper")) {
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  }
  ASSIGN_OR_RETURN(Foreground foreground, Foreground::Begin());
  ASSIGN_OR_RETURN(Container container,
                   Container::Create(invocation.root, options));
  LogWarnings(invocation, container);
  UniqueFd console;
  if (detached) {
    RETURN_IF_ERROR(CheckDetachedConsole(container));
  } else {
    console = container.TakeConsole();
  }
  const UniqueFd pidfd = container.TakePidfd();
  RETURN_IF_ERROR(SendInit(flags, pidfd, container));
  std::optional<NotifyRelay> relay;
  Status started = ListenForReady(invocation, container.id(), relay);
  if (started.ok()) started = container.Start();
  if (!started.ok()) {
    (void)container.Delete(true).ok();
    return started;
  }
  if (detached) {
    if (relay) relay->Await(container.init_pid(), pidfd);
    return 0;
  }
  const auto code =
      foreground.Wait(container.init_pid(), pidfd, std::move(console), relay);
  if (!code.ok()) {
    (void)container.Delete(true).ok();
    return code;
  }
  if (flags.On("keep")) return code;
  const size_t known = container.warnings().size();
  RETURN_IF_ERROR(container.Delete(true));
  LogWarnings(invocation, container, known);
  return code;
}

}  // namespace berth::oci
