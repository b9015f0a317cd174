#include "docker/networks.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/strings.h"
#include "cni/user/subnet.h"
#include "docker/container_json.h"
#include "docker/convert/network_options.h"
#include "docker/endpoint_json.h"
#include "docker/links.h"

namespace berth::docker {
namespace {

using state::v1::NetworkAttachment;

constexpr struct {
  const char* name;
  const char* driver;
} kPredefined[] = {{"bridge", "bridge"}, {"host", "host"}, {"none", "null"}};

// "10.88.0.0/16" -> "10.88.0.1": where the bridge plugin puts the gateway.
std::string GatewayOf(const std::string& subnet) {
  const StatusOr<cni::Subnet> parsed = cni::Subnet::Parse(subnet);
  return parsed.ok() ? parsed->Address(1) : "";
}

Json ConfigOf(const Engine& engine, const EngineNetwork& network) {
  Json config = Json::array();
  if (network.name == "bridge") {
    config.push_back({{"Subnet", engine.settings.subnet},
                      {"Gateway", GatewayOf(engine.settings.subnet)}});
  }
  if (!network.user) return config;
  for (const cni::UserSubnet& subnet : network.user->subnets) {
    Json one = {{"Subnet", subnet.subnet}};
    if (!subnet.gateway.empty()) one["Gateway"] = subnet.gateway;
    if (!subnet.range.empty()) one["IPRange"] = subnet.range;
    if (!subnet.reserved.empty()) {
      one["AuxiliaryAddresses"] = subnet.reserved;
    }
    config.push_back(std::move(one));
  }
  return config;
}

// Of a running container: the attachment, or nothing.
std::optional<int> PlaceOn(const View& view, const EngineNetwork& network) {
  if (!view.running() || view.sandbox == nullptr) return std::nullopt;
  const auto& asked = view.sandbox->config().networks();
  if (asked.empty() && !view.sandbox->config().exact_networks()) {
    return NetworkModeOf(view) == network.name ? std::optional<int>(0)
                                               : std::nullopt;
  }
  for (int at = 0; at < asked.size(); ++at) {
    if (asked[at].network() == network.in_sandbox() &&
        (network.user || network.name == "bridge")) {
      return at;
    }
  }
  return std::nullopt;
}

Status CheckAddress(const EngineNetwork& network, const std::string& address) {
  if (address.empty()) return OkStatus();
  const bool v6 = address.find(':') != std::string::npos;
  for (const cni::UserSubnet& one : network.user->subnets) {
    ASSIGN_OR_RETURN(const cni::Subnet subnet, cni::Subnet::Parse(one.subnet));
    if (subnet.v6() != v6) continue;
    if (!one.asked) {
      return InvalidArgument(
          "invalid config for network " + network.name +
          ": user specified IP address is supported only when connecting to "
          "networks with user configured subnets");
    }
    for (const auto& [name, reserved] : one.reserved) {
      if (reserved == cni::CanonicalAddress(address)) {
        return Error(StatusCode::kPermissionDenied, "Address already in use");
      }
    }
    if (subnet.Contains(address)) return OkStatus();
  }
  return InvalidArgument("invalid config for network " + network.name +
                         ": no configured subnet contains IP address " +
                         address);
}

// Endpoints by the name that the client gives them; the mode's own first.
std::vector<EndpointRequest> InOrder(const std::string& mode,
                                     const CreateRequest& request) {
  std::vector<EndpointRequest> ordered = request.endpoints;
  if (ordered.empty()) ordered.emplace_back().network = mode;
  const auto named =
      std::find_if(ordered.begin(), ordered.end(), [&](const auto& one) {
        return one.network == mode ||
               (one.network == "default" && mode == "bridge");
      });
  if (named != ordered.end()) {
    named->network = mode;
    std::rotate(ordered.begin(), named, named + 1);
  }
  EndpointRequest& first = ordered.front();
  if (first.mac.empty()) first.mac = request.mac;
  // On the default network they are the caller's (links.h).
  if (mode != "bridge") {
    first.links.insert(request.links.begin(), request.links.end());
  }
  return ordered;
}

// "host-gateway" where no network has a way to the host: its address on the
// default network, which is what dockerd names everywhere.
void NameHost(const Engine& engine, state::v1::SandboxConfig& sandbox) {
  constexpr std::string_view kHost = ":host-gateway";
  for (std::string& entry : *sandbox.mutable_extra_hosts()) {
    if (!EndsWith(entry, kHost)) continue;
    entry.resize(entry.size() - kHost.size() + 1);
    entry += GatewayOf(engine.settings.subnet);
  }
}

// Ports are published at the address that the network says.
void BindPorts(const Engine& engine, const NetworkAttachment& first,
               state::v1::SandboxConfig& sandbox) {
  const StatusOr<EngineNetwork> network = FindNetwork(engine, first.network());
  if (!network.ok() || !network->user) return;
  const auto found = network->user->options.find(kHostBinding);
  if (found == network->user->options.end()) return;
  for (auto& port : *sandbox.mutable_port_mappings()) {
    if (port.host_ip().empty()) port.set_host_ip(found->second);
  }
}

// A network without endpoints of its own: the host's, another's, none.
Status CheckNoEndpoints(const std::string& mode, const CreateRequest& request) {
  if (!request.links.empty()) {
    return InvalidArgument("conflicting options: network mode " + mode +
                           " and HostConfig.Links");
  }
  if (!request.mac.empty()) {
    return InvalidArgument(
        "conflicting options: mac-address and the network "
        "mode " +
        mode);
  }
  for (const EndpointRequest& one : request.endpoints) {
    if (one.network != mode || one.asks() || !one.mac.empty()) {
      return InvalidArgument("conflicting options: cannot attach to network " +
                             one.network + " with network mode " + mode);
    }
  }
  return OkStatus();
}

// Everything running on the network, by the addresses that it has there.
Status CheckFree(const Engine& engine, const View& view,
                 const NetworkAttachment& wanted) {
  for (const auto& other : engine.inventory().Sandboxes({})) {
    if (other->id() == view.container->sandbox_id() ||
        other->phase() != state::v1::SANDBOX_PHASE_READY) {
      continue;
    }
    for (int at = 0; at < other->config().networks_size(); ++at) {
      if (other->config().networks(at).network() != wanted.network()) continue;
      for (const auto& ip : AttachmentState(*other, at).ips()) {
        if (std::find(wanted.ips().begin(), wanted.ips().end(), ip.address()) !=
            wanted.ips().end()) {
          return Error(StatusCode::kPermissionDenied, "Address already in use");
        }
      }
    }
  }
  return OkStatus();
}

}  // namespace

std::vector<EngineNetwork> AllNetworks(const Engine& engine) {
  std::vector<EngineNetwork> all;
  for (const auto& [name, driver] : kPredefined) {
    all.push_back({NetworkId(name), name, driver, std::nullopt});
  }
  for (cni::UserNetwork& network : engine.user_networks.All()) {
    all.push_back({network.id, network.name, network.driver, network});
  }
  return all;
}

StatusOr<EngineNetwork> FindNetwork(const Engine& engine,
                                    const std::string& text) {
  const std::vector<EngineNetwork> all = AllNetworks(engine);
  for (const EngineNetwork& network : all) {
    if (network.id == text) return network;
  }
  std::vector<const EngineNetwork*> begin_so;
  for (const EngineNetwork& network : all) {
    if (network.name == text) return network;
    if (!text.empty() && StartsWith(network.id, text)) {
      begin_so.push_back(&network);
    }
  }
  if (begin_so.size() > 1) {
    return InvalidArgument("network " + text + " is ambiguous (" +
                           std::to_string(begin_so.size()) +
                           " matches found based on ID prefix)");
  }
  if (begin_so.empty()) return NotFound("network " + text + " not found");
  return *begin_so[0];
}

Json NetworkJson(const Engine& engine, const EngineNetwork& network) {
  const auto& user = network.user;
  Json options = Json::object();
  if (user) options = user->options;
  if (network.name == "bridge") {
    options["com.docker.network.bridge.name"] = engine.settings.bridge;
    options["com.docker.network.bridge.enable_icc"] = "true";
    options["com.docker.network.bridge.enable_ip_masquerade"] = "true";
    options["com.docker.network.bridge.host_binding_ipv4"] = "0.0.0.0";
    options["com.docker.network.bridge.default_bridge"] = "true";
  }
  return {{"Name", network.name},
          {"Id", network.id},
          {"Created", TimeText(user ? user->created : 0)},
          {"Scope", "local"},
          {"Driver", network.driver},
          {"EnableIPv4", !user || user->ipv4},
          {"EnableIPv6", user && user->ipv6},
          {"IPAM",
           {{"Driver", user ? user->ipam_driver : "default"},
            {"Options", user && !user->ipam_options.empty()
                            ? Json(user->ipam_options)
                            : Json()},
            {"Config", ConfigOf(engine, network)}}},
          {"Internal", user && user->internal},
          {"Attachable", user && user->attachable},
          {"Ingress", false},
          {"ConfigFrom", {{"Network", user ? user->config_from : ""}}},
          {"ConfigOnly", user && user->config_only},
          {"Containers", Json::object()},
          {"Options", options},
          {"Labels", user ? Json(user->labels) : Json::object()}};
}

Json MembersJson(const Engine& engine, const EngineNetwork& network) {
  Json members = Json::object();
  for (const View& view : AllViews(engine)) {
    const std::optional<int> at = PlaceOn(view, network);
    if (!at) continue;
    const auto& state = AttachmentState(*view.sandbox, *at);
    Json member = {{"Name", view.name()},
                   {"EndpointID", EndpointId(view, network.id)},
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

std::string DefaultAddressOf(const View& view) {
  const std::optional<int> at =
      PlaceOn(view, {NetworkId("bridge"), "bridge", "bridge", std::nullopt});
  if (!at) return "";
  for (const auto& ip : AttachmentState(*view.sandbox, *at).ips()) {
    if (ip.address().find(':') == std::string::npos) return ip.address();
  }
  return "";
}

StatusOr<NetworkAttachment> AttachmentFor(const EngineNetwork& network,
                                          const EndpointRequest& endpoint) {
  NetworkAttachment attachment;
  attachment.set_network(network.in_sandbox());
  attachment.set_name(network.name);
  attachment.set_gateway_priority(endpoint.gateway_priority);
  attachment.set_mac(endpoint.mac);
  attachment.set_interface(endpoint.interface);
  attachment.mutable_link_local_ips()->Assign(endpoint.link_local_ips.begin(),
                                              endpoint.link_local_ips.end());
  attachment.mutable_sysctls()->insert(endpoint.sysctls.begin(),
                                       endpoint.sysctls.end());
  attachment.mutable_driver_options()->insert(endpoint.driver_options.begin(),
                                              endpoint.driver_options.end());
  if (!network.user) {
    if (!endpoint.ipv4.empty() || !endpoint.ipv6.empty()) {
      return InvalidArgument("invalid config for network " + network.name +
                             ": user specified IP address is supported on "
                             "user defined networks only");
    }
    if (endpoint.asks()) {
      return InvalidArgument("invalid config for network " + network.name +
                             ": network-scoped aliases are only supported for "
                             "user-defined networks");
    }
    return attachment;
  }
  if (network.user->config_only) {
    return Error(StatusCode::kPermissionDenied,
                 "cannot create endpoint on configuration-only network");
  }
  attachment.set_internal(network.user->internal);
  for (const std::string& address : {endpoint.ipv4, endpoint.ipv6}) {
    RETURN_IF_ERROR(CheckAddress(network, address));
    if (!address.empty()) {
      attachment.add_ips(cni::CanonicalAddress(address));
    }
  }
  std::set<std::string> seen;
  for (const std::string& alias : endpoint.aliases) {
    if (seen.insert(alias).second) attachment.add_aliases(alias);
  }
  attachment.mutable_links()->insert(endpoint.links.begin(),
                                     endpoint.links.end());
  return attachment;
}

namespace {

// The node's default network, of which nothing is asked.
bool IsPlain(const NetworkAttachment& one) {
  return one.network().empty() && one.mac().empty() &&
         one.interface().empty() && one.link_local_ips().empty() &&
         one.driver_options().empty();
}

// Names of interfaces that clients chose.
Status CheckInterfaces(const std::vector<NetworkAttachment>& chosen) {
  std::set<std::string> seen;
  for (const NetworkAttachment& one : chosen) {
    if (one.interface().empty() || seen.insert(one.interface()).second) {
      continue;
    }
    return InvalidArgument("interface name " + Quoted(one.interface()) +
                           " is asked for on two networks");
  }
  return OkStatus();
}

}  // namespace

Status ChooseNetworks(const Engine& engine, CreateRequest& request) {
  std::string mode = request.host_config.Text("NetworkMode");
  if (mode.empty() || mode == "default") mode = "bridge";
  if (mode == "host" || mode == "none" || StartsWith(mode, "container:")) {
    if (mode == "host" || mode == "none") NameHost(engine, request.sandbox);
    return CheckNoEndpoints(mode, request);
  }
  if (mode == "bridge" && !request.links.empty()) {
    RETURN_IF_ERROR(FindLinked(engine, request));
  }
  std::vector<NetworkAttachment> chosen;
  std::set<std::string> seen;
  bool plain = true;
  for (const EndpointRequest& one : InOrder(mode, request)) {
    StatusOr<EngineNetwork> network = FindNetwork(
        engine, one.network_id.empty() ? one.network : one.network_id);
    if (!network.ok()) network = FindNetwork(engine, one.network);
    NetworkAttachment attachment;
    if (network.ok() && (network->name == "host" || network->name == "none")) {
      return InvalidArgument(
          "conflicting options: cannot attach both user-defined and "
          "non-user-defined network-modes");
    }
    if (network.ok()) {
      ASSIGN_OR_RETURN(attachment, AttachmentFor(*network, one));
    } else {
      attachment.set_network(one.network);
      attachment.set_name(one.network);
    }
    if (!seen.insert(attachment.network()).second) {
      return InvalidArgument("network " + one.network + " is named twice");
    }
    plain = plain && IsPlain(attachment);
    chosen.push_back(std::move(attachment));
  }
  // The node's default network alone goes without saying.
  if (plain) return OkStatus();
  if (chosen.size() > 1 &&
      std::any_of(chosen.begin(), chosen.end(),
                  [](const auto& one) { return one.network().empty(); })) {
    return InvalidArgument(
        "conflicting options: cannot attach both user-defined and "
        "non-user-defined network-modes");
  }
  RETURN_IF_ERROR(CheckInterfaces(chosen));
  BindPorts(engine, chosen.front(), request.sandbox);
  if (std::all_of(chosen.begin(), chosen.end(),
                  [](const auto& one) { return one.internal(); })) {
    NameHost(engine, request.sandbox);
  }
  request.sandbox.set_exact_networks(true);
  for (NetworkAttachment& one : chosen) {
    *request.sandbox.add_networks() = std::move(one);
  }
  return OkStatus();
}

Status ResolveNetworks(Engine& engine, const Context& ctx, const View& view) {
  if (view.sandbox == nullptr) return OkStatus();
  const sandbox::SandboxId id(view.sandbox->id());
  const auto asked = view.sandbox->config().networks();
  for (const NetworkAttachment& one : asked) {
    if (one.network().empty()) continue;
    StatusOr<EngineNetwork> network = FindNetwork(engine, one.network());
    // One of this name that was made since.
    if (!network.ok()) network = FindNetwork(engine, one.name());
    if (!network.ok()) return NotFound("network " + one.name() + " not found");
    RETURN_IF_ERROR(CheckFree(engine, view, one));
    if (network->in_sandbox() == one.network()) continue;
    NetworkAttachment found = one;
    found.set_network(network->in_sandbox());
    found.set_name(network->name);
    found.set_internal(network->user && network->user->internal);
    RETURN_IF_ERROR(engine.sandboxes.Disconnect(ctx, id, one.network()));
    RETURN_IF_ERROR(engine.sandboxes.Connect(ctx, id, found));
  }
  return OkStatus();
}

void PublishNetworkEvents(Engine& engine, const View& view,
                          const std::string& action) {
  if (view.sandbox == nullptr) return;
  for (const EngineNetwork& network : AllNetworks(engine)) {
    bool on = false;
    const auto& config = view.sandbox->config();
    for (const NetworkAttachment& one : config.networks()) {
      on = on || (one.network() == network.in_sandbox() &&
                  (network.user || network.name == "bridge"));
    }
    if (config.networks().empty() && !config.exact_networks()) {
      on = NetworkModeOf(view) == network.name;
    }
    if (!on) continue;
    engine.events.Publish("network", action, network.id,
                          {{"container", view.id()},
                           {"name", network.name},
                           {"type", network.driver}});
  }
}

}  // namespace berth::docker
