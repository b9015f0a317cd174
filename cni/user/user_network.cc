#include "cni/user/user_network.h"

#include <algorithm>
#include <utility>

#include "base/json.h"
#include "cni/user/subnet.h"

namespace berth::cni {
namespace {

// host-local's "ranges" of one subnet.
StatusOr<Json> RangesOf(const UserSubnet& subnet, bool any_address) {
  Json range = {{"subnet", subnet.subnet}, {"gateway", subnet.gateway}};
  if (!subnet.range.empty() && !any_address) {
    ASSIGN_OR_RETURN(const Subnet inner, Subnet::Parse(subnet.range));
    ASSIGN_OR_RETURN(const Subnet outer, Subnet::Parse(subnet.subnet));
    // The network's own address and the one for broadcasts are left out by
    // host-local itself.
    if (inner.Address(0) != outer.Address(0)) {
      range["rangeStart"] = inner.Address(0);
    }
    if (inner.Last() != outer.Last()) range["rangeEnd"] = inner.Last();
  }
  return Json::array({range});
}

}  // namespace

std::string SerializeUserNetwork(const UserNetwork& network) {
  Json subnets = Json::array();
  for (const UserSubnet& subnet : network.subnets) {
    subnets.push_back({{"subnet", subnet.subnet},
                       {"gateway", subnet.gateway},
                       {"range", subnet.range},
                       {"asked", subnet.asked}});
  }
  return DumpJson({{"id", network.id},
                   {"name", network.name},
                   {"created", network.created},
                   {"bridge", network.bridge},
                   {"mtu", network.mtu},
                   {"internal", network.internal},
                   {"masquerade", network.masquerade},
                   {"ipv6", network.ipv6},
                   {"subnets", subnets},
                   {"driver", network.driver},
                   {"attachable", network.attachable},
                   {"labels", network.labels},
                   {"options", network.options},
                   {"ipamDriver", network.ipam_driver},
                   {"ipamOptions", network.ipam_options}});
}

StatusOr<UserNetwork> ParseUserNetwork(const std::string& text) {
  ASSIGN_OR_RETURN(const Json json, ParseJson(text, "record of a network"));
  JsonReader reader(json, "record of a network");
  UserNetwork network;
  reader.Get("id", network.id);
  reader.Get("name", network.name);
  reader.Get("created", network.created);
  reader.Get("bridge", network.bridge);
  reader.Get("mtu", network.mtu);
  reader.Get("internal", network.internal);
  reader.Get("masquerade", network.masquerade);
  reader.Get("ipv6", network.ipv6);
  reader.Get("driver", network.driver);
  reader.Get("attachable", network.attachable);
  reader.Get("labels", network.labels);
  reader.Get("options", network.options);
  reader.Get("ipamDriver", network.ipam_driver);
  reader.Get("ipamOptions", network.ipam_options);
  for (const Json& element : reader.Array("subnets")) {
    JsonReader member(element, "record of a network");
    UserSubnet subnet;
    member.Get("subnet", subnet.subnet);
    member.Get("gateway", subnet.gateway);
    member.Get("range", subnet.range);
    member.Get("asked", subnet.asked);
    RETURN_IF_ERROR(member.status());
    network.subnets.push_back(std::move(subnet));
  }
  RETURN_IF_ERROR(reader.status());
  if (network.id.empty() || network.name.empty() || network.bridge.empty()) {
    return InvalidArgument("record of a network: it has no name");
  }
  return network;
}

StatusOr<ConfigList> ListOf(const UserNetwork& network,
                            const std::string& address_directory,
                            bool any_address) {
  Json ranges = Json::array();
  for (const UserSubnet& subnet : network.subnets) {
    ASSIGN_OR_RETURN(Json set, RangesOf(subnet, any_address));
    ranges.push_back(std::move(set));
  }
  Json ipam = {{"type", "host-local"}, {"ranges", ranges}};
  if (!address_directory.empty()) ipam["dataDir"] = address_directory;
  Json bridge = {
      {"type", "bridge"},    {"bridge", network.bridge},
      {"isGateway", true},   {"ipMasq", false},
      {"hairpinMode", true}, {"capabilities", {{"ips", true}, {"mac", true}}},
      {"ipam", ipam}};
  if (network.mtu > 0) bridge["mtu"] = network.mtu;
  const Json list = {
      {"cniVersion", "1.0.0"},
      {"name", network.id},
      {"plugins", Json::array({bridge,
                               {{"type", "portmap"},
                                {"capabilities", {{"portMappings", true}}}}})}};
  return ParseConfigList(DumpJson(list), "");
}

}  // namespace berth::cni
