// Networks.
#include "docker/networks.h"

#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "docker/call.h"
#include "docker/container_json.h"
#include "docker/convert/filters.h"
#include "docker/convert/ipam_status.h"
#include "docker/convert/network_request.h"
#include "docker/convert/patterns.h"
#include "docker/engine.h"
#include "docker/routes/disk_usage.h"
#include "sandbox/ids.h"

namespace berth::docker {
namespace {

using sandbox::SandboxId;

Status Forbidden(const std::string& why) {
  return Error(StatusCode::kPermissionDenied, why);
}

void Publish(Engine& engine, const EngineNetwork& network,
             const std::string& action, const std::string& container = "") {
  std::map<std::string, std::string> attributes = {{"name", network.name},
                                                   {"type", network.driver}};
  if (!container.empty()) attributes["container"] = container;
  engine.events.Publish("network", action, network.id, std::move(attributes));
}

bool IsTrue(const std::string& text) { return text == "true" || text == "1"; }

bool Matches(const Engine& engine, const EngineNetwork& network,
             const Filters& filters) {
  const std::map<std::string, std::string> labels =
      network.user ? network.user->labels
                   : std::map<std::string, std::string>();
  return filters.Any("driver", [&](auto& w) {
    return w == network.driver;
  }) && filters.Any("scope", [](auto& w) {
    return w == "local";
  }) && filters.Any("type", [&](auto& w) {
    return w == (network.user ? "custom" : "builtin");
  }) && filters.Any("dangling", [&](auto& w) {
    const bool unused = network.user && MembersJson(engine, network).empty();
    return unused == IsTrue(w);
  }) && filters.MatchLabels(labels);
}

Status List(Engine& engine, Call& call) {
  static const auto& known = *new std::set<std::string>{
      "dangling", "driver", "id", "label", "name", "scope", "type"};
  ASSIGN_OR_RETURN(const Filters filters,
                   Filters::Parse(call.Query("filters"), known));
  RETURN_IF_ERROR(filters.CheckFlag("dangling"));
  for (const std::string& type : filters.Of("type")) {
    if (type == "custom" || type == "builtin") continue;
    return InvalidArgument("invalid filter: 'type'='" + type + "'");
  }
  const Patterns names = Patterns::Expressions(filters.Of("name"));
  const Patterns ids = Patterns::Expressions(filters.Of("id"));
  Json list = Json::array();
  for (const EngineNetwork& network : AllNetworks(engine)) {
    if (names.Match(network.name) && ids.Match(network.id) &&
        Matches(engine, network, filters)) {
      list.push_back(NetworkJson(engine, network));
    }
  }
  return call.Reply(200, list);
}

Status Inspect(Engine& engine, Call& call) {
  const std::string scope = call.Query("scope");
  if (!scope.empty() && scope != "local") {
    return NotFound("network " + call.name + " not found");
  }
  ASSIGN_OR_RETURN(const EngineNetwork network, FindNetwork(engine, call.name));
  Json json = NetworkJson(engine, network);
  json["Containers"] = MembersJson(engine, network);
  if (call.version >= 52) {
    json["Status"] = {
        {"IPAM", {{"Subnets", SubnetsJson(json["IPAM"], json["Containers"])}}}};
  }
  return call.Reply(200, json);
}

// By the network of settings alone that it names.
StatusOr<cni::UserNetwork> Configure(const Engine& engine,
                                     cni::UserNetwork wanted) {
  const StatusOr<EngineNetwork> source =
      FindNetwork(engine, wanted.config_from);
  if (!source.ok() || !source->user || !source->user->config_only) {
    return NotFound("configuration network " + Quoted(wanted.config_from) +
                    " does not exist");
  }
  wanted.config_from = source->name;
  return ConfiguredBy(*source->user, std::move(wanted));
}

Status Create(Engine& engine, Call& call) {
  ASSIGN_OR_RETURN(const Json body, call.Body());
  ASSIGN_OR_RETURN(cni::UserNetwork wanted, ConvertNetwork(body));
  if (!wanted.config_from.empty()) {
    ASSIGN_OR_RETURN(wanted, Configure(engine, std::move(wanted)));
  }
  StatusOr<cni::UserNetwork> made =
      engine.user_networks.Create(call.ctx, std::move(wanted));
  // 404 is for drivers alone.
  if (IsNotFound(made.status())) return Internal(Message(made.status()));
  RETURN_IF_ERROR(made.status());
  Publish(engine, {made->id, made->name, made->driver, *made}, "create");
  return call.Reply(201, {{"Id", made->id}, {"Warning", ""}});
}

Status CheckUnused(const Engine& engine, const EngineNetwork& network) {
  std::vector<std::string> members;
  const Json all = MembersJson(engine, network);
  for (const auto& [id, member] : all.members()) {
    members.push_back("name:" + Quoted(member.Text("Name")) +
                      " id:" + Quoted(member.Text("EndpointID").substr(0, 12)));
  }
  if (members.empty()) return OkStatus();
  return Forbidden("error while removing network: network " + network.name +
                   " has active endpoints (" + Join(members, ", ") + ")");
}

Status RemoveOne(Engine& engine, const Context& ctx,
                 const EngineNetwork& network) {
  RETURN_IF_ERROR(CheckUnused(engine, network));
  const Status removed = engine.user_networks.Remove(ctx, network.id);
  // What is on its way to be a member.
  if (removed.code() == StatusCode::kFailedPrecondition) {
    return Forbidden("error while removing network: network " + network.name +
                     " has active endpoints");
  }
  RETURN_IF_ERROR(removed);
  Publish(engine, network, "destroy");
  return OkStatus();
}

Status Remove(Engine& engine, Call& call) {
  ASSIGN_OR_RETURN(const EngineNetwork network, FindNetwork(engine, call.name));
  if (!network.user) {
    return Forbidden(network.name +
                     " is a pre-defined network and cannot be removed");
  }
  RETURN_IF_ERROR(RemoveOne(engine, call.ctx, network));
  return call.Reply(204);
}

Status Prune(Engine& engine, Call& call) {
  static const auto& known =
      *new std::set<std::string>{"label", "label!", "until"};
  ASSIGN_OR_RETURN(const Filters filters,
                   Filters::Parse(call.Query("filters"), known));
  ASSIGN_OR_RETURN(const UnixNanos until, UntilOf(filters));
  Json deleted;
  for (const EngineNetwork& network : AllNetworks(engine)) {
    // Nothing is ever attached to settings alone.
    if (!network.user || network.user->config_only ||
        !filters.MatchLabels(network.user->labels) ||
        (until > 0 && network.user->created >= until)) {
      continue;
    }
    if (RemoveOne(engine, call.ctx, network).ok()) {
      deleted.push_back(network.name);
    }
  }
  return call.Reply(200, {{"NetworksDeleted", deleted}});
}

// The container of a connect or disconnect, which has networks to speak of.
StatusOr<View> FindMember(Engine& engine, const std::string& text) {
  if (text.empty()) return InvalidArgument("no container is named");
  ASSIGN_OR_RETURN(View view, FindOurs(engine, text));
  if (view.sandbox == nullptr) {
    return FailedPrecondition("container " + view.id() + " is being removed");
  }
  const std::string mode = NetworkModeOf(view);
  if (StartsWith(mode, "container:") || mode == "host") {
    return InvalidArgument(
        "container sharing network namespace with another container or host "
        "cannot be connected to any other network");
  }
  if (mode == "none") {
    return InvalidArgument(
        "container cannot be connected to multiple networks with one of the "
        "networks in private (none) mode");
  }
  return view;
}

StatusOr<EngineNetwork> FindOwn(Engine& engine, const std::string& text) {
  ASSIGN_OR_RETURN(EngineNetwork network, FindNetwork(engine, text));
  if (network.user || network.name == "bridge") return network;
  return InvalidArgument("container cannot be connected to " + network.name +
                         " network");
}

Status Connect(Engine& engine, Call& call) {
  ASSIGN_OR_RETURN(const Json body, call.Body());
  JsonReader reader(body, "connect", JsonNames::kAnyCase);
  std::string container;
  reader.Get("Container", container);
  RETURN_IF_ERROR(reader.status());
  const Json* const asked = reader.Find("EndpointConfig");
  ASSIGN_OR_RETURN(const EngineNetwork network, FindOwn(engine, call.name));
  ASSIGN_OR_RETURN(
      const EndpointRequest endpoint,
      ConvertEndpoint(network.name, asked == nullptr ? Json() : *asked));
  ASSIGN_OR_RETURN(const auto attachment, AttachmentFor(network, endpoint));
  ASSIGN_OR_RETURN(const View named, FindMember(engine, container));
  ASSIGN_OR_RETURN(const KeyedMutex::Lock lock,
                   engine.lifecycle.Acquire(call.ctx, named.id()));
  ASSIGN_OR_RETURN(const View view, FindMember(engine, named.id()));
  const Status connected = engine.sandboxes.Connect(
      call.ctx, SandboxId(view.container->sandbox_id()), attachment);
  if (connected.code() == StatusCode::kAlreadyExists) {
    return Forbidden("endpoint with name " + view.name() +
                     " already exists in network " + network.name);
  }
  RETURN_IF_ERROR(connected);
  if (view.running()) Publish(engine, network, "connect", view.id());
  return call.Reply(200);
}

Status Disconnect(Engine& engine, Call& call) {
  ASSIGN_OR_RETURN(const Json body, call.Body());
  JsonReader reader(body, "disconnect", JsonNames::kAnyCase);
  std::string container;
  bool force = false;
  reader.Get("Container", container);
  reader.Get("Force", force);
  RETURN_IF_ERROR(reader.status());
  ASSIGN_OR_RETURN(const EngineNetwork network, FindNetwork(engine, call.name));
  if (!container.empty() && !network.user && network.name != "bridge") {
    RETURN_IF_ERROR(FindOurs(engine, container).status());
    return Forbidden("container cannot be disconnected from " + network.name +
                     " network");
  }
  ASSIGN_OR_RETURN(const View named, FindMember(engine, container));
  ASSIGN_OR_RETURN(const KeyedMutex::Lock lock,
                   engine.lifecycle.Acquire(call.ctx, named.id()));
  ASSIGN_OR_RETURN(const View view, FindMember(engine, named.id()));
  const Status disconnected = engine.sandboxes.Disconnect(
      call.ctx, SandboxId(view.container->sandbox_id()), network.in_sandbox());
  if (IsNotFound(disconnected)) {
    return Forbidden("container " + view.id() +
                     " is not connected to the network " + network.name);
  }
  RETURN_IF_ERROR(disconnected);
  if (view.running()) Publish(engine, network, "disconnect", view.id());
  return call.Reply(200);
}

}  // namespace

std::vector<Route> NetworkRoutes() {
  return {{"GET", "/networks/", List},
          {"GET", "/networks", List},
          {"POST", "/networks/create", Create},
          {"POST", "/networks/prune", Prune},
          {"GET", "/networks/{id}", Inspect},
          {"DELETE", "/networks/{id}", Remove},
          {"POST", "/networks/{id}/connect", Connect},
          {"POST", "/networks/{id}/disconnect", Disconnect}};
}

}  // namespace berth::docker
