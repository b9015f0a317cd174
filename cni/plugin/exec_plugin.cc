#include "cni/plugin/exec_plugin.h"

#include <unistd.h>

#include <utility>

#include "base/io/subprocess.h"
#include "base/strings.h"

namespace berth::cni {
namespace {

// Far more than any result; a plugin that prints for ever is stopped here.
constexpr size_t kMaxOutput = 4 << 20;
constexpr size_t kMaxQuoted = 512;

std::vector<std::string> Environment(const Invocation& invocation,
                                     const std::vector<std::string>& folders) {
  // Ours, as plugins may need a proxy or a PATH for iptables; but nothing that
  // looks like a parameter.
  std::vector<std::string> env;
  bool has_path = false;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    if (StartsWith(text, "CNI_")) continue;
    has_path = has_path || StartsWith(text, "PATH=");
    env.emplace_back(text);
  }
  if (!has_path) env.push_back("PATH=/usr/sbin:/usr/bin:/sbin:/bin");
  env.push_back("CNI_COMMAND=" + invocation.command);
  env.push_back("CNI_CONTAINERID=" + invocation.container_id);
  env.push_back("CNI_NETNS=" + invocation.netns);
  env.push_back("CNI_IFNAME=" + invocation.interface);
  env.push_back("CNI_ARGS=" + invocation.args);
  env.push_back("CNI_PATH=" + Join(folders, ":"));
  return env;
}

std::string Shortened(std::string_view text) {
  text = Trim(text);
  return text.size() <= kMaxQuoted ? Quoted(text)
                                   : Quoted(text.substr(0, kMaxQuoted)) + "...";
}

// Well-known error codes: CNI specification 1.1.0, section 5.
StatusCode CodeOf(int64_t code) {
  switch (code) {
    case 11:  // try again later
    case 50:  // STATUS: cannot service ADD now
    case 51:  // STATUS: and connectivity may be limited
      return StatusCode::kUnavailable;
    case 1:  // incompatible version
    case 2:  // unsupported field
    case 7:  // invalid network configuration
      return StatusCode::kFailedPrecondition;
    default:
      return StatusCode::kInternal;
  }
}

Status FailureOf(const CommandResult& result) {
  const StatusOr<Json> json = ParseJson(result.output, "error");
  if (json.ok() && json->is_object()) {
    JsonReader reader(*json, "error");
    int64_t code = 0;
    std::string message;
    std::string details;
    reader.Get("code", code);
    reader.Get("msg", message);
    reader.Get("details", details);
    if (reader.status().ok() && !message.empty()) {
      if (!details.empty()) message += ": " + details;
      return Error(CodeOf(code), message);
    }
  }
  const std::string& said =
      Trim(result.errors).empty() ? result.output : result.errors;
  return Internal("it " + result.Describe() + " and said " + Shortened(said));
}

}  // namespace

ExecPlugin::ExecPlugin(std::string program, std::vector<std::string> folders,
                       Duration time_limit)
    : program_(std::move(program)),
      folders_(std::move(folders)),
      time_limit_(time_limit) {}

StatusOr<Json> ExecPlugin::Run(const Context& ctx,
                               const Invocation& invocation) const {
  const std::string doing =
      "network plugin " + Quoted(invocation.plugin) + ": " + invocation.command;
  Command command;
  command.program = program_;
  command.env = Environment(invocation, folders_);
  command.input = DumpJson(invocation.config);
  command.max_output = kMaxOutput;
  command.time_limit = time_limit_;
  const StatusOr<CommandResult> result = RunCommand(ctx, command);
  if (IsNotFound(result.status()) ||
      result.status().code() == StatusCode::kPermissionDenied) {
    // Of its interpreter, or a file that is no program.
    return Unavailable(doing + ": " + Message(result.status()));
  }
  RETURN_IF_ERROR_AS(result.status(), doing);
  if (!result->ok()) return Annotate(FailureOf(*result), doing);
  if (Trim(result->output).empty()) return Json();
  StatusOr<Json> answer = ParseJson(result->output, "answer");
  if (!answer.ok() || !answer->is_object()) {
    // Only ADD and VERSION have an answer; what else a plugin prints is noise.
    if (invocation.command != "ADD" && invocation.command != "VERSION") {
      return Json();
    }
    return Internal(doing + ": its answer is not a JSON object: " +
                    Shortened(result->output));
  }
  return answer;
}

}  // namespace berth::cni
