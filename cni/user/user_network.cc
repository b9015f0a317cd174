#include "cni/user/user_network.h"

#include <utility>
#include <vector>

#include "base/json.h"
#include "cni/user/subnet.h"

namespace berth::cni {
namespace {

// The addresses between those that are reserved, each as a range of its own.
StatusOr<Json> RangesBetween(const UserSubnet& subnet, bool any_address) {
  ASSIGN_OR_RETURN(const Subnet outer, Subnet::Parse(subnet.subnet));
  Subnet inner = outer;
  if (!subnet.range.empty() && !any_address) {
    ASSIGN_OR_RETURN(inner, Subnet::Parse(subnet.range));
  }
  std::vector<std::string> left_out = {outer.Address(0)};
  if (!outer.v6()) left_out.push_back(outer.Last());
  for (const auto& [name, address] : subnet.reserved) {
    left_out.push_back(address);
  }
  Json ranges = Json::array();
  for (const auto& [first, last] : inner.Without(left_out)) {
    ranges.push_back({{"subnet", subnet.subnet},
                      {"gateway", subnet.gateway},
                      {"rangeStart", first},
                      {"rangeEnd", last}});
  }
  if (ranges.empty()) {
    return InvalidArgument("subnet " + subnet.subnet +
                           ": all of its addresses are reserved");
  }
  return ranges;
}

// host-local's "ranges" of one subnet.
StatusOr<Json> RangesOf(const UserSubnet& subnet, bool any_address) {
  if (!subnet.reserved.empty()) return RangesBetween(subnet, any_address);
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
                       {"asked", subnet.asked},
                       {"reserved", subnet.reserved}});
  }
  return DumpJson({{"id", network.id},
                   {"name", network.name},
                   {"created", network.created},
                   {"bridge", network.bridge},
                   {"mtu", network.mtu},
                   {"internal", network.internal},
                   {"masquerade", network.masquerade},
                   {"icc", network.icc},
                   {"ipv4", network.ipv4},
                   {"ipv6", network.ipv6},
                   {"subnets", subnets},
                   {"driver", network.driver},
                   {"parent", network.parent},
                   {"mode", network.mode},
                   {"configOnly", network.config_only},
                   {"configFrom", network.config_from},
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
  reader.Get("icc", network.icc);
  reader.Get("ipv4", network.ipv4);
  reader.Get("ipv6", network.ipv6);
  reader.Get("driver", network.driver);
  reader.Get("parent", network.parent);
  reader.Get("mode", network.mode);
  reader.Get("configOnly", network.config_only);
  reader.Get("configFrom", network.config_from);
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
    member.Get("reserved", subnet.reserved);
    RETURN_IF_ERROR(member.status());
    network.subnets.push_back(std::move(subnet));
  }
  RETURN_IF_ERROR(reader.status());
  const bool linked =
      network.config_only || !network.bridge.empty() || !network.parent.empty();
  if (network.id.empty() || network.name.empty() || !linked) {
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
  Json plugin = {{"type", network.driver},
                 {"capabilities", {{"ips", true}, {"mac", true}}},
                 {"ipam", ipam}};
  if (network.mtu > 0) plugin["mtu"] = network.mtu;
  Json plugins = Json::array();
  if (network.driver == "bridge") {
    plugin["bridge"] = network.bridge;
    plugin["isGateway"] = true;
    plugin["ipMasq"] = false;
    plugin["hairpinMode"] = true;
    plugins.push_back(std::move(plugin));
    plugins.push_back(
        {{"type", "portmap"}, {"capabilities", {{"portMappings", true}}}});
  } else {
    plugin["master"] = network.parent;
    if (!network.mode.empty()) plugin["mode"] = network.mode;
    plugins.push_back(std::move(plugin));
  }
  const Json list = {
      {"cniVersion", "1.0.0"}, {"name", network.id}, {"plugins", plugins}};
  return ParseConfigList(DumpJson(list), "");
}

}  // namespace berth::cni
