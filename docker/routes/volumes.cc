// Volumes.
#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "base/strings.h"
#include "docker/call.h"
#include "docker/container_json.h"
#include "docker/convert/filters.h"
#include "docker/convert/patterns.h"
#include "docker/engine.h"
#include "docker/lifecycle.h"
#include "docker/routes/disk_usage.h"
#include "docker/routes/volume_json.h"

namespace berth::docker {

Json VolumeJson(const Volume& volume) {
  Json json = {
      {"CreatedAt", TimeText(volume.created - volume.created % 1000000000)},
      {"Driver", "local"},
      {"Labels", volume.labels},
      {"Mountpoint", volume.mountpoint},
      {"Name", volume.name},
      {"Options", volume.options},
      {"Scope", "local"}};
  if (volume.labels.empty()) json["Labels"] = nullptr;
  if (volume.options.empty()) json["Options"] = nullptr;
  return json;
}

namespace {

Status List(Engine& engine, Call& call) {
  static const auto& known =
      *new std::set<std::string>{"dangling", "driver", "label", "name"};
  ASSIGN_OR_RETURN(const Filters filters,
                   Filters::Parse(call.Query("filters"), known));
  RETURN_IF_ERROR(filters.CheckFlag("dangling"));
  const Patterns names = Patterns::Expressions(filters.Of("name"));
  ASSIGN_OR_RETURN(const std::vector<Volume> volumes, engine.volumes.List());
  Json list = Json::array();
  for (const Volume& volume : volumes) {
    if (names.Match(volume.name) &&
        filters.Any("driver", [](auto& w) { return w == "local"; }) &&
        filters.Any("dangling",
                    [&](auto& w) {
                      const bool used = !UsersOf(engine, volume.name).empty();
                      return used != (w == "true" || w == "1");
                    }) &&
        filters.MatchLabels(volume.labels)) {
      list.push_back(VolumeJson(volume));
    }
  }
  return call.Reply(200, {{"Volumes", list}, {"Warnings", nullptr}});
}

Status Create(Engine& engine, Call& call) {
  ASSIGN_OR_RETURN(const Json body, call.Body());
  JsonReader reader(body, "volume", JsonNames::kAnyCase);
  std::string name;
  std::string driver;
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> options;
  reader.Get("Name", name);
  reader.Get("Driver", driver);
  reader.Get("Labels", labels);
  reader.Get("DriverOpts", options);
  RETURN_IF_ERROR(reader.status());
  static const auto& known =
      *new std::set<std::string>{"driver", "driveropts", "labels", "name"};
  for (const auto& [key, value] : body.members()) {
    if (known.count(Lower(key)) == 0 && !value.is_null()) {
      return Unimplemented("volume " + key + " is not supported");
    }
  }
  if (!driver.empty() && driver != "local") {
    return NotFound("create " + name + ": error looking up volume plugin " +
                    driver + ": plugin " + Quoted(driver) + " not found");
  }
  if (name.empty()) {
    name = RandomId();
    labels["com.docker.volume.anonymous"] = "";
  }
  const bool fresh = IsNotFound(engine.volumes.Get(name).status());
  ASSIGN_OR_RETURN(const Volume volume,
                   engine.volumes.Create(call.ctx, name, labels, options));
  if (fresh) {
    engine.events.Publish("volume", "create", name, {{"driver", "local"}});
  }
  return call.Reply(201, VolumeJson(volume));
}

Status Inspect(Engine& engine, Call& call) {
  ASSIGN_OR_RETURN(const Volume volume, engine.volumes.Get(call.name));
  return call.Reply(200, VolumeJson(volume));
}

Status Remove(Engine& engine, Call& call) {
  const Status removed = RemoveVolume(engine, call.ctx, call.name);
  if (IsNotFound(removed) && call.Flag("force")) return call.Reply(204);
  RETURN_IF_ERROR(removed);
  return call.Reply(204);
}

Status Prune(Engine& engine, Call& call) {
  static const auto& known =
      *new std::set<std::string>{"all", "label", "label!"};
  ASSIGN_OR_RETURN(const Filters filters,
                   Filters::Parse(call.Query("filters"), known));
  const bool all = filters.Has("all") && filters.Any("all", [](auto& w) {
    return w == "true" || w == "1";
  });
  ASSIGN_OR_RETURN(const std::vector<Volume> volumes, engine.volumes.List());
  Json deleted = Json::array();
  int64_t reclaimed = 0;
  for (const Volume& volume : volumes) {
    if (!(all || call.version < 42 || volume.anonymous()) ||
        !filters.MatchLabels(volume.labels)) {
      continue;
    }
    const int64_t size = VolumeSize(volume);
    if (RemoveVolume(engine, call.ctx, volume.name).ok()) {
      deleted.push_back(volume.name);
      reclaimed += std::max<int64_t>(size, 0);
    }
  }
  engine.events.Publish("volume", "prune", "",
                        {{"reclaimed", std::to_string(reclaimed)}});
  return call.Reply(
      200, {{"VolumesDeleted", deleted}, {"SpaceReclaimed", reclaimed}});
}

}  // namespace

std::vector<Route> VolumeRoutes() {
  return {{"GET", "/volumes", List},
          {"POST", "/volumes/create", Create},
          {"POST", "/volumes/prune", Prune},
          {"GET", "/volumes/{name}", Inspect},
          {"DELETE", "/volumes/{name}", Remove}};
}

}  // namespace berth::docker
