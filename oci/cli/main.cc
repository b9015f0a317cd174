// berth-oci: an OCI runtime with runc's command line.
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <optional>
#include <string_view>

#include "base/exe/exe_guard.h"
#include "base/strings.h"
#include "base/sys/file.h"
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

const std::vector<FlagSpec> kGlobalFlags = {
    {"root", "", true},
    {"log", "", true},
    {"log-format", "", true},
    {"debug", "", false},
    {"systemd-cgroup", "", false},
    {"cgroup-manager", "", true},
    {"rootless", "", true},
    {"criu", "", true},
    {"version", "v", false},
    {"help", "h", false},
};

std::string VersionText() {
  return "berth-oci version " + std::string(kVersion) +
         "\nspec: " + kOciVersionMax + "\n";
}

std::string HelpText() {
  std::string text =
      "usage: berth-oci [--root DIR] [--log FILE] [--log-format text|json] "
      "COMMAND ...\n\n";
  for (const Command& command : Commands()) {
    text += "  " + std::string(command.name) + " " + command.usage + "\n";
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
  const std::string manager = flags.Get("cgroup-manager", "cgroupfs");
  if (manager == "cgroupfs" || manager == "systemd") return OkStatus();
  return Unimplemented("--cgroup-manager " + manager);
}

int RunCommand(const Flags& flags, const Command& command, const Log& log,
               std::vector<std::string> args) {
  const Invocation invocation = {
      .root = flags.Get("root", kDefaultRoot),
      .explicit_root = flags.Has("root"),
      .systemd_cgroup = flags.On("systemd-cgroup") ||
                        flags.Get("cgroup-manager") == "systemd",
      .log = log,
      .args = std::move(args)};
  StatusOr<int> code = command.run(invocation);
  if (code.ok()) return *code;
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
  const auto log = Log::Open(flags->Get("log"), flags->Get("log-format"));
  if (!log.ok()) {
    Log().Error(Message(log.status()));
    return 1;
  }
  if (flags->On("version")) return Print(VersionText()).ok() ? 0 : 1;
  const bool help =
      flags->On("help") || next >= args.size() || args[next] == "help";
  if (help) return Print(HelpText()).ok() ? 0 : 1;
  const Command* command = FindCommand(args[next]);
  if (command == nullptr) {
    log->Error("unknown command " + Quoted(args[next]));
    return 1;
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
  return RunCommand(
      *flags, *command, *log,
      {args.begin() + static_cast<ptrdiff_t>(next) + 1, args.end()});
}

}  // namespace

const std::vector<Command>& Commands() {
  // 255: what runc's callers take for "exec itself failed".
  static const std::vector<Command> commands = {
      {"create", "[--bundle DIR] ID", RunCreate, 1},
      {"run", "[--bundle DIR] [--detach] ID", RunRun, 1},
      {"start", "ID", RunStart, 1},
      {"exec", "[--process FILE] ID [COMMAND ...]", RunExecVerb, 255},
      {"kill", "[--all] ID [SIGNAL]", RunKill, 1},
      {"delete", "[--force] ID", RunDelete, 1},
      {"state", "ID", RunState, 1},
      {"list", "[--format table|json]", RunList, 1},
      {"ps", "[--format table|json] ID", RunPs, 1},
      {"pause", "ID", RunPause, 1},
      {"resume", "ID", RunResume, 1},
      {"update", "[--resources FILE] ID", RunUpdate, 1},
      {"features", "", RunFeatures, 1},
      {"spec", "[--bundle DIR]", RunSpec, 1},
  };
  return commands;
}

StatusOr<Flags> ParseCommand(const Invocation& invocation,
                             const std::vector<FlagSpec>& known, size_t least,
                             size_t most) {
  size_t next = 0;
  ASSIGN_OR_RETURN(Flags flags,
                   Flags::Parse(invocation.args, &next, known, true));
  const size_t count = flags.positional().size();
  if (count < least || count > most) {
    return InvalidArgument("Incorrect Usage: " + std::to_string(count) +
                           " arguments, not " + std::to_string(least) +
                           (most > least ? " to " + std::to_string(most) : ""));
  }
  return flags;
}

}  // namespace berth::oci

int main(int argc, char** argv) {
  return berth::oci::Main(std::vector<std::string>(argv + 1, argv + argc));
}
