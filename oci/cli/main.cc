// berth-oci: an OCI runtime with runc's command line.
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <optional>
#include <string_view>

#include "base/exe/exe_guard.h"
#include "base/strings.h"
#include "base/sys/file.h"
#include "base/sys/namespace.h"
#include "oci/cli/commands.h"
#include "oci/spec/features.h"

namespace berth {

// The verbs whose processes enter a container.
const char* const kGuardedWords[] = {"create", "run", "exec", nullptr};

}  // namespace berth

namespace berth::oci {
namespace {

constexpr char kVersion[] = "0.1.0";
constexpr char kDefaultRoot[] = "/run/berth-oci";
constexpr int kNoSuchCommand = 3;  // as runc

const std::vector<FlagSpec> kGlobalFlags = {
    {"root", "", true, "directory of the containers' state"},
    {"log", "", true, "file for messages, beside standard error"},
    {"log-format", "", true, "form of messages: text (default) or json"},
    {"debug", "", false, "say what is done"},
    {"systemd-cgroup", "", false, "let systemd make the cgroup"},
    {"cgroup-manager", "", true,
     "who makes it: cgroupfs, systemd, or disabled: nobody"},
    {"rootless", "", true, "true, false or auto (default)"},
    {"criu", "", true, "ignored"},
    {"version", "v", false, "show the version"},
    {"help", "h", false, "show help"},
};

std::string VersionText() {
  return "berth-oci version " + std::string(kVersion) +
         "\nspec: " + kOciVersionMax + "\n";
}

std::string HelpText() {
  std::string text =
      "NAME:\n   berth-oci - Open Container Initiative runtime\n\n"
      "USAGE:\n   berth-oci [global options] command [command options] "
      "[arguments...]\n\nCOMMANDS:\n";
  for (const Command& command : Commands()) {
    std::string name = command.name;
    name.resize(10, ' ');
    text += "   " + name + command.about + "\n";
  }
  text += "   help      show this, or the help of one command\n\n";
  text += "GLOBAL OPTIONS:\n";
  for (const FlagSpec& flag : kGlobalFlags) {
    const std::string value = flag.takes_value ? " value" : "";
    std::string name = "--" + std::string(flag.name) + value;
    if (*flag.alias != 0) name += ", -" + std::string(flag.alias) + value;
    name.resize(24, ' ');
    text += "   " + name + flag.help + "\n";
  }
  return text;
}

Status Print(const std::string& text) { return WriteAll(STDOUT_FILENO, text); }

const Command* FindCommand(const std::string& name) {
  for (const Command& command : Commands()) {
    if (name == command.name) return &command;
  }
  return nullptr;
}

Status CheckGuard(const Command& command) {
  for (const char* const* word = kGuardedWords; *word != nullptr; ++word) {
    if (std::string_view(*word) == command.name) {
      return CheckExeGuard("berth-oci");
    }
  }
  return OkStatus();
}

Status CheckManager(const Flags& flags) {
  const std::string rootless = flags.Get("rootless", "auto");
  if (rootless != "auto" && rootless != "true" && rootless != "false") {
    return InvalidArgument("--rootless: neither true, false nor auto: " +
                           Quoted(rootless));
  }
  const std::string manager = flags.Get("cgroup-manager", "cgroupfs");
  if (manager == "cgroupfs" || manager == "systemd" || manager == "disabled") {
    return OkStatus();
  }
  return InvalidArgument(
      "--cgroup-manager: neither cgroupfs, systemd nor "
      "disabled: " +
      Quoted(manager));
}

std::optional<bool> Rootless(const Flags& flags) {
  const std::string asked = flags.Get("rootless", "auto");
  if (asked == "auto") return std::nullopt;
  return asked == "true";
}

// Below the user's own directory for who is not the machine's root; root of a
// user namespace has one of a user only if it does not say that it is root's.
std::string DefaultRoot() {
  const char* directory = getenv("XDG_RUNTIME_DIR");
  if (directory == nullptr || *directory == 0) return kDefaultRoot;
  const char* name = getenv("USER");
  const bool says_root = name != nullptr && std::string_view(name) == "root";
  const bool own = geteuid() != 0 || (!says_root && InUserNamespace());
  return own ? directory + std::string("/berth-oci") : kDefaultRoot;
}

int RunCommand(const Flags& flags, const Command& command, const Log& log,
               std::vector<std::string> args) {
  const Invocation invocation = {
      .root = flags.Has("root") ? flags.Get("root") : DefaultRoot(),
      .explicit_root = flags.Has("root"),
      .systemd_cgroup = flags.On("systemd-cgroup") ||
                        flags.Get("cgroup-manager") == "systemd",
      .no_cgroup = flags.Get("cgroup-manager") == "disabled",
      .rootless = Rootless(flags),
      .log = log,
      .command = command,
      .args = std::move(args)};
  log.Debug(std::string(command.name) + ", root " + invocation.root);
  StatusOr<int> code = command.run(invocation);
  log.Debug(std::string(command.name) + (code.ok() ? " done" : " failed"));
  if (code.ok()) return *code;
  if (IsHelpShown(code.status())) return 0;
  log.Error(Message(code.status()));
  return command.failure_code;
}

int Main(const std::vector<std::string>& args) {
  size_t next = 0;
  const auto flags = Flags::Parse(args, &next, kGlobalFlags, false);
  if (!flags.ok()) {
    Log().Error(Message(flags.status()));
    return 1;
  }
  auto log = Log::Open(flags->Get("log"), flags->Get("log-format"));
  if (!log.ok()) {
    Log().Error(Message(log.status()));
    return 1;
  }
  log->set_debug(flags->On("debug"));
  if (flags->On("version")) return Print(VersionText()).ok() ? 0 : 1;
  std::vector<std::string> words(args.begin() + static_cast<ptrdiff_t>(next),
                                 args.end());
  // "help" alone is of the program, "help VERB" of the verb.
  const bool help = !words.empty() && (words[0] == "help" || words[0] == "h");
  if (flags->On("help") || words.empty() || (help && words.size() == 1)) {
    return Print(HelpText()).ok() ? 0 : 1;
  }
  if (help) words = {words[1], "--help"};
  const Command* command = FindCommand(words[0]);
  if (command == nullptr) {
    log->Error("No help topic for '" + words[0] + "'");
    return kNoSuchCommand;
  }
  for (const Status& status : {CheckManager(*flags), CheckGuard(*command)}) {
    if (status.ok()) continue;
    log->Error(Message(status));
    return 1;
  }
  if (flags->Get("root") == "/") {
    log->Error("--root: not the root directory");
    return 1;
  }
  return RunCommand(*flags, *command, *log, {words.begin() + 1, words.end()});
}

}  // namespace

const std::vector<Command>& Commands() {
  // 255: what runc's callers take for "exec itself failed".
  static const std::vector<Command> commands = {
      {"create", "<container-id>", "create a container", RunCreate, 1},
      {"delete", "<container-id>", "release all that a container holds",
       RunDelete, 1},
      {"events", "<container-id>",
       "show out-of-memory events and statistics of a container", RunEvents, 1},
      {"exec",
       "<container-id> <command> [command options]  || -p process.json "
       "<container-id>",
       "run one more process in a container", RunExecVerb, 255},
      {"features", "", "show what this runtime can do", RunFeatures, 1},
      {"kill", "<container-id> [signal]",
       "send a signal (default: SIGTERM) to a container's init", RunKill, 1},
      {"list", "", "list the containers below the root", RunList, 1},
      {"pause", "<container-id>", "stop all processes of a container for now",
       RunPause, 1},
      {"ps", "<container-id> [ps options]", "show a container's processes",
       RunPs, 1},
      {"resume", "<container-id>", "let the processes of a container go on",
       RunResume, 1},
      {"run", "<container-id>", "create and start a container", RunRun, 1},
      {"spec", "", "write a configuration to start from", RunSpec, 1},
      {"start", "<container-id>", "run the program of a created container",
       RunStart, 1},
      {"state", "<container-id>", "show the state of a container", RunState, 1},
      {"update", "<container-id>", "change the limits of a container",
       RunUpdate, 1},
  };
  return commands;
}

}  // namespace berth::oci

int main(int argc, char** argv) {
  return berth::oci::Main(std::vector<std::string>(argv + 1, argv + argc));
}
