// GET /containers/json.
#include "docker/routes/container_list.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/strings.h"
#include "docker/build/builder.h"
#include "docker/container_json.h"
#include "docker/convert/filters.h"
#include "docker/convert/patterns.h"
#include "docker/endpoint_json.h"
#include "docker/lifecycle.h"
#include "docker/routes/disk_usage.h"
#include "image/image_service.h"
#include "image/reference.h"

namespace berth::docker {
namespace {

bool UsesVolume(const View& view, const std::string& wanted) {
  const auto& mounts = view.container->config().mounts();
  return std::any_of(mounts.begin(), mounts.end(), [&](const auto& mount) {
    return mount.volume() == wanted || mount.container_path() == wanted ||
           mount.host_path() == wanted;
  });
}

bool IsOnNetwork(const View& view, const std::string& wanted) {
  if (wanted == NetworkModeOf(view)) return true;
  const Json endpoints = EndpointsJson(view);
  return std::any_of(endpoints.members().begin(), endpoints.members().end(),
                     [&](const auto& endpoint) {
                       return endpoint.first == wanted ||
                              endpoint.second.Text("NetworkID") == wanted;
                     });
}

// Ports as "80/tcp".
using Ports = std::set<std::string>;

// "80", "80/udp" and "8000-8010/tcp".
StatusOr<Ports> PortsOf(const Filters& filters, const std::string& key) {
  Ports ports;
  for (const std::string& text : filters.Of(key)) {
    const size_t slash = text.find('/');
    const std::string range = text.substr(0, slash);
    const size_t dash = range.find('-');
    const auto first = ParseUint(range.substr(0, dash));
    const auto last =
        dash == std::string::npos ? first : ParseUint(range.substr(dash + 1));
    const std::string protocol =
        slash == std::string::npos ? "tcp" : Lower(text.substr(slash + 1));
    if (!first || !last || *first > *last || *last > 65535) {
      return InvalidArgument("invalid filter '" + key + "=" + text +
                             "': invalid port");
    }
    for (uint64_t port = *first; port <= *last; ++port) {
      ports.insert(std::to_string(port) + "/" + protocol);
    }
  }
  return ports;
}

std::string ProtocolName(state::v1::Protocol protocol) {
  if (protocol == state::v1::PROTOCOL_UDP) return "udp";
  return protocol == state::v1::PROTOCOL_SCTP ? "sctp" : "tcp";
}

bool Publishes(const View& view, const Ports& ports) {
  if (view.sandbox == nullptr) return false;
  const auto& all = view.sandbox->config().port_mappings();
  return std::any_of(all.begin(), all.end(), [&](const auto& one) {
    return ports.count(std::to_string(one.host_port()) + "/" +
                       ProtocolName(one.protocol())) > 0;
  });
}

bool Exposes(const View& view, const Ports& ports) {
  const Json* const exposed = view.notes->config.Find("ExposedPorts");
  if (exposed == nullptr) return false;
  const auto& all = exposed->members();
  return std::any_of(all.begin(), all.end(), [&](const auto& one) {
    const bool bare = one.first.find('/') == std::string::npos;
    return ports.count(bare ? one.first + "/tcp" : one.first) > 0;
  });
}

// INVALID_ARGUMENT if a value of the filter is not in `all`.
Status CheckValues(const Filters& filters, const std::string& key,
                   const std::string& what,
                   const std::vector<std::string>& all) {
  for (const std::string& value : filters.Of(key)) {
    if (std::find(all.begin(), all.end(), value) != all.end()) continue;
    return InvalidArgument("invalid filter '" + key + "=" + value +
                           "': invalid value for " + what + " (" + value +
                           "): must be one of " + Join(all, ", "));
  }
  return OkStatus();
}

Status CheckFilters(const Filters& filters) {
  RETURN_IF_ERROR(CheckValues(filters, "status", "state",
                              {"created", "running", "paused", "restarting",
                               "removing", "exited", "dead"}));
  RETURN_IF_ERROR(CheckValues(filters, "health", "health",
                              {"none", "starting", "healthy", "unhealthy"}));
  RETURN_IF_ERROR(filters.CheckFlag("is-task"));
  for (const std::string& code : filters.Of("exited")) {
    if (ParseInt(code)) continue;
    return InvalidArgument("invalid filter 'exited=" + code +
                           "': invalid exit code");
  }
  return OkStatus();
}

// What the values of a list's filters stand for, found once for all rows.
struct Wanted {
  Wanted(const Engine& engine, const Filters& filters)
      : ids(Patterns::Expressions(filters.Of("id"))),
        names(Patterns::Expressions(filters.Of("name"))) {
    for (const std::string& text : filters.Of("ancestor")) {
      const StatusOr<image::Image> image = engine.images.Resolve(text);
      if (image.ok()) ancestors.insert(image->id());
    }
  }

