// What is asked of registries, beside pulls: docker push, docker login, and
// what a name means there.
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "docker/call.h"
#include "docker/engine.h"
#include "docker/routes/image_names.h"
#include "image/image_service.h"
#include "image/reference.h"

namespace berth::docker {
namespace {

using image::Image;
using image::PushProgress;
using image::Reference;

// The lines of a push. Writing them may block: that delays this client alone.
class PushReport {
 public:
  explicit PushReport(Call& call) : call_(call) {}

  Status Begin(const Reference& name) {
    RETURN_IF_ERROR(call_.http.BeginStream(200, "application/json"));
    const std::string familiar = name.Familiar();
    const std::string repository =
        familiar.substr(0, familiar.size() - name.Selector().size() - 1);
    return Say({{"status",
                 "The push refers to repository [" +
                     (name.domain() == "docker.io" ? "docker.io/" + name.path()
                                                   : repository) +
                     "]"}});
  }
  void Blob(const PushProgress& progress) {
    static constexpr const char* kWords[] = {"Preparing", "Pushing", "Pushed",
                                             "Layer already exists",
                                             "Mounted from "};
    Json line = {
        {"status", kWords[static_cast<size_t>(progress.state)] + progress.from},
        {"id", progress.blob.hex().substr(0, 12)},
        {"progressDetail", Json::object()}};
    if (progress.state == PushProgress::State::kPushing) {
      line["progressDetail"] = {{"current", progress.current},
                                {"total", progress.total}};
    }
    (void)Say(line);  // a client that has left ends the push by its context
  }
  Status Say(const Json& line) {
    return call_.http.Write(DumpJson(line) + "\r\n");
  }
  Status Fail(const std::string& why) {
    return Say({{"errorDetail", {{"message", why}}}, {"error", why}});
  }

