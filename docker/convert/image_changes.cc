#include "docker/convert/image_changes.h"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>

#include "base/strings.h"
#include "docker/convert/go_time.h"

namespace berth::docker {
namespace {

constexpr int64_t kMaxPort = 65535;

Status Invalid(const std::string& why) {
  return InvalidArgument("dockerfile parse error on line 1: " + why);
}

std::string Upper(std::string_view text) {
  std::string upper(text);
  for (char& c : upper) {
    c = static_cast<char>(toupper(static_cast<unsigned char>(c)));
  }
  return upper;
}

// Words between blanks; quotes hold blanks, a backslash takes the next
// character as it is. Quotes and backslashes are gone then.
StatusOr<std::vector<std::string>> WordsOf(std::string_view text) {
  std::vector<std::string> words;
  std::optional<std::string> word;
  char quote = '\0';
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\\' && quote != '\'' && i + 1 < text.size()) {
      word = word.value_or("") + text[++i];
    } else if (quote != '\0') {
      if (c == quote) {
        quote = '\0';
      } else {
        *word += c;
      }
    } else if (c == '"' || c == '\'') {
      quote = c;
      word = word.value_or("");
    } else if (c == ' ' || c == '\t') {
      if (word) words.push_back(*std::exchange(word, std::nullopt));
    } else {
      word = word.value_or("") + c;
    }
  }
  if (quote != '\0')
    return Invalid(
        "unexpected end of statement while looking "
        "for matching quote");
  if (word) words.push_back(*word);
  return words;
}

// NAME=VALUE pairs, or a name and the rest of the line.
StatusOr<std::vector<std::pair<std::string, std::string>>> PairsOf(
    const std::string& instruction, std::string_view text) {
  std::vector<std::pair<std::string, std::string>> pairs;
  ASSIGN_OR_RETURN(const std::vector<std::string> words, WordsOf(text));
  if (words.empty()) {
    return Invalid(instruction + " requires at least one argument");
  }
  if (words[0].find('=') == std::string::npos) {
    const size_t blank = text.find_first_of(" \t");
    if (blank == std::string_view::npos) {
      return Invalid(instruction + " must have two arguments");
    }
    pairs.emplace_back(words[0], Trim(text.substr(blank)));
    return pairs;
  }
  for (const std::string& word : words) {
    const size_t equals = word.find('=');
    if (equals == std::string::npos || equals == 0) {
      return Invalid("Syntax error - can't find = in " + Quoted(word) +
                     ". Must be of the form: name=value");
    }
    pairs.emplace_back(word.substr(0, equals), word.substr(equals + 1));
  }
  return pairs;
}

// A JSON list of texts; nothing if it is none.
std::optional<std::vector<std::string>> ListOf(std::string_view text) {
  if (!StartsWith(text, "[")) return std::nullopt;
  const StatusOr<Json> json = ParseJson(text, "list");
  if (!json.ok() || !json->is_array()) return std::nullopt;
  std::vector<std::string> list;
  for (const Json& one : json->elements()) {
    if (one.AsText() == nullptr) return std::nullopt;
    list.push_back(*one.AsText());
  }
  return list;
}

// A list as it is, or a line for the shell.
std::vector<std::string> CommandOf(std::string_view text, const Json& config) {
  if (auto list = ListOf(text)) return *std::move(list);
  std::vector<std::string> command;
  if (const Json* const shell = config.Find("Shell")) {
    for (const Json& one : shell->elements()) {
      if (one.AsText() != nullptr) command.push_back(*one.AsText());
    }
  }
  if (command.empty()) command = {"/bin/sh", "-c"};
  command.emplace_back(text);
  return command;
}

void SetVariable(Json& config, const std::string& name,
                 const std::string& value) {
  Json list = Json::array();
  bool placed = false;
  if (const Json* const old = config.Find("Env")) {
    for (const Json& one : old->elements()) {
      const std::string text = one.AsText() == nullptr ? "" : *one.AsText();
      const bool same = StartsWith(text, name + "=");
      list.push_back(same ? Json(name + "=" + value) : one);
      placed = placed || same;
    }
  }
  if (!placed) list.push_back(name + "=" + value);
  config["Env"] = std::move(list);
}

