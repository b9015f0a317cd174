#include "docker/routes/image_names.h"

#include <utility>

#include "base/base64.h"
#include "base/strings.h"
#include "image/manifest.h"
#include "image/reference.h"

namespace berth::docker {

using image::Image;
using image::Reference;

std::vector<std::string> Familiar(const std::vector<std::string>& names) {
  std::vector<std::string> all;
  for (const std::string& name : names) {
    const StatusOr<Reference> reference = Reference::Parse(name);
    all.push_back(reference.ok() ? reference->Familiar() : name);
  }
  return all;
}

std::vector<std::string> NamesOf(const Image& image) {
  std::vector<std::string> names = image.repo_tags;
  names.insert(names.end(), image.repo_digests.begin(),
               image.repo_digests.end());
  return names;
}

StatusOr<Image> FindImage(const Engine& engine, const std::string& name) {
  StatusOr<Image> found = engine.images.Resolve(name);
  if (found.ok()) return found;
  // An invalid name matches no image.
  if (!IsNotFound(found.status()) &&
      found.status().code() != StatusCode::kInvalidArgument) {
    return found.status();
  }
  const StatusOr<Reference> reference = Reference::Parse(name);
  return NotFound("No such image: " +
                  (reference.ok() ? reference->Familiar() : name));
}

Status CheckPlatforms(const Call& call, const std::string& query) {
  const auto host = image::HostPlatform();
  const std::string own = host.os() + "/" + host.architecture();
  for (const std::string& text : QueryList(call, query)) {
    if (text.empty()) continue;
    ASSIGN_OR_RETURN(const Json json, ParseJson(text, query));
    const std::string wanted =
        json.Text("os") + "/" + json.Text("architecture");
    if (wanted == "/") return InvalidArgument("invalid " + query + ": " + text);
    if (wanted == own) continue;
    return NotFound(
        "image was found but does not match the specified platform: wanted " +
        wanted + ", actual: " + own);
  }
  return OkStatus();
}

Json DocumentOf(const Engine& engine, const Image& image) {
  const StatusOr<std::string> text = engine.images.ConfigJson(image.id());
  if (!text.ok()) return Json::object();
  StatusOr<Json> json = ParseJson(*text, "image configuration");
  return json.ok() && json->is_object() ? *std::move(json) : Json::object();
}

StatusOr<std::optional<Reference>> NewNameOf(const Call& call) {
  const std::string repo = call.Query("repo");
  const std::string tag = call.Query("tag");
  if (repo.empty()) return std::optional<Reference>();
  StatusOr<Reference> name =
      Reference::Parse(tag.empty() ? repo : repo + ":" + tag);
  if (!name.ok() || name->has_digest()) {
    return InvalidArgument("invalid reference format");
  }
  return std::optional<Reference>(*std::move(name));
}

std::vector<std::string> QueryList(const Call& call, const std::string& query) {
  const auto& all = call.http.request().query;
  const auto found = all.find(query);
  return found == all.end() ? std::vector<std::string>() : found->second;
}

std::map<std::string, std::string> LabelsOf(const Image& image) {
  const auto& labels = image.record.config().labels();
  return {labels.begin(), labels.end()};
}

void AddVirtualSize(const Call& call, const Image& image, Json& json) {
  if (call.version < 44) json["VirtualSize"] = image.record.size();
}

Json ImageSummary(const Call& call, const Image& image) {
  Json labels = LabelsOf(image);
  Json json = {{"Id", image.id()},
               {"ParentId", ""},
               {"RepoTags", Familiar(image.repo_tags)},
               {"RepoDigests", Familiar(image.repo_digests)},
               {"Created", image.record.created() / 1000000000},
               {"Size", image.record.size()},
               {"SharedSize", -1},
               {"Labels", labels.empty() ? Json() : labels},
               {"Containers", -1}};
  AddVirtualSize(call, image, json);
  return json;
}

StatusOr<image::RegistryAuth> RegistryAuthOf(const Call& call) {
  image::RegistryAuth auth;
  const std::string header = call.http.request().Header("x-registry-auth");
  if (header.empty()) return auth;
  ASSIGN_OR_RETURN_AS(const std::string text, Base64Decode(header),
                      "X-Registry-Auth");
  if (Trim(text).empty()) return auth;
  ASSIGN_OR_RETURN(const Json json, ParseJson(text, "X-Registry-Auth"));
  JsonReader reader(json, "X-Registry-Auth", JsonNames::kAnyCase);
  reader.Get("username", auth.username);
  reader.Get("password", auth.password);
  reader.Get("auth", auth.auth);
  reader.Get("serveraddress", auth.server_address);
  reader.Get("identitytoken", auth.identity_token);
  reader.Get("registrytoken", auth.registry_token);
  RETURN_IF_ERROR(reader.status());
  return auth;
}

}  // namespace berth::docker