  Patterns ids;
  Patterns names;
  Ports published;
  Ports exposed;
  std::set<std::string> ancestors;  // ids of images
};

// Each of them as KEY or KEY=VALUE.
bool HasAnnotations(const View& view, const Filters& filters) {
  const auto& all = view.container->config().annotations();
  const std::set<std::string>& wanted = filters.Of("annotation");
  return std::all_of(wanted.begin(), wanted.end(), [&](const auto& text) {
    const size_t mark = text.find('=');
    const auto found = all.find(text.substr(0, mark));
    return found != all.end() && (mark == std::string::npos ||
                                  found->second == text.substr(mark + 1));
  });
}

bool Matches(const Filters& filters, const Wanted& wanted, const View& view,
             const Surroundings& around) {
  const auto& labels = view.container->config().labels();
  return filters.MatchLabels({labels.begin(), labels.end()}) &&
         HasAnnotations(view, filters) && wanted.ids.Match(view.id()) &&
         (wanted.names.Match(view.name()) ||
          wanted.names.Match("/" + view.name())) &&
         filters.Any(
             "status",
             [&](auto& w) { return w == view.state(around.restarting); }) &&
         filters.Any("exited",
                     [&](auto& w) {
                       return view.state(around.restarting) == "exited" &&
                              w == std::to_string(view.exit_code());
                     }) &&
         (!filters.Has("ancestor") ||
          wanted.ancestors.count(view.container->config().image_id()) > 0) &&
         filters.Any("volume", [&](auto& w) { return UsesVolume(view, w); }) &&
         filters.Any("network",
                     [&](auto& w) { return IsOnNetwork(view, w); }) &&
         (!filters.Has("publish") || Publishes(view, wanted.published)) &&
         (!filters.Has("expose") || Exposes(view, wanted.exposed)) &&
         filters.Any(
             "health",
             [&](auto& w) {
               return w == (around.health ? around.health->status() : "none");
             }) &&
         filters.Any("is-task", [](auto& w) { return w == "false"; });
}

// "before" and "since" name a container: by its age.
StatusOr<int64_t> CreatedOf(const Engine& engine, const Filters& filters,
                            const std::string& key) {
  if (!filters.Has(key)) return 0;
  ASSIGN_OR_RETURN(const View view, FindView(engine, *filters.Of(key).begin()));
  return view.container->created_at();
}

// What each name of an image means now.
std::map<std::string, std::string> ImageNames(const Engine& engine) {
  std::map<std::string, std::string> names;
  const StatusOr<std::vector<image::Image>> images = engine.images.List({});
  if (!images.ok()) return names;
  for (const image::Image& image : *images) {
    for (const auto* list : {&image.repo_tags, &image.repo_digests}) {
      for (const std::string& name : *list) names[name] = image.id();
    }
  }
  return names;
}

// As the container was asked for, unless that has come to mean another image.
std::string ImageColumn(const View& view,
                        const std::map<std::string, std::string>& names) {
  const std::string& id = view.container->config().image_id();
  const std::string text = ImageName(view);
  if (StartsWith(id, text) || StartsWith(id, "sha256:" + text)) return text;
  const auto reference = image::Reference::Parse(text);
  const auto found =
      reference.ok() ? names.find(reference->str()) : names.end();
  return found != names.end() && found->second == id ? text : id;
}

}  // namespace

Status ListContainers(Engine& engine, Call& call) {
  static const auto& known = *new std::set<std::string>{
      "ancestor", "annotation", "before",    "exited", "expose", "health",
      "id",       "is-task",    "isolation", "label",  "name",   "network",
      "publish",  "since",      "status",    "volume"};
  ASSIGN_OR_RETURN(const Filters filters,
                   Filters::Parse(call.Query("filters"), known));
  RETURN_IF_ERROR(CheckFilters(filters));
  Wanted wanted(engine, filters);
  ASSIGN_OR_RETURN(wanted.published, PortsOf(filters, "publish"));
  ASSIGN_OR_RETURN(wanted.exposed, PortsOf(filters, "expose"));
  ASSIGN_OR_RETURN(int64_t limit, call.Number("limit", 0));
  ASSIGN_OR_RETURN(const int64_t before, CreatedOf(engine, filters, "before"));
  ASSIGN_OR_RETURN(const int64_t since, CreatedOf(engine, filters, "since"));
  // A limit or a filter on the state looks at stopped ones too.
  const bool all = call.Flag("all") || limit > 0 || filters.Has("status") ||
                   filters.Has("exited");
  const std::map<std::string, std::string> names = ImageNames(engine);
  Json list = Json::array();
  std::vector<View> views = AllViews(engine);
  std::reverse(views.begin(), views.end());
  for (const View& view : views) {
    const Surroundings around = SurroundingsOf(engine, view);
    const int64_t created = view.container->created_at();
    if (IsBuilder(view) && !filters.Has("label")) continue;
    if (!all && !view.running() && !around.restarting) continue;
    if ((before > 0 && created >= before) || (since > 0 && created <= since)) {
      continue;
    }
    if (!Matches(filters, wanted, view, around)) continue;
    Json& row = list.push_back(SummaryJson(view, around));
    row["Image"] = ImageColumn(view, names);
    if (call.Flag("size")) AddSizes(engine, view, row);
    if (--limit == 0) break;
  }
  return call.Reply(200, list);
}

}  // namespace berth::docker
