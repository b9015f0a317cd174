#include "cni/plugin/builtin_plugin.h"

#include <sched.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "base/sys/namespace.h"
#include "base/unique_fd.h"

namespace berth::cni {
namespace {

// In order.
const std::vector<std::string>& Versions() {
  static const auto& versions = *new std::vector<std::string>{
      "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"};
  return versions;
}

// Whether `version`, one of ours, is `least`, one of ours, or later.
bool Has(const std::string& version, const std::string& least) {
  const auto& all = Versions();
  return std::find(std::find(all.begin(), all.end(), least), all.end(),
                   version) != all.end();
}

Status CheckVersion(const std::string& version, const std::string& command) {
  const auto& all = Versions();
  if (std::find(all.begin(), all.end(), version) == all.end()) {
    return FailedPrecondition("cniVersion " + Quoted(version) +
                              " is not supported; supported are " +
                              Join(all, ", "));
  }
  const bool has = command == "CHECK" ? Has(version, "0.4.0")
                   : command == "STATUS" || command == "GC"
                       ? Has(version, "1.1.0")
                       : true;
  if (!has) {
    return FailedPrecondition("cniVersion " + Quoted(version) +
                              " has no such command");
  }
  return OkStatus();
}

// Until 1.0.0 an address said of which IP it is.
void SpeakVersion(const std::string& version, Json& result) {
  result["cniVersion"] = version;
  const Json* const found = result.Find("ips");
  if (found == nullptr || Has(version, "1.0.0")) return;
  Json ips = Json::array();
  for (Json ip : found->elements()) {
    const bool six = ip.Text("address").find(':') != std::string::npos;
    ip["version"] = six ? "6" : "4";
    ips.push_back(std::move(ip));
  }
  result["ips"] = std::move(ips);
}

// No file, or the file of a pin that was taken away.
bool Gone(const Status& opened) {
  return IsNotFound(opened) || opened.code() == StatusCode::kInvalidArgument;
}

}  // namespace

StatusOr<Json> BuiltinPlugin::Run(const Context& ctx,
                                  const Invocation& invocation) const {
  StatusOr<Json> answer = Answer(ctx, invocation);
  if (answer.ok()) return answer;
  const std::string doing =
      "network plugin " + Quoted(invocation.plugin) + ": " + invocation.command;
  switch (answer.status().code()) {
    case StatusCode::kUnavailable:
    case StatusCode::kFailedPrecondition:
    case StatusCode::kDeadlineExceeded:
    case StatusCode::kCancelled:
    case StatusCode::kResourceExhausted:
      return Annotate(answer.status(), doing);
    default:
      return Internal(doing + ": " + Message(answer.status()));
  }
}

StatusOr<Json> BuiltinPlugin::Answer(const Context& ctx,
                                     const Invocation& invocation) const {
  RETURN_IF_ERROR(ctx.Check());
  const std::string& command = invocation.command;
  const std::string version = invocation.config.Text("cniVersion");
  if (command == "VERSION") {
    return Json{{"cniVersion", Versions().back()},
                {"supportedVersions", Versions()}};
  }
  RETURN_IF_ERROR(CheckVersion(version, command));
  // None of ours holds anything beside what it put into a namespace.
  if (command == "STATUS" || command == "GC") return Json();
  if (command != "ADD" && command != "CHECK" && command != "DEL") {
    return InvalidArgument("no such command");
  }
  const StatusOr<UniqueFd> netns =
      OpenNamespace(invocation.netns, CLONE_NEWNET);
  if (command == "DEL") {
    if (!netns.ok() && !Gone(netns.status())) return netns.status();
    RETURN_IF_ERROR(Delete(ctx, netns.ok() ? netns->get() : -1, invocation));
    return Json();
  }
  RETURN_IF_ERROR(netns.status());
  if (command == "CHECK") {
    RETURN_IF_ERROR(Check(ctx, netns->get(), invocation));
    return Json();
  }
  ASSIGN_OR_RETURN(Json result, Add(ctx, netns->get(), invocation));
  SpeakVersion(version, result);
  return result;
}

}  // namespace berth::cni
