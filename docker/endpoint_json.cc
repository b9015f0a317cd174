#include "docker/endpoint_json.h"

#include <algorithm>
#include <map>
#include <vector>

#include "base/digest.h"
#include "base/strings.h"
#include "docker/container_json.h"

namespace berth::docker {
namespace {

using state::v1::NetworkAttachment;

constexpr size_t kShortId = 12;

// The names that others of the network know it by.
Json DnsNames(const View& view, const NetworkAttachment& asked) {
  std::vector<std::string> names = {view.name()};
  names.insert(names.end(), asked.aliases().begin(), asked.aliases().end());
  names.push_back(view.id().substr(0, kShortId));
  names.push_back(view.sandbox->hostname());
  std::vector<std::string> unique;
  for (const std::string& name : names) {
    if (!name.empty() &&
        std::find(unique.begin(), unique.end(), name) == unique.end()) {
      unique.push_back(name);
    }
  }
  return unique;
}

// What was asked for.
void AddRequest(const View& view, const NetworkAttachment& asked,
                Json& endpoint) {
  if (!asked.network().empty()) {
    endpoint["DNSNames"] = DnsNames(view, asked);
    endpoint["IPAMConfig"] = Json::object();
  }
  for (const std::string& address : asked.ips()) {
    const bool six = address.find(':') != std::string::npos;
    endpoint["IPAMConfig"][six ? "IPv6Address" : "IPv4Address"] = address;
  }
  if (!asked.aliases().empty()) {
    endpoint["Aliases"] = std::vector<std::string>(asked.aliases().begin(),
                                                   asked.aliases().end());
  }
  if (!asked.links().empty()) {
    std::vector<std::string> links;
    for (const auto& [alias, name] : asked.links()) {
      links.push_back(name + ":" + alias);
    }
    std::sort(links.begin(), links.end());
    endpoint["Links"] = links;
  }
  if (!asked.link_local_ips().empty()) {
    endpoint["IPAMConfig"]["LinkLocalIPs"] = std::vector<std::string>(
        asked.link_local_ips().begin(), asked.link_local_ips().end());
  }
  if (!asked.driver_options().empty()) {
    endpoint["DriverOpts"] = std::map<std::string, std::string>(
        asked.driver_options().begin(), asked.driver_options().end());
  }
  endpoint["MacAddress"] = asked.mac();
  endpoint["GwPriority"] = asked.gateway_priority();
}

// What it has got.
void AddState(const View& view, const std::string& network_id, int at,
              Json& endpoint) {
  if (!view.sandbox || !view.running()) return;
  const auto& state = AttachmentState(*view.sandbox, at);
  if (!state.attached()) return;
  endpoint["EndpointID"] = EndpointId(view, network_id);
  endpoint["MacAddress"] = state.mac();
  for (const auto& ip : state.ips()) {
    const bool six = ip.address().find(':') != std::string::npos;
    const char* address = six ? "GlobalIPv6Address" : "IPAddress";
    if (endpoint[address] != "") continue;
    endpoint[address] = ip.address();
    endpoint[six ? "GlobalIPv6PrefixLen" : "IPPrefixLen"] = ip.prefix_length();
    endpoint[six ? "IPv6Gateway" : "Gateway"] = ip.gateway();
  }
}

}  // namespace

const state::v1::NetworkState& AttachmentState(
    const state::v1::SandboxRecord& sandbox, int at) {
  if (at == 0) return sandbox.network();
  return at <= sandbox.more_networks_size()
             ? sandbox.more_networks(at - 1)
             : state::v1::NetworkState::default_instance();
}

std::string EndpointId(const View& view, const std::string& network_id) {
  return Digest::Of(view.container->sandbox_id() + " " + network_id).hex();
}

Json BareEndpointJson() {
  return {{"IPAMConfig", nullptr},   {"Links", nullptr},
          {"Aliases", nullptr},      {"MacAddress", ""},
          {"DriverOpts", nullptr},   {"GwPriority", 0},
          {"NetworkID", ""},         {"EndpointID", ""},
          {"Gateway", ""},           {"IPAddress", ""},
          {"IPPrefixLen", 0},        {"IPv6Gateway", ""},
          {"GlobalIPv6Address", ""}, {"GlobalIPv6PrefixLen", 0},
          {"DNSNames", nullptr}};
}

Json EndpointsJson(const View& view) {
  const std::string mode = NetworkModeOf(view);
  if (StartsWith(mode, "container:")) return Json::object();
  Json all = Json::object();
  const bool listed =
      view.sandbox != nullptr && view.sandbox->config().exact_networks();
  if (!listed) {
    Json endpoint = BareEndpointJson();
    endpoint["NetworkID"] = NetworkId(mode);
    AddState(view, NetworkId(mode), 0, endpoint);
    all[mode] = std::move(endpoint);
    return all;
  }
  int at = 0;
  for (const NetworkAttachment& asked : view.sandbox->config().networks()) {
    const std::string id =
        asked.network().empty() ? NetworkId("bridge") : asked.network();
    Json endpoint = BareEndpointJson();
    endpoint["NetworkID"] = id;
    AddRequest(view, asked, endpoint);
    AddState(view, id, at++, endpoint);
    all[asked.network().empty() ? "bridge" : asked.name()] =
        std::move(endpoint);
  }
  return all;
}

}  // namespace berth::docker