Status AddPorts(const std::string& word, Json& ports) {
  const size_t slash = word.find('/');
  const std::string protocol =
      slash == std::string::npos ? "tcp" : Lower(word.substr(slash + 1));
  const std::string numbers = word.substr(0, slash);
  const size_t dash = numbers.find('-');
  const auto first = ParseInt(numbers.substr(0, dash));
  const auto last =
      dash == std::string::npos ? first : ParseInt(numbers.substr(dash + 1));
  if (!first || !last || *first < 1 || *last > kMaxPort || *first > *last ||
      (protocol != "tcp" && protocol != "udp" && protocol != "sctp")) {
    return Invalid("invalid containerPort: " + word);
  }
  for (int64_t port = *first; port <= *last; ++port) {
    ports[std::to_string(port) + "/" + protocol] = Json::object();
  }
  return OkStatus();
}

Status SetHealthcheck(std::string_view text, Json& config) {
  Json check = Json::object();
  while (StartsWith(text, "--")) {
    const size_t blank = std::min(text.find(' '), text.size());
    const std::string option(text.substr(2, blank - 2));
    text = Trim(text.substr(blank));
    const size_t equals = std::min(option.find('='), option.size());
    const std::string name = option.substr(0, equals);
    const std::string value =
        equals < option.size() ? option.substr(equals + 1) : "";
    static const auto& durations = *new std::map<std::string, std::string>{
        {"interval", "Interval"},
        {"timeout", "Timeout"},
        {"start-period", "StartPeriod"},
        {"start-interval", "StartInterval"}};
    if (const auto it = durations.find(name); it != durations.end()) {
      const std::optional<Duration> time = ParseGoDuration(value);
      if (!time) return Invalid("time: invalid duration " + Quoted(value));
      check[it->second] = time->count();
    } else if (name == "retries" && ParseUint(value)) {
      check["Retries"] = *ParseUint(value);
    } else {
      return Invalid("unknown flag: " + name);
    }
  }
  const size_t blank = std::min(text.find_first_of(" \t"), text.size());
  const std::string kind = Upper(text.substr(0, blank));
  const std::string_view rest = Trim(text.substr(blank));
  if (kind == "NONE" && rest.empty()) {
    check = {{"Test", Json::array({"NONE"})}};
  } else if (kind == "CMD" && !rest.empty()) {
    Json test = Json::array();
    if (const auto list = ListOf(rest)) {
      test.push_back("CMD");
      for (const std::string& word : *list) test.push_back(word);
    } else {
      test.push_back("CMD-SHELL");
      test.push_back(rest);
    }
    check["Test"] = std::move(test);
  } else {
    return Invalid("Unknown type " + Quoted(kind) +
                   " in HEALTHCHECK (try CMD)");
  }
  config["Healthcheck"] = std::move(check);
  return OkStatus();
}

// One line. `has_command`: a CMD came before.
class Changer {
 public:
  explicit Changer(Json& config) : config_(config) {}

  Status Apply(const std::string& line) {
    const std::string_view text = Trim(line);
    const size_t blank = std::min(text.find_first_of(" \t"), text.size());
    const std::string name = Upper(text.substr(0, blank));
    const std::string_view rest = Trim(text.substr(blank));
    using Instruction = Status (Changer::*)(std::string_view);
    static const auto& all = *new std::map<std::string, Instruction>{
        {"CMD", &Changer::Command},       {"ENTRYPOINT", &Changer::EntryPoint},
        {"ENV", &Changer::Environment},   {"LABEL", &Changer::Label},
        {"EXPOSE", &Changer::Expose},     {"VOLUME", &Changer::Volume},
        {"ONBUILD", &Changer::OnBuild},   {"STOPSIGNAL", &Changer::StopSignal},
        {"USER", &Changer::User},         {"WORKDIR", &Changer::WorkDir},
        {"HEALTHCHECK", &Changer::Health}};
    const auto found = all.find(name);
    if (found == all.end()) {
      return InvalidArgument(name + " is not a valid change command");
    }
    if (rest.empty()) {
      return Invalid(name + " requires at least one argument");
    }
    return (this->*found->second)(rest);
  }

