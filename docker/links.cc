#include "docker/links.h"

#include <glog/logging.h>

#include <algorithm>
#include <utility>

#include "docker/container_json.h"
#include "docker/convert/link_env.h"
#include "docker/networks.h"
#include "sandbox/ids.h"

namespace berth::docker {
namespace {

// The lines of one container for all it links to. With `running` one that does
// not run is an error; without it is left out.
struct Told {
  std::vector<std::string> hosts;
  std::vector<std::string> env;
};
StatusOr<Told> LinksOf(const Engine& engine, const View& view, bool running) {
  Told told;
  for (const auto& [alias, id] : view.notes->links) {
    const View other = ViewOf(engine, id);
    if (other.container == nullptr || other.sandbox == nullptr) continue;
    const std::string name = "/" + view.name() + "/" + alias;
    if (!other.running()) {
      if (!running) continue;
      return Internal("Cannot link to a non running container: /" +
                      other.name() + " AS " + name);
    }
    const std::string address = DefaultAddressOf(other);
    if (address.empty()) {
      if (!running) continue;
      return Internal("Cannot link to /" + other.name() +
                      ", as it does not belong to the default network");
    }
    std::string line = address + "\t" + alias + " " + other.sandbox->hostname();
    if (alias != other.name()) line += " " + other.name();
    told.hosts.push_back(std::move(line));
    for (std::string& variable :
         LinkEnv({name, address, other.notes->config})) {
      told.env.push_back(std::move(variable));
    }
  }
  return told;
}

}  // namespace

Status FindLinked(const Engine& engine, CreateRequest& request) {
  Json shown = Json::array();
  for (auto& [alias, container] : request.links) {
    const StatusOr<View> other = FindOurs(engine, container);
    if (!other.ok()) {
      return InvalidArgument("could not get container for " + container + ": " +
                             Message(other.status()));
    }
    if (NetworkModeOf(*other) == "host") {
      return InvalidArgument(
          "conflicting options: host type networking can't be used with "
          "links. This would result in undefined behavior");
    }
    container = other->id();
    shown.push_back(other->name() + ":" + alias);
  }
  request.host_config["Links"] = std::move(shown);
  return OkStatus();
}

StatusOr<std::vector<std::string>> SetLinks(Engine& engine, const Context& ctx,
                                            const View& view) {
  if (view.notes->links.empty()) return std::vector<std::string>();
  ASSIGN_OR_RETURN(Told told, LinksOf(engine, view, true));
  RETURN_IF_ERROR(engine.sandboxes.SetLinkedHosts(
      ctx, sandbox::SandboxId(view.container->sandbox_id()), told.hosts));
  return std::move(told.env);
}

void TellLinking(Engine& engine, const Context& ctx, const std::string& id) {
  for (const View& view : AllViews(engine)) {
    const auto& links = view.notes->links;
    if (!view.running() ||
        std::none_of(links.begin(), links.end(),
                     [&](const auto& link) { return link.second == id; })) {
      continue;
    }
    const StatusOr<Told> told = LinksOf(engine, view, false);
    const Status set =
        told.ok() ? engine.sandboxes.SetLinkedHosts(
                        ctx, sandbox::SandboxId(view.container->sandbox_id()),
                        told->hosts)
                  : told.status();
    LOG_IF(WARNING, !set.ok())
        << "tell container " << view.id() << " of a link: " << Message(set);
  }
}

}  // namespace berth::docker
