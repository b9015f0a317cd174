// Images: pull, list, inspect, tag, delete.
#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "base/digest.h"
#include "base/rfc3339.h"
#include "base/strings.h"
#include "docker/call.h"
#include "docker/container_json.h"
#include "docker/convert/filters.h"
#include "docker/convert/patterns.h"
#include "docker/engine.h"
#include "docker/routes/disk_usage.h"
#include "docker/routes/image_manifests.h"
#include "docker/routes/image_names.h"
#include "image/image_service.h"
#include "image/manifest.h"
#include "image/reference.h"

namespace berth::docker {
namespace {

using image::Image;
using image::Progress;
using image::Reference;

// The lines of a pull. The stream begins with the first of them, so that what
// fails before is a plain error. Writing them may block: that delays nobody but
// this client (Transfer::Pull). Single-threaded.
class PullReport {
 public:
  PullReport(Call& call, Reference reference)
      : call_(call), reference_(std::move(reference)) {}

  void Layer(const Progress& progress) {
    static constexpr const char* kWords[] = {"Pulling fs layer", "Downloading",
                                             "Extracting", "Pull complete",
                                             "Already exists"};
    const auto state = static_cast<size_t>(progress.state);
    Json line = {{"status", kWords[state]},
                 {"id", progress.layer.hex().substr(0, 12)},
                 {"progressDetail", Json::object()}};
    if (progress.state == Progress::State::kDownloading && progress.total > 0) {
      line["progressDetail"] = {{"current", progress.current},
                                {"total", progress.total}};
    }
    Say(line);
  }

  // From here on it is of this one.
  void Begin(Reference reference) {
    reference_ = std::move(reference);
    titled_ = false;
  }

  void Say(const Json& line) {
    if (!begun_) {
      begun_ = true;
      alive_ = call_.http.BeginStream(200, "application/json").ok();
    }
    if (!titled_) {
      titled_ = true;
      const std::string selector = reference_.has_digest()
                                       ? reference_.digest().str()
                                       : reference_.tag();
      Put({{"status", "Pulling from " + Repository()}, {"id", selector}});
    }
    Put(line);
  }

  // OK also for a failure that the stream could still carry.
  Status Fail(const Status& status) {
    if (!begun_) return status;
    Say({{"errorDetail", {{"message", Message(status)}}},
         {"error", Message(status)}});
    return OkStatus();
  }

 private:
  void Put(const Json& line) {
    if (alive_) alive_ = call_.http.Write(DumpJson(line) + "\r\n").ok();
  }

  std::string Repository() const { return reference_.path(); }

