#include "docker/build/order.h"

#include <utility>

#include "base/json.h"
#include "base/strings.h"
#include "image/reference.h"

namespace berth::docker {
namespace {

// Reads a query, and remembers the first error.
class Query {
 public:
  explicit Query(const QueryValues& values) : values_(values) {}

  const std::vector<std::string>& All(const char* name) const {
    static const auto& none = *new std::vector<std::string>();
    const auto found = values_.find(name);
    return found == values_.end() ? none : found->second;
  }
  std::string Text(const char* name) const {
    const std::vector<std::string>& all = All(name);
    return all.empty() ? "" : all[0];
  }
  bool Flag(const char* name) const {
    const std::string value = Lower(Trim(Text(name)));
    return !value.empty() && value != "0" && value != "no" &&
           value != "false" && value != "none";
  }
  Json Document(const char* name) {
    const std::string text = Text(name);
    if (text.empty()) return Json();
    StatusOr<Json> json =
        ParseJson(text, "query parameter " + std::string(name));
    if (json.ok()) return *std::move(json);
    Fail(json.status());
    return Json();
  }
  void Fail(const Status& status) {
    if (status_.ok()) status_ = status;
  }
  const Status& status() const { return status_; }

 private:
  const QueryValues& values_;
  Status status_;
};

using Attributes = google::protobuf::Map<std::string, std::string>;

// {"NAME": "value"}; a null has no value here and is left out.
void AddMembers(Query& query, const char* name, const std::string& prefix,
                Attributes& attributes) {
  const Json json = query.Document(name);
  if (!json.is_null() && !json.is_object()) {
    query.Fail(InvalidArgument("query parameter " + std::string(name) +
                               ": not an object"));
  }
  for (const auto& [key, value] : json.members()) {
    if (value.AsText() != nullptr) {
      attributes[prefix + key] = *value.AsText();
    } else if (!value.is_null()) {
      query.Fail(InvalidArgument("query parameter " + std::string(name) + ": " +
                                 Quoted(key) + " is no text"));
    }
  }
}

void AddNetwork(Query& query, bk::SolveRequest& request) {
  const std::string mode = query.Text("networkmode");
  if (mode.empty() || mode == "default" || mode == "bridge") return;
  if (mode != "host" && mode != "none") {
    query.Fail(InvalidArgument("network mode " + Quoted(mode) +
                               " not supported by buildkit"));
  }
  (*request.mutable_frontendattrs())["force-network-mode"] = mode;
  if (mode == "host") request.add_entitlements("network.host");
}

// "NAME:ADDRESS", several times or with commas between them.
void AddHosts(Query& query, const std::string& gateway,
              Attributes& attributes) {
  std::vector<std::string> hosts;
  for (const std::string& value : query.All("extrahosts")) {
    for (const std::string& host : Split(value, ',')) {
      const size_t colon = host.find(':');
      if (colon == std::string::npos || colon == 0) {
        query.Fail(InvalidArgument("invalid host " + Quoted(host)));
        return;
      }
      std::string address = host.substr(colon + 1);
      if (address == "host-gateway") address = gateway;
      hosts.push_back(host.substr(0, colon) + "=" + address);
    }
  }
  if (!hosts.empty()) attributes["add-hosts"] = Join(hosts, ",");
}

void AddUlimits(Query& query, Attributes& attributes) {
  std::vector<std::string> limits;
  const Json list = query.Document("ulimits");
  for (const Json& one : list.elements()) {
    const Json* const soft = one.Find("Soft");
    const Json* const hard = one.Find("Hard");
    if (one.Text("Name").empty() || soft == nullptr || hard == nullptr ||
        !soft->AsInt() || !hard->AsInt()) {
      query.Fail(InvalidArgument("query parameter ulimits: not a limit"));
      return;
    }
    limits.push_back(one.Text("Name") + "=" + std::to_string(*soft->AsInt()) +
                     ":" + std::to_string(*hard->AsInt()));
  }
  if (!limits.empty()) attributes["ulimit"] = Join(limits, ",");
}

void AddCacheSources(Query& query, bk::SolveRequest& request) {
  const Json list = query.Document("cachefrom");
  for (const Json& one : list.elements()) {
    if (one.AsText() == nullptr || one.AsText()->empty()) continue;
    bk::CacheOptionsEntry& entry = *request.mutable_cache()->add_imports();
    entry.set_type("registry");
    (*entry.mutable_attrs())["ref"] = *one.AsText();
  }
}

// [{"Type": "local", "Attrs": {...}}]; without it, an image of this engine's.
void AddExporters(Query& query, const std::vector<std::string>& tags,
                  bk::SolveRequest& request) {
  const Json list = query.Document("outputs");
  for (const Json& one : list.elements()) {
    if (one.Text("Type") == "cacheonly") return;
    bk::Exporter& exporter = *request.add_exporters();
    exporter.set_type(one.Text("Type"));
    const Json* const attributes = one.Find("Attrs");
    if (attributes == nullptr) continue;
    for (const auto& [name, value] : attributes->members()) {
      if (value.AsText() != nullptr) {
        (*exporter.mutable_attrs())[name] = *value.AsText();
      }
    }
  }
  if (request.exporters_size() == 0) request.add_exporters()->set_type("moby");
  for (bk::Exporter& exporter : *request.mutable_exporters()) {
    const bool image = exporter.type() == "moby" || exporter.type() == "image";
    if (!image || tags.empty()) continue;
    (*exporter.mutable_attrs())["name"] = Join(tags, ",");
  }
}

void ReadTags(Query& query, std::vector<std::string>& tags) {
  for (const std::string& text : query.All("t")) {
    if (text.empty()) continue;
    const auto name = image::Reference::Parse(text);
    if (!name.ok()) {
      query.Fail(InvalidArgument("invalid reference format: " +
                                 Message(name.status())));
      return;
    }
    tags.push_back(name->Familiar());
  }
}

void ReadFrontend(Query& query, const std::string& gateway,
                  Attributes& attributes) {
  attributes["filename"] = "Dockerfile";
  for (const auto& [parameter, attribute] :
       {std::pair("dockerfile", "filename"), std::pair("target", "target"),
        std::pair("platform", "platform"),
        std::pair("cgroupparent", "cgroup-parent"),
        std::pair("shmsize", "shm-size")}) {
    const std::string value = query.Text(parameter);
    if (!value.empty() && value != "0") attributes[attribute] = value;
  }
  if (query.Flag("nocache")) attributes["no-cache"] = "";
  attributes["image-resolve-mode"] = query.Flag("pull") ? "pull" : "default";
  AddMembers(query, "buildargs", "build-arg:", attributes);
  AddMembers(query, "labels", "label:", attributes);
  AddHosts(query, gateway, attributes);
  AddUlimits(query, attributes);
}

}  // namespace

StatusOr<BuildOrder> ReadBuildOrder(const QueryValues& values,
                                    const std::string& host_gateway) {
  Query query(values);
  for (const char* limit :
       {"memory", "memswap", "cpushares", "cpuperiod", "cpuquota", "cpusetcpus",
        "cpusetmems", "squash", "securityopt"}) {
    if (!query.Flag(limit)) continue;
    return Unimplemented("query parameter " + std::string(limit) +
                         " is not supported: the builder as a whole has "
                         "limits, not one build");
  }
  BuildOrder order;
  bk::SolveRequest& request = order.request;
  request.set_frontend("dockerfile.v0");
  request.set_session(query.Text("session"));
  ReadFrontend(query, host_gateway, *request.mutable_frontendattrs());
  ReadTags(query, order.tags);
  AddNetwork(query, request);
  AddCacheSources(query, request);
  AddExporters(query, order.tags, request);
  const std::string remote = query.Text("remote");
  order.has_body = remote.empty();
  if (!remote.empty() && remote != "client-session") {
    (*request.mutable_frontendattrs())["context"] = remote;
  }
  order.id = query.Text("buildid");
  order.quiet = query.Flag("q");
  order.traced = query.Text("version") == "2";
  RETURN_IF_ERROR(query.status());
  return order;
}

}  // namespace berth::docker
