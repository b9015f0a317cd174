#include "docker/build/classic_lines.h"

#include <utility>

#include "base/strings.h"

namespace berth::docker {
namespace {

Json Line(std::string text) { return {{"stream", std::move(text)}}; }

// "[2/3] RUN x" and "[stage-1 2/3] RUN x" are the step "2/3 : RUN x"; nothing
// for what is no line of the Dockerfile.
std::optional<std::string> StepOf(const std::string& name) {
  const size_t close = name.find("] ");
  if (name.empty() || name[0] != '[' || close == std::string::npos) {
    return std::nullopt;
  }
  const std::string inside = name.substr(1, close - 1);
  const std::string number(Trim(inside.substr(inside.find_last_of(' ') + 1)));
  const size_t slash = number.find('/');
  if (slash == std::string::npos || !ParseUint(number.substr(0, slash)) ||
      !ParseUint(number.substr(slash + 1))) {
    return std::nullopt;
  }
  return number + " : " + name.substr(close + 2);
}

// 'process "/bin/sh -c exit 3" did not complete successfully: exit code: 3'
struct FailedCommand {
  std::string words;
  int64_t code = 0;
};
std::optional<FailedCommand> FailedCommandOf(const std::string& message) {
  constexpr std::string_view kProcess = "process \"";
  constexpr std::string_view kExit =
      "\" did not complete successfully: exit code: ";
  const size_t begin = message.find(kProcess);
  const size_t end = message.rfind(kExit);
  if (begin == std::string::npos || end == std::string::npos ||
      begin + kProcess.size() > end) {
    return std::nullopt;
  }
  const std::string tail = message.substr(end + kExit.size());
  const auto code =
      ParseInt(tail.substr(0, tail.find_first_not_of("0123456789")));
  if (!code.has_value()) return std::nullopt;
  const size_t words = begin + kProcess.size();
  return FailedCommand{message.substr(words, end - words), *code};
}

}  // namespace

std::vector<Json> ClassicLines::Follow(const bk::StatusResponse& news) {
  std::vector<Json> lines;
  for (const bk::Vertex& vertex : news.vertexes()) {
    if (!vertex.has_started() && !vertex.cached()) continue;
    const std::optional<std::string> step = StepOf(vertex.name());
    if (!step.has_value()) continue;
    if (said_.insert(vertex.digest()).second) {
      lines.push_back(Line("Step " + *step + "\n"));
    }
    if (vertex.cached() && cached_.insert(vertex.digest()).second) {
      lines.push_back(Line(" ---> Using cache\n"));
    }
  }
  for (const bk::VertexLog& log : news.logs()) {
    if (said_.count(log.vertex()) > 0) lines.push_back(Line(log.msg()));
  }
  return lines;
}

std::vector<Json> ClassicLines::End(const std::string& image_id,
                                    const std::vector<std::string>& tags) {
  const std::string digits = image_id.substr(image_id.find(':') + 1, 12);
  std::vector<Json> lines;
  lines.push_back({{"aux", {{"ID", image_id}}}});
  lines.push_back(Line("Successfully built " + digits + "\n"));
  for (const std::string& tag : tags) {
    lines.push_back(Line("Successfully tagged " + tag + "\n"));
  }
  return lines;
}

Json ClassicLines::Failure(const Status& status) {
  std::string text = Message(status);
  Json detail = Json::object();
  if (const auto failed = FailedCommandOf(text)) {
    text = "The command '" + failed->words +
           "' returned a non-zero code: " + std::to_string(failed->code);
    detail["code"] = failed->code;
  }
  detail["message"] = text;
  return {{"errorDetail", std::move(detail)}, {"error", text}};
}

}  // namespace berth::docker
