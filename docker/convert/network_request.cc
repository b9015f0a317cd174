#include "docker/convert/network_request.h"

#include <cctype>
#include <set>
#include <utility>

#include "base/strings.h"
#include "cni/user/subnet.h"
#include "docker/convert/is_unset.h"
#include "docker/convert/member_names.h"
#include "docker/convert/network_options.h"

namespace berth::docker {
namespace {

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
    member.Get("Subnet", subnet.subnet);
    member.Get("IPRange", subnet.range);
    member.Get("Gateway", subnet.gateway);
    member.Get("AuxiliaryAddresses", subnet.reserved);
    RETURN_IF_ERROR(member.status());
    if (subnet.subnet.empty()) {
      if (subnet.range.empty() && subnet.gateway.empty() &&
          subnet.reserved.empty()) {
        continue;
      }
      return InvalidArgument(
          "invalid network config: a range or a gateway needs a subnet");
    }
    ASSIGN_OR_RETURN(const cni::Subnet parsed,
                     cni::Subnet::Parse(subnet.subnet));
    if (!families.insert(parsed.v6()).second) {
      return Forbidden("bridge driver doesn't support multiple subnets");
    }
    if (!parsed.v6() && !network.ipv4) {
      return InvalidArgument("IPAM.Config.Subnet: " + subnet.subnet +
                             " needs EnableIPv4");
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

Status ReadFlags(JsonReader& reader, cni::UserNetwork& network) {
  bool flag = false;
  bool ingress = false;
  std::string scope;
  reader.Get("Internal", network.internal);
  reader.Get("Attachable", network.attachable);
  reader.Get("EnableIPv6", network.ipv6);
  reader.Get("EnableIPv4", network.ipv4);
  reader.Get("Scope", scope);
  reader.Get("CheckDuplicate", flag);
  reader.Get("Ingress", ingress);
  reader.Get("ConfigOnly", network.config_only);
  RETURN_IF_ERROR(reader.status());
  if (ingress) {
    return Forbidden("Ingress network can only be global scope network");
  }
  if (scope == "swarm" || scope == "global") {
    return Forbidden("cannot create a " + scope +
                     " scoped network when swarm is not active");
  }
  if (const Json* const from = reader.Find("ConfigFrom")) {
    JsonReader member(*from, "ConfigFrom");
    member.Get("Network", network.config_from);
    RETURN_IF_ERROR(member.status());
  }
  if (!network.ipv4 && !network.ipv6 && network.config_from.empty()) {
    return InvalidArgument("IPv4 or IPv6 must be enabled");
  }
  if (!scope.empty() && scope != "local") {
    return InvalidArgument("invalid scope " + Quoted(scope));
  }
  return OkStatus();
}

// What a network of settings alone, and one made by it, cannot have.
Status CheckConfiguration(const cni::UserNetwork& network) {
  if (network.config_only && (network.internal || network.attachable)) {
    return Forbidden(
        "configuration network can only contain network specific fields. "
        "Network operator fields like [ ingress | internal | attachable | "
        "scope ] are not supported.");
  }
  if (network.config_from.empty()) return OkStatus();
  if (network.config_only) {
    return Forbidden(
        "a configuration network cannot depend on another configuration "
        "network");
  }
  if (!network.subnets.empty() || !network.labels.empty() || network.ipv6 ||
      !network.ipv4 || !network.ipam_options.empty()) {
    return Forbidden(
        "user specified configurations are not supported if the network "
        "depends on a configuration network");
  }
  if (!network.options.empty()) {
    return Forbidden(
        "network driver options are not supported if the network depends on a "
        "configuration network");
  }
  return OkStatus();
}

StatusOr<std::string> DriverOf(const std::string& asked) {
  if (asked == "host" || asked == "null") {
    return Forbidden("only one instance of \"" + asked +
                     "\" network is allowed");
  }
  if (asked == "overlay") {
    return Forbidden(
        "This node is not a swarm manager. Use \"docker swarm init\" or "
        "\"docker swarm join\" to connect this node to swarm and try again.");
  }
  if (asked == "macvlan" || asked == "ipvlan") return asked;
  if (asked.empty() || asked == "default" || asked == "bridge") {
    return std::string("bridge");
  }
  return NotFound("could not find plugin " + asked +
                  " in v1 plugin registry: plugin \"" + asked + "\" not found");
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

Status CheckLinkLocal(const std::vector<std::string>& addresses) {
  static const auto& v4 = *new StatusOr(cni::Subnet::Parse("169.254.0.0/16"));
  static const auto& v6 = *new StatusOr(cni::Subnet::Parse("fe80::/64"));
  for (const std::string& address : addresses) {
    if (!v4->Contains(address) && !v6->Contains(address)) {
      return InvalidArgument("invalid link-local IP address: " + address);
    }
  }
  return OkStatus();
}

constexpr char kInterfaceOption[] = "com.docker.network.endpoint.ifname";
constexpr char kSysctlsOption[] = "com.docker.network.endpoint.sysctls";

// "net.ipv4.conf.IFNAME.log_martians=1,...".
Status ReadSysctls(const std::string& text, EndpointRequest& request) {
  for (const std::string& entry : Split(text, ',')) {
    const size_t equals = entry.find('=');
    std::vector<std::string> parts = Split(entry.substr(0, equals), '.');
    if (equals == std::string::npos || parts.size() < 5 || parts[0] != "net" ||
        Lower(parts[3]) != "ifname" || entry.find('/') != std::string::npos) {
      return InvalidArgument(
          "invalid endpoint settings: unrecognised network sysctl '" + entry +
          "'; represent 'net.X.Y.ethN.Z=V' as 'net.X.Y.IFNAME.Z=V'");
    }
    parts[3] = "IFNAME";  // the CLI sends small letters
    request.sysctls[Join(parts, "/")] = entry.substr(equals + 1);
  }
  return OkStatus();
}

// Those of other names are kept, as Docker does.
Status ReadEndpointOptions(EndpointRequest& request) {
  for (const auto& [key, value] : request.driver_options) {
    if (key == kSysctlsOption) RETURN_IF_ERROR(ReadSysctls(value, request));
    if (key != kInterfaceOption) continue;
    if (!IsInterfaceName(value)) {
      return InvalidArgument("invalid endpoint settings: interface name " +
                             Quoted(value));
    }
    request.interface = value;
  }
  return OkStatus();
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
  if (!network.config_only || !driver.empty()) {
    ASSIGN_OR_RETURN(network.driver, DriverOf(driver));
  }
  if (const Json* const ipam = reader.Find("IPAM")) {
    RETURN_IF_ERROR(ReadSubnets(*ipam, network));
  }
  RETURN_IF_ERROR(CheckConfiguration(network));
  // Its options are for a driver that is not known yet.
  if (network.config_only) {
    network.driver = "null";
    return network;
  }
  RETURN_IF_ERROR(ReadNetworkOptions(network));
  return network;
}

StatusOr<cni::UserNetwork> ConfiguredBy(const cni::UserNetwork& source,
                                        cni::UserNetwork network) {
  network.ipv4 = source.ipv4;
  network.ipv6 = source.ipv6;
  network.labels = source.labels;
  network.options = source.options;
  network.subnets = source.subnets;
  network.ipam_driver = source.ipam_driver;
  network.ipam_options = source.ipam_options;
  RETURN_IF_ERROR(ReadNetworkOptions(network));
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
    addresses.Get("LinkLocalIPs", request.link_local_ips);
    RETURN_IF_ERROR(addresses.status());
  }
  RETURN_IF_ERROR(CheckLinkLocal(request.link_local_ips));
  RETURN_IF_ERROR(CheckAddress(request.ipv4, false));
  RETURN_IF_ERROR(CheckAddress(request.ipv6, true));
  reader.Get("DriverOpts", request.driver_options);
  RETURN_IF_ERROR(reader.status());
  RETURN_IF_ERROR(ReadEndpointOptions(request));
  return request;
}

}  // namespace berth::docker
