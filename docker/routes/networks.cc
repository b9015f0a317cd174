// The three networks that are always there.
#include <optional>
#include <set>
#include <string>

#include "base/strings.h"
#include "docker/call.h"
#include "docker/container_json.h"
#include "docker/convert/filters.h"
#include "docker/convert/patterns.h"
#include "docker/engine.h"

namespace berth::docker {
namespace {

struct Predefined {
  const char* name;
  const char* driver;
};
constexpr Predefined kNetworks[] = {
    {"bridge", "bridge"}, {"host", "host"}, {"none", "null"}};

// "10.88.0.0/16" -> "10.88.0.1": where the bridge plugin puts the gateway.
std::string GatewayOf(const std::string& subnet) {
  const std::vector<std::string> parts =
      Split(subnet.substr(0, subnet.find('/')), '.');
  if (parts.size() != 4) return "";
  return parts[0] + "." + parts[1] + "." + parts[2] + "." +
         std::to_string(ParseInt(parts[3]).value_or(0) + 1);
}

Json NetworkJson(const Engine& engine, const Predefined& network) {
  Json config = Json::array();
  Json options = Json::object();
  if (std::string(network.name) == "bridge") {
    config.push_back({{"Subnet", engine.settings.subnet},
                      {"Gateway", GatewayOf(engine.settings.subnet)}});
    options["com.docker.network.bridge.name"] = engine.settings.bridge;
    options["com.docker.network.bridge.default_bridge"] = "true";
  }
  return {{"Name", network.name},
          {"Id", NetworkId(network.name)},
          {"Created", TimeText(0)},
          {"Scope", "local"},
          {"Driver", network.driver},
          {"EnableIPv4", true},
          {"EnableIPv6", false},
          {"IPAM",
           {{"Driver", "default"}, {"Options", nullptr}, {"Config", config}}},
          {"Internal", false},
          {"Attachable", false},
          {"Ingress", false},
          {"ConfigFrom", {{"Network", ""}}},
          {"ConfigOnly", false},
          {"Containers", Json::object()},
          {"Options", options},
          {"Labels", Json::object()}};
}

Json MembersJson(const Engine& engine, const std::string& network) {
  Json members = Json::object();
  for (const View& view : AllViews(engine)) {
    if (!view.running() || NetworkModeOf(view) != network || !view.sandbox) {
      continue;
    }
    const auto& state = view.sandbox->network();
    Json member = {{"Name", view.name()},
                   {"EndpointID", ""},
                   {"MacAddress", state.mac()},
                   {"IPv4Address", ""},
                   {"IPv6Address", ""}};
    for (const auto& ip : state.ips()) {
      const bool six = ip.address().find(':') != std::string::npos;
      member[six ? "IPv6Address" : "IPv4Address"] =
          ip.address() + "/" + std::to_string(ip.prefix_length());
    }
    members[view.id()] = std::move(member);
  }
  return members;
}

const Predefined* Find(const std::string& text) {
  for (const Predefined& network : kNetworks) {
    if (text == network.name) return &network;
  }
  for (const Predefined& network : kNetworks) {
    if (text.size() >= 4 && StartsWith(NetworkId(network.name), text)) {
      return &network;
    }
  }
  return nullptr;
}

Status List(Engine& engine, Call& call) {
  static const auto& known = *new std::set<std::string>{
      "dangling", "driver", "id", "label", "name", "scope", "type"};
  ASSIGN_OR_RETURN(const Filters filters,
                   Filters::Parse(call.Query("filters"), known));
  const Patterns names = Patterns::Expressions(filters.Of("name"));
  const Patterns ids = Patterns::Expressions(filters.Of("id"));
  Json list = Json::array();
  for (const Predefined& network : kNetworks) {
    const std::string name = network.name;
    if (filters.Any("driver", [&](auto& w) { return w == network.driver; }) &&
        names.Match(name) && ids.Match(NetworkId(name)) &&
        filters.Any("scope", [](auto& w) { return w == "local"; }) &&
        filters.Any("type", [](auto& w) { return w == "builtin"; }) &&
        !filters.Has("label")) {
      list.push_back(NetworkJson(engine, network));
    }
  }
  return call.Reply(200, list);
}

Status Inspect(Engine& engine, Call& call) {
  const Predefined* network = Find(call.name);
  if (network == nullptr) {
    return NotFound("network " + call.name + " not found");
  }
  Json json = NetworkJson(engine, *network);
  json["Containers"] = MembersJson(engine, network->name);
  return call.Reply(200, json);
}

Status Remove(Engine&, Call& call) {
  const Predefined* network = Find(call.name);
  if (network == nullptr) {
    return NotFound("network " + call.name + " not found");
  }
  return Error(StatusCode::kPermissionDenied,
               std::string(network->name) +
                   " is a pre-defined network and cannot be removed");
}

Status Prune(Engine&, Call& call) {
  return call.Reply(200, {{"NetworksDeleted", nullptr}});
}

}  // namespace

std::vector<Route> NetworkRoutes() {
  return {{"GET", "/networks/", List},
          {"GET", "/networks", List},
          {"POST", "/networks/prune", Prune},
          {"GET", "/networks/{id}", Inspect},
          {"DELETE", "/networks/{id}", Remove}};
}

}  // namespace berth::docker
