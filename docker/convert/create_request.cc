#include "docker/convert/create_request.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "base/strings.h"
#include "base/sys/process.h"
#include "docker/convert/healthcheck.h"
#include "docker/convert/host_field.h"
#include "docker/convert/is_unset.h"

namespace berth::docker {
namespace {

// A null is how many clients write "not set".
Json WithoutNulls(const Json& object) {
  if (!object.is_object()) return object;
  Json copy = Json::object();
  for (const auto& [key, value] : object.members()) {
    if (!value.is_null()) copy[key] = value;
  }
  return copy;
}

Json ConfigOf(const Json& body) {
  Json config = Json::object();
  for (const auto& [key, value] : body.members()) {
    if (ConfigMembers().count(key) > 0) config[key] = value;
  }
  return WithoutNulls(config);
}

// What was asked for, then of the image what that does not name.
std::vector<std::string> MergeEnv(const state::v1::ImageConfig& image,
                                  const std::vector<std::string>& asked) {
  std::vector<std::string> merged = asked;
  std::set<std::string> named;
  for (const std::string& entry : asked) {
    named.insert(entry.substr(0, entry.find('=')));
  }
  for (const std::string& entry : image.env()) {
    if (named.count(entry.substr(0, entry.find('='))) == 0) {
      merged.push_back(entry);
    }
  }
  return merged;
}

// A name alone takes the variable away, the image's as well.
void SetEnv(const std::vector<std::string>& env,
            state::v1::ContainerConfig& container) {
  for (const std::string& entry : env) {
    const size_t equals = entry.find('=');
    auto* variable = container.add_env();
    variable->set_name(entry.substr(0, equals));
    if (equals == std::string::npos) {
      variable->set_unset(true);
    } else {
      variable->set_value(entry.substr(equals + 1));
    }
  }
}

// A list of words, or one text that is the only word of one.
std::vector<std::string> Words(JsonReader& reader, const char* member) {
  const Json* const found = reader.Find(member);
  if (found != nullptr && found->is_string()) return {*found->AsText()};
  std::vector<std::string> words;
  reader.Get(member, words);
  return words;
}

// Entrypoint and Cmd, the image's where the request has none. An Entrypoint
// that has words drops the image's Cmd; [] drops the image's Entrypoint alone,
// and [""] is no entrypoint that drops both.
Status SetCommand(JsonReader& reader, const state::v1::ImageConfig& image,
                  CreateRequest& request) {
  std::vector<std::string> entrypoint = Words(reader, "Entrypoint");
  std::vector<std::string> command = Words(reader, "Cmd");
  RETURN_IF_ERROR(reader.status());
  if (entrypoint.empty() && command.empty()) {
    command.assign(image.cmd().begin(), image.cmd().end());
  }
  if (!reader.Has("Entrypoint")) {
    entrypoint.assign(image.entrypoint().begin(), image.entrypoint().end());
  }
  if (entrypoint.size() == 1 && entrypoint[0].empty()) entrypoint.clear();
  std::vector<std::string> all = entrypoint;
  all.insert(all.end(), command.begin(), command.end());
  if (all.empty()) return InvalidArgument("no command specified");
  for (const std::string& word : all) request.container.add_command(word);
  request.config["Entrypoint"] = entrypoint.empty() ? Json() : Json(entrypoint);
  request.config["Cmd"] = command.empty() ? Json() : Json(command);
  return OkStatus();
}

Status SetStop(JsonReader& reader, const state::v1::ImageConfig& image,
               CreateRequest& request) {
  std::string name;
  reader.Get("StopSignal", name);
  if (name.empty()) name = image.stop_signal();
  if (!name.empty()) request.config["StopSignal"] = name;
  std::optional<int64_t> timeout;
  reader.Get("StopTimeout", timeout);
  RETURN_IF_ERROR(reader.status());
  if (!name.empty()) {
    const StatusOr<int> signal = ParseSignal(name);
    if (!signal.ok()) return InvalidArgument("Invalid signal: " + name);
    request.container.set_stop_signal(*signal);
  }
  if (timeout.has_value()) request.container.set_stop_timeout(*timeout);
  return OkStatus();
}

Status SetLabels(JsonReader& reader, const state::v1::ImageConfig& image,
                 CreateRequest& request) {
  std::map<std::string, std::string> labels(image.labels().begin(),
                                            image.labels().end());
  std::map<std::string, std::string> asked;
  reader.Get("Labels", asked);
  RETURN_IF_ERROR(reader.status());
  for (auto& [key, value] : asked) labels[key] = value;
  for (const auto& [key, value] : labels) {
    (*request.container.mutable_labels())[key] = value;
    (*request.sandbox.mutable_labels())[key] = value;
  }
  request.config["Labels"] = labels;
  return OkStatus();
}

// Adds names to a member that is a set of them: {"8080/tcp": {}}.
template <typename Names>
void AddToSet(const Names& names, const char* member, Json& config) {
  if (names.empty()) return;
  Json& set = config[member];
  for (const std::string& name : names) {
    if (set.Find(name) == nullptr) set[name] = Json::object();
  }
}

// Of what is only kept: inspect must be able to show it.
Status CheckTypes(JsonReader& reader) {
  bool flag = false;
  std::string text;
  std::vector<std::string> list;
  for (const char* member : {"ArgsEscaped", "AttachStderr", "AttachStdin",
                             "AttachStdout", "NetworkDisabled"}) {
    reader.Get(member, flag);
  }
  for (const char* member : {"Image", "MacAddress"}) reader.Get(member, text);
  reader.Get("OnBuild", list);
  (void)Words(reader, "Shell");
  return reader.status();
}

// Members that mean something we do not do.
Status CheckRest(const Json& body) {
  static const auto& known =
      *new std::set<std::string>{"HostConfig", "NetworkingConfig", "name"};
  for (const auto& [key, value] : body.members()) {
    if (ConfigMembers().count(key) > 0 || known.count(key) > 0) continue;
    if (!IsUnset(value)) return Unimplemented(key + " is not supported");
  }
  return CheckHealthcheck(body);
}

Status SetEndpoints(const Json& body, CreateRequest& request) {
  const Json* const networking = body.Find("NetworkingConfig");
  if (networking == nullptr) return OkStatus();
  JsonReader reader(*networking, "NetworkingConfig");
  const Json::Object& endpoints = reader.Object("EndpointsConfig");
  RETURN_IF_ERROR(reader.status());
  for (const auto& [network, json] : endpoints) {
    ASSIGN_OR_RETURN(EndpointRequest endpoint, ConvertEndpoint(network, json));
    request.endpoints.push_back(std::move(endpoint));
  }
  return OkStatus();
}

// Of clients before API 1.44: that of the endpoint which NetworkMode names.
Status SetMac(JsonReader& reader, CreateRequest& request) {
  std::string mac;
  reader.Get("MacAddress", mac);
  RETURN_IF_ERROR(reader.status());
  if (mac.empty()) return OkStatus();
  ASSIGN_OR_RETURN(request.mac, ParseMac(mac));
  return OkStatus();
}

}  // namespace

const std::set<std::string>& ConfigMembers() {
  static const auto& members = *new std::set<std::string>{
      "ArgsEscaped",  "AttachStderr", "AttachStdin",
      "AttachStdout", "Cmd",          "Domainname",
      "Entrypoint",   "Env",          "ExposedPorts",
      "Healthcheck",  "Hostname",     "Image",
      "Labels",       "MacAddress",   "NetworkDisabled",
      "OnBuild",      "OpenStdin",    "Shell",
      "StdinOnce",    "StopSignal",   "StopTimeout",
      "Tty",          "User",         "Volumes",
      "WorkingDir"};
  return members;
}

StatusOr<int64_t> ParseBytes(const std::string& text, const std::string& what) {
  std::string digits = Lower(Trim(text));
  if (EndsWith(digits, "b")) digits.pop_back();
  int shift = 0;
  if (!digits.empty()) {
    const size_t unit = std::string("kmgt").find(digits.back());
    if (unit != std::string::npos) {
      shift = 10 * (static_cast<int>(unit) + 1);
      digits.pop_back();
    }
  }
  const std::optional<uint64_t> number = ParseUint(digits);
  if (!number.has_value() || *number > (uint64_t{1} << 62) >> shift) {
    return InvalidArgument(what + ": invalid size: '" + text + "'");
  }
  return static_cast<int64_t>(*number << shift);
}

StatusOr<CreateRequest> ConvertCreate(const Json& written,
                                      const state::v1::ImageConfig& image) {
  const Json body = CreateShape().Spell(written);
  CreateRequest request;
  request.config = ConfigOf(body);
  const Json* const host = body.Find("HostConfig");
  request.host_config = host == nullptr ? Json::object() : WithoutNulls(*host);
  RETURN_IF_ERROR(CheckRest(body));
  RETURN_IF_ERROR(SetEndpoints(body, request));
  const Json* const disabled = body.Find("NetworkDisabled");
  if (disabled != nullptr && disabled->AsBool().value_or(false)) {
    request.host_config["NetworkMode"] = "none";
  }

  state::v1::SandboxConfig& sandbox = request.sandbox;
  state::v1::ContainerConfig& container = request.container;
  sandbox.set_kind(state::v1::SANDBOX_KIND_STANDALONE);
  container.set_ignore_image_volumes(true);

  JsonReader reader(request.config, "Config");
  RETURN_IF_ERROR(CheckTypes(reader));
  RETURN_IF_ERROR(SetMac(reader, request));
  std::string text;
  reader.Get("Hostname", text);
  sandbox.set_hostname(text);
  text.clear();
  reader.Get("Domainname", text);
  sandbox.set_domainname(text);
  text.clear();
  reader.Get("User", text);
  if (text.empty()) text = image.user();
  container.mutable_security()->set_user(text);
  request.config["User"] = text;
  text.clear();
  reader.Get("WorkingDir", text);
  if (!text.empty() && text.front() != '/') {
    return InvalidArgument("the working directory '" + text +
                           "' is invalid, it needs to be an absolute path");
  }
  if (text.empty()) text = image.working_dir();
  container.set_working_dir(text);
  request.config["WorkingDir"] = text;
  bool flag = false;
  reader.Get("Tty", flag);
  container.set_tty(flag);
  flag = false;
  reader.Get("OpenStdin", flag);
  container.set_stdin(flag);
  flag = false;
  reader.Get("StdinOnce", flag);
  container.set_stdin_once(flag);
  std::vector<std::string> env;
  reader.Get("Env", env);
  RETURN_IF_ERROR(reader.status());
  env = MergeEnv(image, env);
  request.config["Env"] = env;
  SetEnv(env, container);

  RETURN_IF_ERROR(SetCommand(reader, image, request));
  RETURN_IF_ERROR(SetStop(reader, image, request));
  RETURN_IF_ERROR(SetLabels(reader, image, request));
  RETURN_IF_ERROR(ConvertHostConfig(request.host_config, request));
  RETURN_IF_ERROR(
      ConvertMounts(request.config, request.host_config, image, request));
  RETURN_IF_ERROR(
      ConvertPorts(request.config, request.host_config, image, request));
  AddToSet(image.volumes(), "Volumes", request.config);
  AddToSet(image.exposed_ports(), "ExposedPorts", request.config);
  return request;
}

}  // namespace berth::docker
