#include <unistd.h>

#include "base/strings.h"
#include "base/sys/file.h"
#include "base/sys/user.h"
#include "oci/cli/commands.h"
#include "oci/cli/foreground.h"
#include "oci/container/container.h"
#include "oci/spec/parse.h"

namespace berth::oci {
namespace {

const std::vector<FlagSpec> kExecFlags = {
    {"console-socket", "", true, "socket for the terminal's master"},
    {"pidfd-socket", "", true, "socket for a pidfd of the process"},
    {"cwd", "", true, "working directory in the container"},
    {"env", "e", true, "one more environment variable"},
    {"tty", "t", false, "with a terminal"},
    {"user", "u", true, "UID[:GID]"},
    {"additional-gids", "g", true, "one more group"},
    {"process", "p", true, "file of the process, in place of the rest"},
    {"detach", "d", false, "do not wait for the process's end"},
    {"pid-file", "", true, "file for the process's pid"},
    {"process-label", "", true, "SELinux label"},
    {"apparmor", "", true, "AppArmor profile"},
    {"no-new-privs", "", false, "set no_new_privs"},
    {"cap", "c", true, "one more capability"},
    {"preserve-fds", "", true, "how many descriptors from 3 on are passed on"},
    {"cgroup", "", true, "path below the container's cgroup"},
    {"ignore-paused", "", false, "also in a paused container"},
    {"no-subreaper", "", false, "ignored"},
};

StatusOr<uint32_t> IdFrom(const std::string& text, const char* flag) {
  const auto id = ParseId(text);
  if (!id) {
    return InvalidArgument(std::string(flag) + ": not an id: " + Quoted(text));
  }
  return *id;
}

// "UID" or "UID:GID"; a lone uid keeps group 0.
Status SetUser(const std::string& text, User& user) {
  const size_t colon = text.find(':');
  ASSIGN_OR_RETURN(user.uid, IdFrom(text.substr(0, colon), "--user"));
  user.gid = 0;
  if (colon != std::string::npos) {
    ASSIGN_OR_RETURN(user.gid, IdFrom(text.substr(colon + 1), "--user"));
  }
  return OkStatus();
}

// Never inheritable (CVE-2022-29162); ambient ones would have to be.
void AddCapabilities(const std::vector<std::string>& names,
                     ProcessSpec& process) {
  if (names.empty()) return;
  if (!process.capabilities) process.capabilities.emplace();
  for (const std::string& name : names) {
    process.capabilities->bounding.push_back(name);
    process.capabilities->effective.push_back(name);
    process.capabilities->permitted.push_back(name);
  }
}

// The container's own process, with what the flags change.
StatusOr<ProcessSpec> FromFlags(const Container& container, const Flags& flags,
                                const std::vector<std::string>& command) {
  ASSIGN_OR_RETURN(ProcessSpec process, container.DefaultProcess());
  process.args = command;
  process.terminal = flags.On("tty");
  if (!process.terminal) process.console_size.reset();
  if (flags.Has("cwd")) process.cwd = flags.Get("cwd");
  for (const std::string& entry : flags.All("env")) {
    process.env.push_back(entry);
  }
  if (flags.Has("user")) {
    RETURN_IF_ERROR(SetUser(flags.Get("user"), process.user));
  }
  for (const std::string& text : flags.All("additional-gids")) {
    ASSIGN_OR_RETURN(const gid_t gid, IdFrom(text, "--additional-gids"));
    process.user.additional_gids.push_back(gid);
  }
  if (flags.Has("no-new-privs")) {
    process.no_new_privileges = flags.On("no-new-privs");
  }
  if (flags.Has("apparmor")) process.apparmor_profile = flags.Get("apparmor");
  if (flags.Has("process-label")) {
    process.selinux_label = flags.Get("process-label");
  }
  AddCapabilities(flags.All("cap"), process);
  return process;
}

StatusOr<ProcessSpec> ReadProcess(const std::string& path) {
  ASSIGN_OR_RETURN_AS(const std::string text, ReadFile(path, kMaxSpecBytes),
                      "--process");
  return ParseProcess(text);
}

}  // namespace

StatusOr<int> RunExecVerb(const Invocation& invocation) {
  size_t next = 0;
  // What follows the id is the command's, flags and all.
  ASSIGN_OR_RETURN(const Flags flags,
                   ParseLeading(invocation, kExecFlags, &next));
  const std::string id = invocation.args[next];
  std::vector<std::string> command(
      invocation.args.begin() + static_cast<ptrdiff_t>(next) + 1,
      invocation.args.end());
  if (!command.empty() && command[0] == "--") command.erase(command.begin());
  ASSIGN_OR_RETURN(Container container, Container::Load(invocation.root, id));
  if (command.empty() && !flags.Has("process")) {
    return InvalidArgument("exec: a command or --process is needed");
  }
  ASSIGN_OR_RETURN(ProcessSpec process,
                   flags.Has("process") ? ReadProcess(flags.Get("process"))
                                        : FromFlags(container, flags, command));
  const bool detached = flags.On("detach");
  ExecOptions options;
  options.cgroup = flags.Get("cgroup");
  options.ignore_paused = flags.On("ignore-paused");
  options.io.console_socket = flags.Get("console-socket");
  options.io.pid_file = flags.Get("pid-file");
  ASSIGN_OR_RETURN(options.io.preserve_fds,
                   PreserveFds(invocation, flags, process.env));
  if (detached && process.terminal && options.io.console_socket.empty()) {
    return InvalidArgument("a detached terminal needs --console-socket");
  }
  ASSIGN_OR_RETURN(Foreground foreground, Foreground::Begin());
  ASSIGN_OR_RETURN(ExecResult result, container.Exec(process, options));
  for (const std::string& warning : result.warnings) {
    invocation.log.Warning(warning);
  }
  RETURN_IF_ERROR(SendPidfd(flags, result.pidfd));
  if (detached) return 0;
  std::optional<NotifyRelay> none;
  return foreground.Wait(result.pid, result.pidfd, std::move(result.console),
                         none);
}

}  // namespace berth::oci
