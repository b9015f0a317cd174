#include "door/stream/command_status.h"

#include "base/json.h"

namespace berth::door {
namespace {

bool Succeeded(const StreamEnd& end) {
  return end.ok() && end->value_or(0) == 0;
}

Json StatusOf(const StreamEnd& end) {
  if (Succeeded(end)) {
    return {{"metadata", Json::object()}, {"status", "Success"}};
  }
  Json status = {{"metadata", Json::object()},
                 {"status", "Failure"},
                 {"message", CommandErrorText(end)}};
  Json cause;
  if (end.ok()) {
    status["reason"] = "NonZeroExitCode";
    cause["reason"] = "ExitCode";
    cause["message"] = std::to_string(end->value_or(0));
  } else {
    status["reason"] = "InternalError";
    status["code"] = 500;
    cause["message"] = Message(end.status());
  }
  status["details"]["causes"].push_back(std::move(cause));
  return status;
}

}  // namespace

std::string CommandStatus(const StreamEnd& end) {
  return DumpJson(StatusOf(end));
}

std::string CommandErrorText(const StreamEnd& end) {
  if (Succeeded(end)) return "";
  if (!end.ok()) return "Internal error occurred: " + Message(end.status());
  return "command terminated with non-zero exit code: " +
         std::to_string(end->value_or(0));
}

}  // namespace berth::door
