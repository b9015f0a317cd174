// Published ports of a create request.
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "docker/convert/create_request.h"

namespace berth::docker {
namespace {

using state::v1::Protocol;

struct Port {
  uint32_t number = 0;
  Protocol protocol = state::v1::PROTOCOL_TCP;
};

std::optional<uint32_t> PortNumber(const std::string& text) {
  const std::optional<uint64_t> number = ParseUint(text);
  if (!number.has_value() || *number == 0 || *number > 65535) {
    return std::nullopt;
  }
  return static_cast<uint32_t>(*number);
}

// "80/tcp"; "80" is tcp.
StatusOr<Port> ParsePort(const std::string& text) {
  const std::vector<std::string> parts = Split(text, '/');
  Port port;
  const std::string protocol = parts.size() == 2 ? Lower(parts[1]) : "tcp";
  if (protocol == "udp") {
    port.protocol = state::v1::PROTOCOL_UDP;
  } else if (protocol == "sctp") {
    port.protocol = state::v1::PROTOCOL_SCTP;
  } else if (protocol != "tcp") {
    return InvalidArgument("Invalid proto: " + protocol);
  }
  const std::optional<uint32_t> number =
      parts.empty() ? std::nullopt : PortNumber(parts[0]);
  if (!number.has_value()) {
    return InvalidArgument("invalid port specification: \"" + text + "\"");
  }
  port.number = *number;
  return port;
}

}  // namespace

Status ConvertPorts(const Json& config, const Json& host,
                    CreateRequest& request) {
  const auto exposed = config.find("ExposedPorts");
  if (exposed != config.end() && exposed->is_object()) {
    for (const auto& [text, ignored] : exposed->items()) {
      RETURN_IF_ERROR(ParsePort(text).status());
    }
  }
  const auto bindings = host.find("PortBindings");
  if (bindings == host.end() || bindings->is_null()) return OkStatus();
  if (!bindings->is_object()) {
    return InvalidArgument("HostConfig.PortBindings: not an object");
  }
  for (const auto& [text, list] : bindings->items()) {
    ASSIGN_OR_RETURN(const Port port, ParsePort(text));
    if (!list.is_array()) continue;
    for (const Json& element : list) {
      JsonReader reader(element, "HostConfig.PortBindings");
      std::string ip;
      std::string number;
      reader.Get("HostIp", ip);
      reader.Get("HostPort", number);
      RETURN_IF_ERROR(reader.status());
      auto* mapping = request.sandbox.add_port_mappings();
      mapping->set_protocol(port.protocol);
      mapping->set_container_port(port.number);
      mapping->set_host_ip(ip);
      // 0 until the caller has found a free one.
      if (number.empty() || number == "0") continue;
      const std::optional<uint32_t> parsed = PortNumber(number);
      if (!parsed.has_value()) {
        return number.find('-') != std::string::npos
                   ? Unimplemented(
                         "HostConfig.PortBindings.HostPort: ranges "
                         "are not supported")
                   : InvalidArgument("invalid port specification: \"" + number +
                                     "\"");
      }
      mapping->set_host_port(*parsed);
    }
  }
  return OkStatus();
}

}  // namespace berth::docker
