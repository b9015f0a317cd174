#include "docker/convert/log_forward.h"

#include <cctype>
#include <optional>

#include "base/strings.h"

namespace berth::docker {
namespace {

constexpr size_t kShortId = 12;
constexpr char kDefaultPort[] = "514";

bool IsPort(const std::string& text) {
  const std::optional<uint64_t> port = ParseUint(text);
  return port.has_value() && *port > 0 && *port <= 65535;
}

// "HOST", "HOST:PORT", "[IPV6]:PORT" as "HOST:PORT".
StatusOr<std::string> WithPort(const std::string& text) {
  std::string host = text;
  std::string port = kDefaultPort;
  if (StartsWith(text, "[")) {
    const size_t end = text.find(']');
    if (end == std::string::npos) host.clear();
    host = text.substr(1, end == std::string::npos ? 0 : end - 1);
    if (end != std::string::npos && end + 1 < text.size()) {
      port = text.substr(end + 2);
    }
  } else if (text.find(':') != std::string::npos) {
    host = text.substr(0, text.find(':'));
    port = text.substr(text.find(':') + 1);
  }
  if (host.empty() || !IsPort(port)) {
    return InvalidArgument("syslog-address: invalid host or port in " +
                           Quoted(text));
  }
  return host + ":" + port;
}

// A name of the journal's: capital letters, digits and "_", which it does not
// begin with (docker's sanitizeKeyMod).
std::string FieldName(const std::string& name) {
  std::string field;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    const char good = isalnum(byte) != 0 && byte < 128
                          ? static_cast<char>(toupper(byte))
                          : '_';
    if (!field.empty() || good != '_') field += good;
  }
  return field;
}

// systemd's journal-native protocol: a value of several lines has its length
// before it.
void AddField(const std::string& name, const std::string& value,
              std::string& fields) {
  if (name.empty()) return;
  fields += name;
  if (value.find('\n') == std::string::npos) {
    fields += "=" + value + "\n";
    return;
  }
  fields += '\n';
  uint64_t size = value.size();
  for (int i = 0; i < 8; ++i, size >>= 8) {
    fields += static_cast<char>(size & 0xff);
  }
  fields += value + "\n";
}

}  // namespace

Status ReadSyslogAddress(const std::string& value, LogForward& forward) {
  const size_t colon = value.find("://");
  const std::string kind = value.substr(0, colon);
  const std::string rest =
      colon == std::string::npos ? "" : value.substr(colon + 3);
  if (value.empty()) return OkStatus();
  if (kind == "tcp+tls") {
    return Unimplemented("syslog-address: " + Quoted(value) +
                         ": TLS is not supported");
  }
  if (kind == "unix" || kind == "unixgram") {
    if (!StartsWith(rest, "/")) {
      return InvalidArgument("syslog-address: no absolute path in " +
                             Quoted(value));
    }
    forward.address = kind + ":" + rest;
    return OkStatus();
  }
  if ((kind != "udp" && kind != "tcp") || rest.empty()) {
    return InvalidArgument(
        "syslog-address should be in form proto://address, got " + value);
  }
  ASSIGN_OR_RETURN(const std::string host, WithPort(rest));
  forward.address = kind + ":" + host;
  return OkStatus();
}

Status ReadSyslogFormat(const std::string& value, LogForward& forward) {
  if (value.empty()) return OkStatus();
  if (value != "rfc3164" && value != "rfc5424" && value != "rfc5424micro") {
    return InvalidArgument("Invalid syslog format");
  }
  forward.format = value;
  return OkStatus();
}

Status ReadSyslogFacility(const std::string& value, LogForward& forward) {
  static const auto& names = *new std::map<std::string, uint32_t>{
      {"kern", 0},    {"user", 1},    {"mail", 2},      {"daemon", 3},
      {"auth", 4},    {"syslog", 5},  {"lpr", 6},       {"news", 7},
      {"uucp", 8},    {"cron", 9},    {"authpriv", 10}, {"ftp", 11},
      {"local0", 16}, {"local1", 17}, {"local2", 18},   {"local3", 19},
      {"local4", 20}, {"local5", 21}, {"local6", 22},   {"local7", 23}};
  if (value.empty()) return OkStatus();
  const auto found = names.find(value);
  const std::optional<uint64_t> number = ParseUint(value);
  if (found != names.end()) {
    forward.facility = found->second;
  } else if (number.has_value() && *number <= 23) {
    forward.facility = static_cast<uint32_t>(*number);
  } else {
    return InvalidArgument("invalid syslog facility");
  }
  return OkStatus();
}

std::string SyslogOption(const LogForward& forward, const std::string& tag,
                         const std::string& host) {
  return "syslog=" + HexEncode(forward.address) + ":" + forward.format + ":" +
         std::to_string(forward.facility) + ":" + HexEncode(tag) + ":" +
         HexEncode(host);
}

std::string JournalOption(
    const LogTagFields& container, const std::string& tag,
    const std::map<std::string, std::string>& attributes) {
  std::string fields;
  AddField("CONTAINER_ID", container.id.substr(0, kShortId), fields);
  AddField("CONTAINER_ID_FULL", container.id, fields);
  AddField("CONTAINER_NAME", container.name, fields);
  AddField("CONTAINER_TAG", tag, fields);
  AddField("IMAGE_NAME", container.image_name, fields);
  AddField("SYSLOG_IDENTIFIER", tag, fields);
  for (const auto& [name, value] : attributes) {
    AddField(FieldName(name), value, fields);
  }
  return "journal=" + HexEncode(fields);
}

}  // namespace berth::docker