  Call& call_;
  Reference reference_;
  bool begun_ = false;
  bool titled_ = false;
  bool alive_ = true;
};

Status PullError(const Status& status, const Reference& reference) {
  const std::string name = reference.Familiar();
  if (IsNotFound(status)) {
    return NotFound("manifest for " + name +
                    " not found: manifest unknown: " + Message(status));
  }
  if (status.code() == StatusCode::kUnauthenticated ||
      status.code() == StatusCode::kPermissionDenied) {
    return NotFound("pull access denied for " + name +
                    ", repository does not exist or may require 'docker "
                    "login': " +
                    Message(status));
  }
  if (status.code() == StatusCode::kUnavailable) {
    return Internal(Message(status));
  }
  return status;
}

// This machine's own is what is pulled.
Status CheckPlatform(const Call& call) {
  const std::string platform = call.Query("platform");
  const auto host = image::HostPlatform();
  const std::string own = host.os() + "/" + host.architecture();
  if (platform.empty() || platform == own || StartsWith(platform, own + "/")) {
    return OkStatus();
  }
  return Unimplemented("query parameter platform: " + Quoted(platform) +
                       " is not supported, only " + own);
}

// One tag or digest, told line by line. OK also for a failure that the stream
// could still carry: then false.
StatusOr<bool> PullOne(Engine& engine, Call& call, const Reference& reference,
                       const image::RegistryAuth& auth, PullReport& report) {
  const StatusOr<Image> before = engine.images.Resolve(reference.str());
  const StatusOr<Image> pulled = engine.transfer.Pull(
      call.ctx, reference, auth, engine.settings.blobs,
      [&](const Progress& progress) { report.Layer(progress); });
  if (!pulled.ok()) {
    RETURN_IF_ERROR(report.Fail(PullError(pulled.status(), reference)));
    return false;
  }
  const bool same = before.ok() && before->id() == pulled->id();
  const std::string digest = pulled->record.index_digest().empty()
                                 ? pulled->record.manifest_digest()
                                 : pulled->record.index_digest();
  report.Say({{"status", "Digest: " + digest}});
  report.Say({{"status", (same ? "Status: Image is up to date for "
                               : "Status: Downloaded newer image for ") +
                             reference.Familiar()}});
  engine.events.Publish("image", "pull", reference.Familiar(),
                        {{"name", reference.Familiar()}});
  return true;
}

// Every tag of a repository (docker pull -a), one after the other.
Status PullAll(Engine& engine, Call& call, const std::string& from) {
  const StatusOr<Reference> repository = Reference::Parse(from);
  if (!repository.ok()) {
    return InvalidArgument("invalid reference format: " +
                           Message(repository.status()));
  }
  RETURN_IF_ERROR(CheckPlatform(call));
  ASSIGN_OR_RETURN(const image::RegistryAuth auth, RegistryAuthOf(call));
  const StatusOr<std::vector<std::string>> tags =
      engine.transfer.ListTags(call.ctx, *repository, auth);
  if (!tags.ok()) return PullError(tags.status(), *repository);
  if (tags->empty()) return NotFound("no tags of " + repository->name());
  PullReport report(call, *repository);
  for (const std::string& tag : *tags) {
    ASSIGN_OR_RETURN(const Reference reference,
                     Reference::Parse(repository->name() + ":" + tag));
    report.Begin(reference);
    ASSIGN_OR_RETURN(const bool pulled,
                     PullOne(engine, call, reference, auth, report));
    if (!pulled) return OkStatus();
  }
  return OkStatus();
}

Status Pull(Engine& engine, Call& call) {
  if (!call.Query("fromSrc").empty()) return ImportImage(engine, call);
  RETURN_IF_ERROR(call.Refuse({"repo", "message", "changes"}));
  const std::string from = call.Query("fromImage");
  const std::string tag = call.Query("tag");
  if (from.empty()) return InvalidArgument("fromImage or fromSrc is missing");
  if (tag.empty() && from.find('@') == std::string::npos &&
      from.find(':', from.rfind('/') + 1) == std::string::npos) {
    return PullAll(engine, call, from);
  }
  const std::string name =
      tag.empty() ? from
                  : from + (StartsWith(tag, "sha256:") ? "@" : ":") + tag;
  const StatusOr<Reference> reference = Reference::Parse(name);
  if (!reference.ok()) {
    return InvalidArgument("invalid reference format: " +
                           Message(reference.status()));
  }
  RETURN_IF_ERROR(CheckPlatform(call));
  ASSIGN_OR_RETURN(const image::RegistryAuth auth, RegistryAuthOf(call));
  PullReport report(call, *reference);
  return PullOne(engine, call, *reference, auth, report).status();
}
// Those of the names that a pattern of the filter matches: as a whole, or
// without the tag or digest.
std::vector<std::string> Matching(const Patterns& patterns,
                                  const std::vector<std::string>& names) {
  std::vector<std::string> matching;
  for (const std::string& name : names) {
    const StatusOr<Reference> reference = Reference::Parse(name);
    if (!reference.ok()) continue;
    const std::string familiar = reference->Familiar();
    const size_t selector = familiar.size() - reference->Selector().size() - 1;
    if (patterns.Match(familiar) ||
        patterns.Match(familiar.substr(0, selector))) {
      matching.push_back(name);
    }
  }
  return matching;
}

// "before" and "since" name an image: by its age. 0: no such filter.
StatusOr<int64_t> CreatedOf(const Engine& engine, const Filters& filters,
                            const std::string& key) {
  if (!filters.Has(key)) return 0;
  ASSIGN_OR_RETURN(const Image image,
                   FindImage(engine, *filters.Of(key).begin()));
  return image.record.created();
}

// What a list of images asks for, by their age.
struct Ages {
  int64_t before = 0;
  int64_t since = 0;
  int64_t until = 0;