 private:
  Status Command(std::string_view rest) {
    config_["Cmd"] = CommandOf(rest, config_);
    has_command_ = true;
    return OkStatus();
  }
  Status EntryPoint(std::string_view rest) {
    config_["Entrypoint"] = CommandOf(rest, config_);
    if (!has_command_) config_["Cmd"] = nullptr;
    return OkStatus();
  }
  Status Environment(std::string_view rest) {
    ASSIGN_OR_RETURN(const auto pairs, PairsOf("ENV", rest));
    for (const auto& [name, value] : pairs) SetVariable(config_, name, value);
    return OkStatus();
  }
  Status Label(std::string_view rest) {
    ASSIGN_OR_RETURN(const auto pairs, PairsOf("LABEL", rest));
    for (const auto& [name, value] : pairs) config_["Labels"][name] = value;
    return OkStatus();
  }
  Status Expose(std::string_view rest) {
    ASSIGN_OR_RETURN(const auto words, WordsOf(rest));
    for (const std::string& word : words) {
      RETURN_IF_ERROR(AddPorts(word, config_["ExposedPorts"]));
    }
    return OkStatus();
  }
  Status Volume(std::string_view rest) {
    ASSIGN_OR_RETURN(std::vector<std::string> words, WordsOf(rest));
    if (auto list = ListOf(rest)) words = *std::move(list);
    for (const std::string& word : words) {
      if (word.empty())
        return Invalid("VOLUME specified can not be an empty string");
      config_["Volumes"][word] = Json::object();
    }
    return OkStatus();
  }
  Status OnBuild(std::string_view rest) {
    if (!config_["OnBuild"].is_array()) config_["OnBuild"] = Json::array();
    config_["OnBuild"].push_back(rest);
    return OkStatus();
  }
  Status StopSignal(std::string_view rest) {
    config_["StopSignal"] = rest;
    return OkStatus();
  }
  Status User(std::string_view rest) {
    config_["User"] = rest;
    return OkStatus();
  }
  Status WorkDir(std::string_view rest) {
    const std::string before = config_.Text("WorkingDir");
    config_["WorkingDir"] = StartsWith(rest, "/")
                                ? std::string(rest)
                                : before + "/" + std::string(rest);
    return OkStatus();
  }
  Status Health(std::string_view rest) { return SetHealthcheck(rest, config_); }

  Json& config_;
  bool has_command_ = false;
};

}  // namespace

Status ApplyImageChanges(const std::vector<std::string>& changes,
                         Json& config) {
  Changer changer(config);
  for (const std::string& all : changes) {
    for (const std::string& line : Split(all, '\n')) {
      if (Trim(line).empty()) continue;
      RETURN_IF_ERROR(changer.Apply(line));
    }
  }
  return OkStatus();
}

void MergeContainerConfig(const Json& container, Json& config) {
  for (const char* text : {"User", "WorkingDir", "StopSignal"}) {
    if (!container.Text(text).empty()) config[text] = container.Text(text);
  }
  const bool has_entry_point = container.Find("Entrypoint") != nullptr;
  for (const char* member : {"Entrypoint", "Healthcheck", "Shell"}) {
    const Json* const value = container.Find(member);
    if (value != nullptr) config[member] = *value;
  }
  const Json* const command = container.Find("Cmd");
  if (command != nullptr) {
    config["Cmd"] = *command;
  } else if (has_entry_point) {
    config["Cmd"] = nullptr;
  }
  for (const char* map : {"ExposedPorts", "Volumes", "Labels"}) {
    const Json* const members = container.Find(map);
    if (members == nullptr) continue;
    for (const auto& [name, value] : members->members()) {
      config[map][name] = value;
    }
  }
  if (const Json* const variables = container.Find("Env")) {
    for (const Json& one : variables->elements()) {
      const std::string text = one.AsText() == nullptr ? "" : *one.AsText();
      const size_t equals = text.find('=');
      if (equals == std::string::npos) continue;
      SetVariable(config, text.substr(0, equals), text.substr(equals + 1));
    }
  }
}

}  // namespace berth::docker
