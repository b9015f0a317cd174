// Published ports of a create request.
#include <optional>
#include <set>
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
  if (parts.size() > 2) {
    return InvalidArgument("invalid port specification: \"" + text + "\"");
  }
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

// One element of PortBindings' lists. Host port 0 until the caller has found a
// free one.
Status AddBinding(const Port& port, const Json& binding,
                  CreateRequest& request) {
  JsonReader reader(binding, "HostConfig.PortBindings");
  std::string ip;
  std::string number;
  reader.Get("HostIp", ip);
  reader.Get("HostPort", number);
  RETURN_IF_ERROR(reader.status());
  auto* mapping = request.sandbox.add_port_mappings();
  mapping->set_protocol(port.protocol);
  mapping->set_container_port(port.number);
  mapping->set_host_ip(ip);
  if (number.empty() || number == "0") return OkStatus();
  const std::optional<uint32_t> parsed = PortNumber(number);
  if (parsed.has_value()) {
    mapping->set_host_port(*parsed);
    return OkStatus();
  }
  // The caller chooses one that is free.
  const size_t dash = number.find('-');
  if (dash != std::string::npos) {
    const auto first = PortNumber(number.substr(0, dash));
    const auto last = PortNumber(number.substr(dash + 1));
    if (first.has_value() && last.has_value() && *first <= *last) {
      request.port_ranges[request.sandbox.port_mappings_size() - 1] = {*first,
                                                                       *last};
      return OkStatus();
    }
  }
  return InvalidArgument("invalid port specification: \"" + number + "\"");
}

// "80/tcp" of the request and of the image.
StatusOr<std::set<std::string>> Exposed(const Json& config,
                                        const state::v1::ImageConfig& image) {
  std::set<std::string> exposed(image.exposed_ports().begin(),
                                image.exposed_ports().end());
  JsonReader reader(config, "Config");
  for (const auto& [text, ignored] : reader.Object("ExposedPorts")) {
    RETURN_IF_ERROR(ParsePort(text).status());
    exposed.insert(text);
  }
  RETURN_IF_ERROR(reader.status());
  return exposed;
}

}  // namespace

Status ConvertPorts(const Json& config, const Json& host,
                    const state::v1::ImageConfig& image,
                    CreateRequest& request) {
  ASSIGN_OR_RETURN(const std::set<std::string> exposed, Exposed(config, image));
  JsonReader reader(host, "HostConfig");
  bool all = false;
  reader.Get("PublishAllPorts", all);
  const Json::Object& bindings = reader.Object("PortBindings");
  RETURN_IF_ERROR(reader.status());
  for (const auto& [text, list] : bindings) {
    ASSIGN_OR_RETURN(const Port port, ParsePort(text));
    if (!list.is_array() && !list.is_null()) {
      return InvalidArgument("HostConfig.PortBindings: not a list");
    }
    for (const Json& binding : list.elements()) {
      RETURN_IF_ERROR(AddBinding(port, binding, request));
    }
    // No binding at all is one that leaves everything open.
    if (list.empty()) {
      RETURN_IF_ERROR(AddBinding(port, Json::object(), request));
    }
  }
  if (!all) return OkStatus();
  for (const std::string& text : exposed) {
    if (bindings.count(text) > 0) continue;
    const StatusOr<Port> port = ParsePort(text);
    // The image's own may be anything.
    if (port.ok()) {
      RETURN_IF_ERROR(AddBinding(*port, Json::object(), request));
    }
  }
  return OkStatus();
}

}  // namespace berth::docker
