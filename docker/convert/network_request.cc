#include "docker/convert/network_request.h"

#include <cctype>
#include <set>
#include <utility>

#include "base/strings.h"
#include "cni/user/subnet.h"
#include "docker/convert/is_unset.h"
#include "docker/convert/member_names.h"

namespace berth::docker {
namespace {

constexpr int64_t kMaxMtu = 65535;

const Shape& NetworkShape() {
  static const Shape& shape = *new Shape(Shape::Struct(
      {{"Name", Shape()},
       {"Driver", Shape()},
       {"Scope", Shape()},
       {"Internal", Shape()},
       {"Attachable", Shape()},
       {"Ingress", Shape()},
       {"ConfigOnly", Shape()},
       {"ConfigFrom", Shape::Struct({"Network"})},
       {"CheckDuplicate", Shape()},
       {"EnableIPv4", Shape()},
       {"EnableIPv6", Shape()},
       {"Options", Shape()},
       {"Labels", Shape()},
       {"IPAM", Shape::Struct({{"Driver", Shape()},
                               {"Options", Shape()},
                               {"Config", Shape::Each(Shape::Struct(
                                              {"Subnet", "IPRange", "Gateway",
                                               "AuxiliaryAddresses"}))}})}}));
  return shape;
}

const Shape& EndpointShape() {
  static const Shape& shape = *new Shape(Shape::Struct(
      {{"IPAMConfig",
        Shape::Struct({"IPv4Address", "IPv6Address", "LinkLocalIPs"})},
       {"Links", Shape()},
       {"Aliases", Shape()},
       {"MacAddress", Shape()},
       {"DriverOpts", Shape()},
       {"GwPriority", Shape()},
       {"NetworkID", Shape()}}));
  return shape;
}

Status Forbidden(const std::string& why) {
  return Error(StatusCode::kPermissionDenied, why);
}

Status CheckName(const std::string& name) {
  if (name.empty()) return InvalidArgument("invalid name: name is empty");
  for (const char* predefined : {"bridge", "host", "none", "default"}) {
    if (name == predefined) {
      return Forbidden("operation is not permitted on predefined " + name +
                       " network");
    }
  }
  // It becomes a part of host names.
  for (const char c : name) {
    if (isalnum(static_cast<unsigned char>(c)) == 0 && c != '_' && c != '.' &&
        c != '-') {
      return InvalidArgument("invalid name " + Quoted(name) +
                             ": only [a-zA-Z0-9_.-] are allowed");
    }
  }
  return OkStatus();
}

Status ReadSubnets(const Json& ipam, cni::UserNetwork& network) {
  JsonReader reader(ipam, "IPAM");
  reader.Get("Driver", network.ipam_driver);
  reader.Get("Options", network.ipam_options);
  if (network.ipam_driver.empty()) network.ipam_driver = "default";
  if (network.ipam_driver != "default") {
    return NotFound("plugin " + Quoted(network.ipam_driver) + " not found");
  }
  std::set<bool> families;
  for (const Json& element : reader.Array("Config")) {
    JsonReader member(element, "IPAM.Config");
    cni::UserSubnet subnet;
    std::map<std::string, std::string> reserved;
    member.Get("Subnet", subnet.subnet);
    member.Get("IPRange", subnet.range);
    member.Get("Gateway", subnet.gateway);
    member.Get("AuxiliaryAddresses", reserved);
    RETURN_IF_ERROR(member.status());
    if (!reserved.empty()) {
      return Unimplemented("IPAM.Config.AuxiliaryAddresses is not supported");
    }
    if (subnet.subnet.empty()) {
      if (subnet.range.empty() && subnet.gateway.empty()) continue;
      return InvalidArgument(
          "invalid network config: a range or a gateway needs a subnet");
    }
    ASSIGN_OR_RETURN(const cni::Subnet parsed,
                     cni::Subnet::Parse(subnet.subnet));
    if (!families.insert(parsed.v6()).second) {
      return Unimplemented(
          "IPAM.Config: more than one subnet of a family is not supported");
    }
    if (parsed.v6() && !network.ipv6) {
      return InvalidArgument("IPAM.Config.Subnet: " + subnet.subnet +
                             " needs EnableIPv6");
    }
    subnet.asked = true;
    network.subnets.insert(
        parsed.v6() ? network.subnets.end() : network.subnets.begin(),
        std::move(subnet));
  }
  return reader.status();
}

bool IsIpv4(const std::string& text) {
  return text.find(':') == std::string::npos &&
         !cni::CanonicalAddress(text).empty();
}

bool IsTrue(const std::string& text) { return text == "true" || text == "1"; }

// The bridge driver's. Those of other names are kept, as Docker does.
Status ReadOptions(cni::UserNetwork& network) {
  for (const auto& [key, value] : network.options) {
    if (!StartsWith(key, "com.docker.network.")) continue;
    if (key == "com.docker.network.bridge.name") {
      if (value.empty() || value.size() > 15 ||
          value.find_first_of("/: \t\n!+") != std::string::npos ||
          value.front() == '-' || value.front() == '.') {
        return InvalidArgument("invalid bridge name " + Quoted(value));
      }
      network.bridge = value;
    } else if (key == "com.docker.network.driver.mtu") {
      network.mtu = ParseInt(value).value_or(-1);
      if (network.mtu < 0 || network.mtu > kMaxMtu) {
        return InvalidArgument("invalid MTU " + Quoted(value));
      }
    } else if (key == "com.docker.network.bridge.enable_ip_masquerade") {
      network.masquerade = IsTrue(value);
    } else if ((key == "com.docker.network.bridge.enable_icc" &&
                IsTrue(value)) ||
               (key == kHostBinding && (value.empty() || IsIpv4(value)))) {
      continue;
    } else {
      return Unimplemented("Options." + key + ": " + Quoted(value) +
                           " is not supported");
    }
  }
  return OkStatus();
}

Status ReadFlags(JsonReader& reader, cni::UserNetwork& network) {
  bool flag = false;
  bool ingress = false;
  bool config_only = false;
  bool ipv4 = true;
  std::string scope;
  reader.Get("Internal", network.internal);
  reader.Get("Attachable", network.attachable);
  reader.Get("EnableIPv6", network.ipv6);
  reader.Get("EnableIPv4", ipv4);
  reader.Get("Scope", scope);
  reader.Get("CheckDuplicate", flag);
  reader.Get("Ingress", ingress);
  reader.Get("ConfigOnly", config_only);
  RETURN_IF_ERROR(reader.status());
  if (ingress) {
    return Forbidden("Ingress network can only be global scope network");
  }
  if (scope == "swarm" || scope == "global") {
    return Forbidden("cannot create a " + scope +
                     " scoped network when swarm is not active");
  }
  if (config_only) return Unimplemented("ConfigOnly is not supported");
  const Json* const from = reader.Find("ConfigFrom");
  if (from != nullptr && !IsUnset(*from)) {
    return Unimplemented("ConfigFrom is not supported");
  }
  if (!ipv4) return Unimplemented("EnableIPv4: false is not supported");
  if (!scope.empty() && scope != "local") {
    return InvalidArgument("invalid scope " + Quoted(scope));
  }
  return OkStatus();
}

Status CheckAddress(const std::string& address, bool v6) {
  if (address.empty()) return OkStatus();
  if ((address.find(':') != std::string::npos) == v6 &&
      !cni::CanonicalAddress(address).empty()) {
    return OkStatus();
  }
  return InvalidArgument(std::string("invalid ") + (v6 ? "IPv6" : "IPv4") +
                         " address: " + address);
}

}  // namespace

StatusOr<cni::UserNetwork> ConvertNetwork(const Json& body) {
  const Json spelt = NetworkShape().Spell(body);
  JsonReader reader(spelt, "network");
  cni::UserNetwork network;
  reader.Get("Name", network.name);
  std::string driver;
  reader.Get("Driver", driver);
  reader.Get("Labels", network.labels);
  reader.Get("Options", network.options);
  RETURN_IF_ERROR(ReadFlags(reader, network));
  RETURN_IF_ERROR(CheckName(network.name));
  if (driver == "host" || driver == "null") {
    return Forbidden("only one instance of \"" + driver +
                     "\" network is allowed");
  }
  if (driver == "overlay") {
    return Forbidden(
        "This node is not a swarm manager. Use \"docker swarm init\" or "
        "\"docker swarm join\" to connect this node to swarm and try again.");
  }
  if (!driver.empty() && driver != "default" && driver != "bridge") {
    return NotFound("could not find plugin " + driver +
                    " in v1 plugin "
                    "registry: plugin \"" +
                    driver + "\" not found");
  }
  if (const Json* const ipam = reader.Find("IPAM")) {
    RETURN_IF_ERROR(ReadSubnets(*ipam, network));
  }
  RETURN_IF_ERROR(ReadOptions(network));
  return network;
}

StatusOr<std::map<std::string, std::string>> ParseLinks(
    const std::vector<std::string>& links) {
  std::map<std::string, std::string> by_alias;
  for (const std::string& link : links) {
    const std::vector<std::string> parts = Split(link, ':');
    if (parts.empty() || parts.size() > 2 || parts[0].empty()) {
      return InvalidArgument("invalid link format: " + link);
    }
    by_alias[parts.back()] = parts[0];
  }
  return by_alias;
}

StatusOr<std::string> ParseMac(const std::string& text) {
  const std::string mac = Lower(text);
  bool good = mac.size() == 17;
  for (size_t i = 0; good && i < mac.size(); ++i) {
    good = i % 3 == 2 ? mac[i] == ':'
                      : isxdigit(static_cast<unsigned char>(mac[i])) != 0;
  }
  if (!good) return InvalidArgument("invalid MAC address " + Quoted(text));
  return mac;
}

StatusOr<EndpointRequest> ConvertEndpoint(const std::string& network,
                                          const Json& json) {
  EndpointRequest request;
  request.network = network;
  if (json.is_null()) return request;
  const std::string path = "EndpointsConfig." + network;
  const Json spelt = EndpointShape().Spell(json);
  JsonReader reader(spelt, path);
  std::vector<std::string> ignored;
  std::vector<std::string> links;
  reader.Get("NetworkID", request.network_id);
  reader.Get("Aliases", request.aliases);
  reader.Get("GwPriority", request.gateway_priority);
  std::string mac;
  reader.Get("MacAddress", mac);
  reader.Get("Links", links);
  RETURN_IF_ERROR(reader.status());
  ASSIGN_OR_RETURN(request.links, ParseLinks(links));
  if (!mac.empty()) {
    ASSIGN_OR_RETURN(request.mac, ParseMac(mac));
  }
  if (const Json* const ipam = reader.Find("IPAMConfig")) {
    JsonReader addresses(*ipam, path + ".IPAMConfig");
    addresses.Get("IPv4Address", request.ipv4);
    addresses.Get("IPv6Address", request.ipv6);
    addresses.Get("LinkLocalIPs", ignored);
    RETURN_IF_ERROR(addresses.status());
  }
  if (!ignored.empty()) {
    return Unimplemented(path + ".IPAMConfig.LinkLocalIPs is not supported");
  }
  RETURN_IF_ERROR(CheckAddress(request.ipv4, false));
  RETURN_IF_ERROR(CheckAddress(request.ipv6, true));
  const Json* const options = reader.Find("DriverOpts");
  if (options != nullptr && !IsUnset(*options)) {
    return Unimplemented(path + ".DriverOpts is not supported");
  }
  return request;
}

}  // namespace berth::docker
