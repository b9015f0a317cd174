// HostConfig.LogConfig: what becomes of a container's output.
#include <map>
#include <optional>
#include <set>
#include <string>

#include "base/strings.h"
#include "docker/convert/go_bool.h"
#include "docker/convert/host_field.h"
#include "docker/convert/log_tag.h"
#include "docker/convert/patterns.h"

namespace berth::docker {
namespace {

// Each line of the log is marked with them.
constexpr size_t kMostAttributes = 16 << 10;

using Options = std::map<std::string, std::string>;
using Apply = Status (*)(const std::string& value, CreateRequest& request);

std::set<std::string> Names(const std::string& list) {
  const std::vector<std::string> names = Split(list, ',');
  return {names.begin(), names.end()};
}

state::v1::LogConfig& LogOf(CreateRequest& request) {
  return *request.container.mutable_log();
}

template <typename Wanted>
void MarkWithLabels(const Wanted& wanted, CreateRequest& request) {
  for (const auto& [name, value] : request.container.labels()) {
    if (wanted(name)) (*LogOf(request).mutable_tags())[name] = value;
  }
}

template <typename Wanted>
void MarkWithEnv(const Wanted& wanted, CreateRequest& request) {
  for (const auto& variable : request.container.env()) {
    if (variable.unset() || !wanted(variable.name())) continue;
    (*LogOf(request).mutable_tags())[variable.name()] = variable.value();
  }
}

Status Labels(const std::string& value, CreateRequest& request) {
  const std::set<std::string> names = Names(value);
  MarkWithLabels([&](auto& name) { return names.count(name) > 0; }, request);
  return OkStatus();
}

Status LabelsRegex(const std::string& value, CreateRequest& request) {
  const Patterns patterns = Patterns::Expressions({value});
  MarkWithLabels([&](auto& name) { return patterns.Match(name); }, request);
  return OkStatus();
}

Status Env(const std::string& value, CreateRequest& request) {
  const std::set<std::string> names = Names(value);
  MarkWithEnv([&](auto& name) { return names.count(name) > 0; }, request);
  return OkStatus();
}

Status EnvRegex(const std::string& value, CreateRequest& request) {
  const Patterns patterns = Patterns::Expressions({value});
  MarkWithEnv([&](auto& name) { return patterns.Match(name); }, request);
  return OkStatus();
}

Status Tag(const std::string& value, CreateRequest& request) {
  RETURN_IF_ERROR(CheckLogTag(value));
  request.log_tag = value;
  return OkStatus();
}

Status MaxSize(const std::string& value, CreateRequest& request) {
  ASSIGN_OR_RETURN(const int64_t size, ParseBytes(value, "max-size"));
  LogOf(request).set_max_size(size);
  return OkStatus();
}

Status MaxFile(const std::string& value, CreateRequest& request) {
  const auto files = ParseUint(value);
  if (!files.has_value() || *files == 0 || *files > 1000) {
    return InvalidArgument("HostConfig.LogConfig: max-file: " + Quoted(value));
  }
  LogOf(request).set_max_files(static_cast<uint32_t>(*files));
  return OkStatus();
}

Status Compress(const std::string& value, CreateRequest& request) {
  const std::optional<bool> compress = ParseGoBool(value);
  if (!compress.has_value()) {
    return InvalidArgument("HostConfig.LogConfig: compress: " + Quoted(value));
  }
  LogOf(request).set_compress(*compress);
  return OkStatus();
}

// The shim writes to a file and never waits for a reader.
Status Mode(const std::string& value, CreateRequest&) {
  if (value == "blocking" || value == "non-blocking") return OkStatus();
  return InvalidArgument("logger: logging mode not supported: " + value);
}

Status BufferSize(const std::string& value, CreateRequest&) {
  return ParseBytes(value, "max-buffer-size").status();
}

Status SyslogAddress(const std::string& value, CreateRequest& request) {
  return ReadSyslogAddress(value, request.forward);
}
Status SyslogFormat(const std::string& value, CreateRequest& request) {
  return ReadSyslogFormat(value, request.forward);
}
Status SyslogFacility(const std::string& value, CreateRequest& request) {
  return ReadSyslogFacility(value, request.forward);
}

// Of the file that docker logs reads.
Status CacheDisabled(const std::string& value, CreateRequest& request) {
  const std::optional<bool> disabled = ParseGoBool(value);
  if (!disabled.has_value()) {
    return InvalidArgument("HostConfig.LogConfig: cache-disabled: " +
                           Quoted(value));
  }
  request.forward.keep_file = !*disabled;
  return OkStatus();
}

const std::map<std::string, Apply>& OptionsOf(const std::string& type) {
  static const auto& local = *new std::map<std::string, Apply>{
      {"compress", Compress}, {"max-buffer-size", BufferSize},
      {"max-file", MaxFile},  {"max-size", MaxSize},
      {"mode", Mode},
  };
  static const auto& json_file = *new std::map<std::string, Apply>([] {
    std::map<std::string, Apply> all = local;
    all.insert({{"env", Env},
                {"env-regex", EnvRegex},
                {"labels", Labels},
                {"labels-regex", LabelsRegex},
                {"tag", Tag}});
    return all;
  }());
  static const auto& journald = *new std::map<std::string, Apply>{
      {"cache-compress", Compress},
      {"cache-disabled", CacheDisabled},
      {"cache-max-file", MaxFile},
      {"cache-max-size", MaxSize},
      {"env", Env},
      {"env-regex", EnvRegex},
      {"labels", Labels},
      {"labels-regex", LabelsRegex},
      {"max-buffer-size", BufferSize},
      {"mode", Mode},
      {"tag", Tag},
  };
  static const auto& syslog = *new std::map<std::string, Apply>([] {
    std::map<std::string, Apply> all = journald;
    all.insert({{"syslog-address", SyslogAddress},
                {"syslog-facility", SyslogFacility},
                {"syslog-format", SyslogFormat}});
    return all;
  }());
  static const auto& none = *new std::map<std::string, Apply>();
  if (type == "syslog") return syslog;
  if (type == "journald") return journald;
  if (type == "none") return none;
  return type == "local" ? local : json_file;
}

Status ApplyOptions(const std::string& type, const Options& options,
                    CreateRequest& request) {
  const std::map<std::string, Apply>& known = OptionsOf(type);
  for (const auto& [key, value] : options) {
    const auto found = known.find(key);
    if (found == known.end()) {
      return InvalidArgument("unknown log opt '" + key + "' for " + type +
                             " log driver");
    }
    RETURN_IF_ERROR(found->second(value, request));
  }
  return OkStatus();
}

}  // namespace

Status ConvertLog(const Field& field) {
  const Json* const json = field.reader.Find("LogConfig");
  if (json == nullptr) return OkStatus();
  JsonReader reader(*json, "HostConfig.LogConfig");
  std::string type;
  Options options;
  reader.Get("Type", type);
  reader.Get("Config", options);
  RETURN_IF_ERROR(reader.status());
  if (type.empty()) type = "json-file";
  const bool forwards = type == "syslog" || type == "journald";
  if (type != "json-file" && type != "local" && type != "none" && !forwards) {
    return field.Unsupported(type);
  }
  state::v1::LogConfig& log = LogOf(field.request);
  log.set_format(state::v1::LOG_FORMAT_JSON_FILE);
  if (forwards) {
    field.request.forward.driver = type;
    field.request.log_tag = "{{.ID}}";
  }
  if (type == "local" || forwards) {
    // Its own format is nobody's business, its bounds are.
    log.set_max_size(20 << 20);
    log.set_max_files(5);
  }
  RETURN_IF_ERROR(ApplyOptions(type, options, field.request));
  if (log.max_size() > 0 && log.max_files() == 0) log.set_max_files(1);
  if (log.compress() && (log.max_size() <= 0 || log.max_files() < 2)) {
    return InvalidArgument(
        "compress cannot be true when max-file is less than 2 or max-size is "
        "not set");
  }
  size_t bytes = field.request.log_tag.size();
  for (const auto& [name, value] : log.tags()) {
    bytes += name.size() + value.size();
  }
  if (bytes > kMostAttributes) {
    return field.Invalid("labels and variables of over 16 KiB");
  }
  return OkStatus();
}

}  // namespace berth::docker
