// What a verb's arguments have in common: how they are read, and its help.
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <string>

#include "base/strings.h"
#include "base/sys/file.h"
#include "oci/cli/commands.h"

namespace berth::oci {
namespace {

constexpr char kProgram[] = "berth-oci";
constexpr char kHelpWasShown[] = "help was shown";

std::string FlagNames(const FlagSpec& flag) {
  const std::string value = flag.takes_value ? " value" : "";
  std::string names = "--" + std::string(flag.name) + value;
  if (*flag.alias != 0) names += ", -" + std::string(flag.alias) + value;
  return names;
}

std::string HelpOf(const Command& command, const std::vector<FlagSpec>& known) {
  const std::string name = kProgram + std::string(" ") + command.name;
  std::string text =
      "NAME:\n   " + name + " - " + command.about + "\n\nUSAGE:\n   " + name +
      (known.empty() ? " " : " [command options] ") + command.usage + "\n";
  if (known.empty()) return text;
  size_t widest = 0;
  for (const FlagSpec& flag : known) {
    widest = std::max(widest, FlagNames(flag).size());
  }
  text += "\nOPTIONS:\n";
  for (const FlagSpec& flag : known) {
    std::string names = FlagNames(flag);
    names.resize(widest + 2, ' ');
    text += "   " + names + flag.help + "\n";
  }
  return text;
}

Status ShowHelp(const Invocation& invocation,
                const std::vector<FlagSpec>& known, const std::string& before) {
  return WriteAll(STDOUT_FILENO,
                  before + HelpOf(invocation.command, known) + "\n");
}

// `wrong` is what callers of runc read in the log.
Status Misused(const Invocation& invocation, const std::vector<FlagSpec>& known,
               const std::string& wrong) {
  (void)ShowHelp(invocation, known, "Incorrect Usage.\n\n").ok();
  return InvalidArgument(wrong);
}

Status CheckCount(const Invocation& invocation,
                  const std::vector<FlagSpec>& known, size_t count,
                  size_t least, size_t most) {
  if (count >= least && count <= most) return OkStatus();
  const std::string limit = least == most   ? "exactly "
                            : count < least ? "a minimum of "
                                            : "a maximum of ";
  return Misused(invocation, known,
                 kProgram + std::string(": ") +
                     Quoted(invocation.command.name) + " requires " + limit +
                     std::to_string(count < least ? least : most) +
                     " argument(s)");
}

StatusOr<Flags> Parse(const Invocation& invocation,
                      const std::vector<FlagSpec>& known, size_t* next,
                      bool interspersed) {
  auto flags = Flags::Parse(invocation.args, next, known, interspersed);
  if (!flags.ok()) {
    return Misused(invocation, known, Message(flags.status()));
  }
  if (!flags->On("help")) return flags;
  RETURN_IF_ERROR(ShowHelp(invocation, known, ""));
  return HelpShown();
}

}  // namespace

Status HelpShown() { return Cancelled(kHelpWasShown); }

bool IsHelpShown(const Status& status) {
  return status.code() == StatusCode::kCancelled &&
         Message(status) == kHelpWasShown;
}

StatusOr<Flags> ParseCommand(const Invocation& invocation,
                             const std::vector<FlagSpec>& known, size_t least,
                             size_t most) {
  size_t next = 0;
  ASSIGN_OR_RETURN(Flags flags, Parse(invocation, known, &next, true));
  RETURN_IF_ERROR(
      CheckCount(invocation, known, flags.positional().size(), least, most));
  return flags;
}

StatusOr<Flags> ParseLeading(const Invocation& invocation,
                             const std::vector<FlagSpec>& known, size_t* next) {
  ASSIGN_OR_RETURN(Flags flags, Parse(invocation, known, next, false));
  const size_t rest = invocation.args.size() - *next;
  RETURN_IF_ERROR(CheckCount(invocation, known, rest, 1, SIZE_MAX));
  return flags;
}

}  // namespace berth::oci