  static StatusOr<Ages> Of(const Engine& engine, const Filters& filters) {
    Ages ages;
    ASSIGN_OR_RETURN(ages.before, CreatedOf(engine, filters, "before"));
    ASSIGN_OR_RETURN(ages.since, CreatedOf(engine, filters, "since"));
    ASSIGN_OR_RETURN(ages.until, UntilOf(filters));
    return ages;
  }
  bool Match(const Image& image) const {
    const int64_t created = image.record.created();
    return (before == 0 || created < before) &&
           (since == 0 || created > since) && (until == 0 || created < until);
  }
};

// From version 1.48 of the API on, the descriptor; with the query `manifests`,
// known since `version`, what it stands for.
void AddManifests(const Engine& engine, const Call& call, const Image& image,
                  int version, Json& json) {
  if (call.version >= 48) {
    Json descriptor = DescriptorJson(engine, image);
    if (!descriptor.is_null()) json["Descriptor"] = std::move(descriptor);
  }
  if (call.version >= version && call.Flag("manifests")) {
    json["Manifests"] = ManifestsJson(engine, image);
  }
}

Status List(Engine& engine, Call& call) {
  static const auto& known = *new std::set<std::string>{
      "before", "dangling", "label", "reference", "since", "until"};
  ASSIGN_OR_RETURN(const Filters filters,
                   Filters::Parse(call.Query("filters"), known));
  RETURN_IF_ERROR(filters.CheckFlag("dangling"));
  ASSIGN_OR_RETURN(const Ages ages, Ages::Of(engine, filters));
  ASSIGN_OR_RETURN(std::vector<Image> images, engine.images.List({}));
  std::sort(images.begin(), images.end(), [](const Image& a, const Image& b) {
    return a.record.created() > b.record.created();
  });
  ASSIGN_OR_RETURN(const Patterns patterns,
                   Patterns::Globs(filters.Of("reference")));
  const bool wants_shared = call.Flag("shared-size");
  std::optional<SharedSizes> shared;
  if (wants_shared) shared.emplace(engine, images);
  if (call.version >= 54 && call.Flag("identity") && !call.Flag("manifests")) {
    return InvalidArgument(
        "conflicting options: identity requires manifests=1");
  }
  const std::map<std::string, int> users = ContainersByImage(AllViews(engine));
  Json list = Json::array();
  for (Image& image : images) {
    if (!filters.Any("dangling",
                     [&](auto& w) {
                       return w == "true" || w == "1" ? image.repo_tags.empty()
                                                      : !NamesOf(image).empty();
                     }) ||
        !filters.MatchLabels(LabelsOf(image)) || !ages.Match(image)) {
      continue;
    }
    if (filters.Has("reference")) {
      image.repo_tags = Matching(patterns, image.repo_tags);
      image.repo_digests = Matching(patterns, image.repo_digests);
      if (NamesOf(image).empty()) continue;
    }
    Json& row = list.push_back(ImageSummary(call, image));
    AddManifests(engine, call, image, 47, row);
    if (shared) row["SharedSize"] = shared->Of(image);
    if (call.version < 51) continue;
    const auto found = users.find(image.id());
    row["Containers"] = found == users.end() ? 0 : found->second;
  }
  return call.Reply(200, list);
}

// Of the document, or of its last step.
std::string CommentOf(const Json& document) {
  const Json* const history = document.Find("history");
  const std::string comment = document.Text("comment");
  if (!comment.empty() || history == nullptr || history->empty()) {
    return comment;
  }
  return history->elements().back().Text("comment");
}

// Before API 1.50 the configuration of an image had every member that a
// container's has.
void AddUnset(Json& config) {
  const auto add = [&](const char* member, const Json& value) {
    if (config.Find(member) == nullptr) config[member] = value;
  };
  for (const char* member : {"AttachStderr", "AttachStdin", "AttachStdout",
                             "OpenStdin", "StdinOnce", "Tty"}) {
    add(member, false);
  }
  for (const char* member :
       {"Domainname", "Hostname", "Image", "User", "WorkingDir"}) {
    add(member, "");
  }
  for (const char* member :
       {"Cmd", "Entrypoint", "Env", "Labels", "OnBuild", "Volumes"}) {
    add(member, nullptr);
  }
}

// What says nothing is left out, from API 1.52 on.
void DropEmpty(Json& json) {
  const auto drop = [](Json& from, std::initializer_list<const char*> members) {
    for (const char* member : members) {
      const Json* const value = from.Find(member);
      if (value == nullptr || *value == "" ||
          (!value->is_string() && value->empty())) {
        from.erase(member);
      }
    }
  };
  drop(json, {"Author", "Comment", "DockerVersion", "Parent", "Variant"});
  drop(json["Config"], {"Cmd", "Entrypoint", "Env", "Labels", "OnBuild", "User",
                        "Volumes", "WorkingDir"});
}

Status Inspect(Engine& engine, Call& call) {
  ASSIGN_OR_RETURN(const Image image, FindImage(engine, call.name));
  RETURN_IF_ERROR(CheckPlatforms(call, "platform"));
  const auto& record = image.record;
  const Json document = DocumentOf(engine, image);
  const Json* const config = document.Find("config");
  Json json = {
      {"Id", image.id()},
      {"RepoTags", Familiar(image.repo_tags)},
      {"RepoDigests", Familiar(image.repo_digests)},
      {"Parent", ""},
      {"Comment", CommentOf(document)},
      {"Created", TimeText(record.created())},
      {"DockerVersion", ""},
      {"Author", record.author()},
      {"Config", config == nullptr ? Json::object() : *config},
      {"Architecture", record.platform().architecture()},
      {"Variant", record.platform().variant()},
      {"Os", record.platform().os()},
      {"Size", record.size()},
      {"GraphDriver", {{"Name", "overlay2"}, {"Data", nullptr}}},
      {"RootFS",
       {{"Type", "layers"},
        {"Layers", std::vector<std::string>(record.diff_ids().begin(),
                                            record.diff_ids().end())}}},
      {"Metadata", {{"LastTagTime", TimeText(record.pulled())}}}};
  if (call.version < 50) AddUnset(json["Config"]);
  if (call.version >= 52) DropEmpty(json);
  AddVirtualSize(call, image, json);
  AddManifests(engine, call, image, 48, json);
  return call.Reply(200, json);
}

Status Tag(Engine& engine, Call& call) {
  ASSIGN_OR_RETURN(const Image image, FindImage(engine, call.name));
  ASSIGN_OR_RETURN(const auto name, NewNameOf(call));
  if (!name) return InvalidArgument("invalid reference format");
  RETURN_IF_ERROR(engine.images.Tag(image.id(), *name));
  engine.events.Publish("image", "tag", image.id(),
                        {{"name", name->Familiar()}});
  return call.Reply(201);
}

// Containers made from the image, running ones first.
const View* UserOf(const std::vector<View>& views, const std::string& id) {
  const View* user = nullptr;
  for (const View& view : views) {
    if (view.container->config().image_id() != id) continue;
    if (view.running()) return &view;
    user = &view;
  }
  return user;
}

// Whether the image was named, rather than found by its id.
bool IsNameOf(const std::string& text, const Image& image) {
  const StatusOr<Reference> asked = Reference::Parse(text);
  if (!asked.ok()) return false;
  const auto same = [&](const std::string& name) {
    const StatusOr<Reference> has = Reference::Parse(name);
    return has.ok() && has->str() == asked->str();
  };
  return std::any_of(image.repo_tags.begin(), image.repo_tags.end(), same) ||
         std::any_of(image.repo_digests.begin(), image.repo_digests.end(),
                     same);
}

// At most one tag, and no digests but that repository's.
bool HasOneReference(const Image& image) {
  if (NamesOf(image).size() <= 1) return true;
  if (image.repo_tags.size() > 1) return false;
  std::set<std::string> repositories;
  for (const std::string& name : NamesOf(image)) {
    const StatusOr<Reference> reference = Reference::Parse(name);
    if (reference.ok()) repositories.insert(reference->name());
  }
  return repositories.size() == 1;
}

// dockerd's rules: what must not go, or only by force.
Status CheckDelete(const Call& call, const Image& image, const View* user,
                   bool by_id) {
  const bool force = call.Flag("force");
  const bool single = HasOneReference(image);
  const std::string what = call.name.substr(0, 12);
  if (by_id && !single && !force) {
    return FailedPrecondition(
        "conflict: unable to delete " + what +
        " (must be forced) - image is referenced in multiple repositories");
  }
  if (user == nullptr) return OkStatus();
  const std::string container = user->id().substr(0, 12);
  if (by_id && user->running()) {
    return FailedPrecondition("conflict: unable to delete " + what +
                              " (cannot be forced) - image is being used by "
                              "running container " +
                              container);
  }
  if (by_id && !force) {
    return FailedPrecondition("conflict: unable to delete " + what +
                              " (must be forced) - image is being used by "
                              "stopped container " +
                              container);
  }
  if (!by_id && single && !force) {
    return FailedPrecondition(
        "conflict: unable to remove repository reference \"" + call.name +
        "\" (must force) - container " + container +
        " is using its referenced image " + image.id().substr(7, 12));
  }
  return OkStatus();
}

// Removes what was named: one name, and the image with its last; or an image
// by its id, with all names.
Status Delete(Engine& engine, Call& call) {
  ASSIGN_OR_RETURN(const Image image, FindImage(engine, call.name));
  RETURN_IF_ERROR(CheckPlatforms(call, "platforms"));
  const bool by_id = !IsNameOf(call.name, image);
  if (by_id && call.name.find('@') != std::string::npos) {
    return NotFound("No such image: " + call.name);
  }
  const std::vector<View> views = AllViews(engine);
  RETURN_IF_ERROR(CheckDelete(call, image, UserOf(views, image.id()), by_id));
  if (by_id) {
    RETURN_IF_ERROR(engine.images.Remove(image.id()));
  } else {
    ASSIGN_OR_RETURN(const Reference name, Reference::Parse(call.name));
    RETURN_IF_ERROR(engine.images.RemoveName(name));
  }
  const StatusOr<Image> left = engine.images.Resolve(image.id());
  const std::vector<std::string> kept =
      left.ok() ? NamesOf(*left) : std::vector<std::string>();
  Json deleted = Json::array();
  for (const std::string& name : NamesOf(image)) {
    if (std::find(kept.begin(), kept.end(), name) != kept.end()) continue;
    const std::string familiar = Familiar({name})[0];
    deleted.push_back({{"Untagged", familiar}});
    engine.events.Publish("image", "untag", image.id(), {{"name", familiar}});
  }
  if (IsNotFound(left.status())) {
    deleted.push_back({{"Deleted", image.id()}});
    engine.events.Publish("image", "delete", image.id(),
                          {{"name", image.id()}});
  }
  return call.Reply(200, deleted);
}

// One step of an image's history, which made a layer of `size` bytes.
StatusOr<Json> HistoryLine(const Json& step, uint64_t size) {
  JsonReader reader(step, "history");
  std::string created;
  std::string by;
  std::string comment;
  reader.Get("created", created);
  reader.Get("created_by", by);
  reader.Get("comment", comment);
  RETURN_IF_ERROR(reader.status());
  return Json{{"Id", "<missing>"},
              {"Created", ParseRfc3339(created).value_or(0) / 1000000000},
              {"CreatedBy", by},
              {"Tags", nullptr},
              {"Size", size},
              {"Comment", comment}};
}

// From the image's own history, newest first. Each step that is not marked as
// empty has made the next layer.
Status History(Engine& engine, Call& call) {
  ASSIGN_OR_RETURN(const Image image, FindImage(engine, call.name));
  RETURN_IF_ERROR(CheckPlatforms(call, "platform"));
  ASSIGN_OR_RETURN(const std::string text,
                   engine.images.ConfigJson(image.id()));
  ASSIGN_OR_RETURN(const Json json, ParseJson(text, "image configuration"));
  ASSIGN_OR_RETURN(const auto layers, engine.images.LayersOf(image));
  JsonReader reader(json, "image configuration");
  std::vector<Json> lines;
  size_t layer = 0;
  for (const Json& step : reader.Array("history")) {
    const Json* const empty = step.Find("empty_layer");
    const bool has_layer = empty == nullptr || empty->AsBool() != true;
    const uint64_t size =
        has_layer && layer < layers.size() ? layers[layer].bytes : 0;
    if (has_layer) ++layer;
    ASSIGN_OR_RETURN(Json line, HistoryLine(step, size));
    lines.push_back(std::move(line));
  }
  RETURN_IF_ERROR(reader.status());
  std::reverse(lines.begin(), lines.end());
  if (!lines.empty()) {
    lines[0]["Id"] = image.id();
    lines[0]["Tags"] = Familiar(image.repo_tags);
  }
  return call.Reply(200, lines);
}

}  // namespace

std::vector<Route> ImageRoutes() {
  return {{"POST", "/images/create", Pull},
          {"GET", "/images/json", List},
          {"GET", "/images/{name...}/json", Inspect},
          {"GET", "/images/{name...}/history", History},
          {"POST", "/images/{name...}/tag", Tag},
          {"DELETE", "/images/{name...}", Delete}};
}

}  // namespace berth::docker