 private:
  Call& call_;
};

Status PushOne(Engine& engine, Call& call, PushReport& report,
               const Reference& name, const image::RegistryAuth& auth) {
  const StatusOr<Image> image = engine.images.Resolve(name.str());
  if (!image.ok()) {
    return report.Fail("An image does not exist locally with the tag: " +
                       name.Familiar());
  }
  const Status pushed = engine.transfer.Push(
      call.ctx, image->id(), name, auth,
      [&report](const PushProgress& progress) { report.Blob(progress); });
  if (!pushed.ok()) return report.Fail(Message(pushed));
  const std::string& digest = image->record.manifest_digest();
  const StatusOr<uint64_t> size = engine.images.BlobSize(digest);
  const uint64_t bytes = size.ok() ? *size : 0;
  RETURN_IF_ERROR(
      report.Say({{"status", name.tag() + ": digest: " + digest +
                                 " size: " + std::to_string(bytes)}}));
  engine.events.Publish("image", "push", name.Familiar(),
                        {{"name", name.Familiar()}});
  return report.Say(
      {{"progressDetail", Json::object()},
       {"aux", {{"Tag", name.tag()}, {"Digest", digest}, {"Size", bytes}}}});
}

// Of a repository without a tag: all that there are here.
StatusOr<std::vector<Reference>> NamesToPush(const Engine& engine,
                                             const Call& call) {
  const std::string tag = call.Query("tag");
  const StatusOr<Reference> name =
      Reference::Parse(tag.empty() ? call.name : call.name + ":" + tag);
  if (!name.ok() || name->has_digest()) {
    return InvalidArgument("invalid reference format");
  }
  const bool has_tag =
      !tag.empty() ||
      call.name.find(':', call.name.rfind('/') + 1) != std::string::npos;
  if (has_tag) return std::vector<Reference>{*name};
  ASSIGN_OR_RETURN(const std::vector<Image> images, engine.images.List({}));
  std::vector<Reference> all;
  for (const Image& image : images) {
    for (const std::string& one : image.repo_tags) {
      StatusOr<Reference> other = Reference::Parse(one);
      if (other.ok() && other->name() == name->name()) {
        all.push_back(*std::move(other));
      }
    }
  }
  if (all.empty()) all.push_back(*name);
  return all;
}

Status Push(Engine& engine, Call& call) {
  RETURN_IF_ERROR(CheckPlatforms(call, "platform"));
  ASSIGN_OR_RETURN(const image::RegistryAuth auth, RegistryAuthOf(call));
  ASSIGN_OR_RETURN(const std::vector<Reference> names,
                   NamesToPush(engine, call));
  PushReport report(call);
  RETURN_IF_ERROR(report.Begin(names[0]));
  for (const Reference& name : names) {
    RETURN_IF_ERROR(PushOne(engine, call, report, name, auth));
  }
  return OkStatus();
}

// "https://index.docker.io/v1/" and the like.
std::string DomainOf(const std::string& server_address) {
  std::string domain = server_address;
  const size_t scheme = domain.find("://");
  if (scheme != std::string::npos) domain.erase(0, scheme + 3);
  domain = domain.substr(0, domain.find('/'));
  const bool hub =
      domain.empty() || domain == "docker.io" || EndsWith(domain, ".docker.io");
  return hub ? "docker.io" : domain;
}

Status Login(Engine& engine, Call& call) {
  ASSIGN_OR_RETURN(const Json body, call.Body());
  JsonReader reader(body, "login", JsonNames::kAnyCase);
  image::RegistryAuth auth;
  reader.Get("username", auth.username);
  reader.Get("password", auth.password);
  reader.Get("auth", auth.auth);
  reader.Get("serveraddress", auth.server_address);
  reader.Get("identitytoken", auth.identity_token);
  RETURN_IF_ERROR(reader.status());
  const std::string domain = DomainOf(auth.server_address);
  auth.server_address = domain == "docker.io" ? "" : domain;
  const Status login = engine.transfer.Login(call.ctx, domain, auth);
  if (login.code() == StatusCode::kUnauthenticated ||
      login.code() == StatusCode::kPermissionDenied) {
    return Error(StatusCode::kUnauthenticated,
                 "login attempt to " + domain +
                     " failed: unauthorized: incorrect username or password");
  }
  if (login.code() == StatusCode::kUnavailable ||
      login.code() == StatusCode::kNotFound) {
    return Internal(Message(login));
  }
  RETURN_IF_ERROR(login);
  return call.Reply(200,
                    {{"Status", "Login Succeeded"}, {"IdentityToken", ""}});
}

Json PlatformJson(const image::Platform& platform) {
  Json json = {{"architecture", platform.architecture()},
               {"os", platform.os()}};
  if (!platform.variant().empty()) json["variant"] = platform.variant();
  return json;
}

// /distribution/NAME/json.
Status Distribution(Engine& engine, Call& call) {
  const StatusOr<Reference> name = Reference::Parse(call.name);
  if (!name.ok()) return InvalidArgument("invalid reference format");
  ASSIGN_OR_RETURN(const image::RegistryAuth auth, RegistryAuthOf(call));
  StatusOr<image::Transfer::Remote> remote =
      engine.transfer.Look(call.ctx, *name, auth);
  if (remote.status().code() == StatusCode::kUnavailable) {
    return Internal(Message(remote.status()));
  }
  RETURN_IF_ERROR(remote.status());
  Json platforms = Json::array();
  for (const image::Platform& platform : remote->platforms) {
    platforms.push_back(PlatformJson(platform));
  }
  const image::Descriptor& descriptor = remote->descriptor;
  return call.Reply(200, {{"Descriptor",
                           {{"mediaType", descriptor.media_type},
                            {"digest", descriptor.digest.str()},
                            {"size", descriptor.size}}},
                          {"Platforms", std::move(platforms)}});
}

}  // namespace

std::vector<Route> RegistryRoutes() {
  return {{"POST", "/images/{name...}/push", Push},
          {"POST", "/auth", Login},
          {"GET", "/distribution/{name...}/json", Distribution}};
}

}  // namespace berth::docker
