// state, list, ps.
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "base/context.h"
#include "base/io/subprocess.h"
#include "base/json.h"
#include "base/strings.h"
#include "base/sys/file.h"
#include "oci/cli/commands.h"
#include "oci/container/container.h"

namespace berth::oci {
namespace {

constexpr FlagSpec kFormat = {"format", "f", true, "table (default) or json"};
constexpr size_t kMinColumn = 12;
constexpr size_t kColumnGap = 3;

Status Print(const std::string& text) { return WriteAll(STDOUT_FILENO, text); }

// Columns as wide as their widest cell; the last is not padded.
std::string Table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths(rows[0].size(), kMinColumn);
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], row[i].size() + kColumnGap);
    }
  }
  std::string text;
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      text += row[i];
      if (i + 1 < row.size()) text.append(widths[i] - row[i].size(), ' ');
    }
    text += "\n";
  }
  return text;
}

std::vector<std::string> Row(const OciState& state) {
  return {state.id,     std::to_string(state.pid),    StatusName(state.status),
          state.bundle, FormatRfc3339(state.created), state.owner};
}

StatusOr<std::string> PsTable(const std::vector<pid_t>& pids,
                              std::vector<std::string> options) {
  if (options.empty()) options = {"-ef"};
  berth::Command command;
  command.program =
      access("/usr/bin/ps", X_OK) == 0 ? "/usr/bin/ps" : "/bin/ps";
  command.args = options;
  ASSIGN_OR_RETURN_AS(const CommandResult result,
                      RunCommand(Context::Background(), command), "ps");
  if (!result.ok()) return Internal("ps " + result.Describe());
  const std::set<pid_t> wanted(pids.begin(), pids.end());
  std::string text;
  size_t pid_column = std::string::npos;
  for (const std::string& line : Split(result.output, '\n')) {
    std::vector<std::string> fields = Split(line, ' ');
    std::erase(fields, "");
    if (pid_column == std::string::npos) {
      const auto found = std::find(fields.begin(), fields.end(), "PID");
      if (found == fields.end()) return Internal("ps shows no PID column");
      pid_column = static_cast<size_t>(found - fields.begin());
      text += line + "\n";
      continue;
    }
    if (fields.size() <= pid_column) continue;
    const auto pid = ParseInt(fields[pid_column]);
    if (pid && wanted.count(static_cast<pid_t>(*pid)) > 0) text += line + "\n";
  }
  return text;
}

StatusOr<bool> WantsJson(const Flags& flags) {
  const std::string format = flags.Get("format", "table");
  if (format == "json") return true;
  if (format == "table") return false;
  return InvalidArgument("--format: unknown " + Quoted(format));
}

}  // namespace

StatusOr<int> RunState(const Invocation& invocation) {
  ASSIGN_OR_RETURN(const Flags flags, ParseCommand(invocation, {}, 1, 1));
  ASSIGN_OR_RETURN(const Container container,
                   Container::Load(invocation.root, flags.positional()[0]));
  ASSIGN_OR_RETURN(const OciState state, container.State());
  RETURN_IF_ERROR(Print(ToJson(state)));
  return 0;
}

StatusOr<int> RunList(const Invocation& invocation) {
  ASSIGN_OR_RETURN(
      const Flags flags,
      ParseCommand(invocation,
                   {kFormat, {"quiet", "q", false, "show ids alone"}}, 0, 0));
  ASSIGN_OR_RETURN(const bool json, WantsJson(flags));
  if (invocation.explicit_root && access(invocation.root.c_str(), F_OK) != 0) {
    return NotFound("--root " + Quoted(invocation.root) +
                    ": no such directory");
  }
  ASSIGN_OR_RETURN(const std::vector<std::string> ids,
                   ListContainers(invocation.root));
  std::vector<std::vector<std::string>> rows = {
      {"ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"}};
  std::string array;
  std::string quiet;
  for (const std::string& id : ids) {
    const auto container = Container::Load(invocation.root, id);
    const auto state = container.ok() ? container->State()
                                      : StatusOr<OciState>(container.status());
    if (!state.ok()) {
      // One that is half made or half gone hides no other.
      invocation.log.Warning("load container " + id + ": " +
                             Message(state.status()));
      continue;
    }
    rows.push_back(Row(*state));
    array += (array.empty() ? "" : ",") + ToJsonLine(*state);
    quiet += id + "\n";
  }
  if (flags.On("quiet")) {
    RETURN_IF_ERROR(Print(quiet));
  } else if (json) {
    RETURN_IF_ERROR(Print(array.empty() ? "null\n" : "[" + array + "]\n"));
  } else {
    RETURN_IF_ERROR(Print(Table(rows)));
  }
  return 0;
}

StatusOr<int> RunPs(const Invocation& invocation) {
  // What follows the id is for ps.
  size_t next = 0;
  ASSIGN_OR_RETURN(const Flags flags,
                   ParseLeading(invocation, {kFormat}, &next));
  ASSIGN_OR_RETURN(const bool json, WantsJson(flags));
  ASSIGN_OR_RETURN(const Container container,
                   Container::Load(invocation.root, invocation.args[next]));
  ASSIGN_OR_RETURN(const Cgroup* const cgroup, container.GetCgroup());
  ASSIGN_OR_RETURN(const std::vector<pid_t> pids, cgroup->Pids());
  if (json) {
    RETURN_IF_ERROR(Print(DumpJson(Json(pids)) + "\n"));
    return 0;
  }
  const std::vector<std::string> options(
      invocation.args.begin() + static_cast<ptrdiff_t>(next) + 1,
      invocation.args.end());
  ASSIGN_OR_RETURN(const std::string table, PsTable(pids, options));
  RETURN_IF_ERROR(Print(table));
  return 0;
}

}  // namespace berth::oci
