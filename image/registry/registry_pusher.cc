#include "image/registry/registry_pusher.h"

#include <algorithm>
#include <utility>

#include "base/strings.h"
#include "image/registry/registry_request.h"

namespace berth::image {
namespace {

// What is in memory of a blob. Registries that set a minimum want 5 MiB.
constexpr size_t kPieceSize = 16 << 20;
constexpr size_t kMaxSources = 4;

std::string ScopeOf(const std::string& path,
                    const std::vector<std::string>& sources) {
  std::string scope = "repository:" + path + ":pull,push";
  for (const std::string& source : sources) {
    scope += " repository:" + source + ":pull";
  }
  return scope;
}

// The paths of those repositories that are in the same registry.
std::vector<std::string> PathsIn(const Reference& repository,
                                 const std::vector<std::string>& sources) {
  std::vector<std::string> paths;
  for (const std::string& source : sources) {
    const StatusOr<Reference> parsed = Reference::Parse(source);
    if (!parsed.ok() || parsed->domain() != repository.domain() ||
        parsed->path() == repository.path() || paths.size() >= kMaxSources) {
      continue;
    }
    paths.push_back(parsed->path());
  }
  return paths;
}

StatusOr<std::string> LocationOf(const HttpResponse& response,
                                 const std::string& asked) {
  const std::string location = response.Header("location");
  if (location.empty()) {
    return FailedPrecondition("the registry names no place for an upload");
  }
  return ResolveUrl(asked, location);
}

std::string WithQuery(const std::string& url, const std::string& query) {
  return url + (url.find('?') == std::string::npos ? "?" : "&") + query;
}

}  // namespace

RegistryPusher::RegistryPusher(const HttpClient& http,
                               const Reference& repository,
                               const RegistryHost& host,
                               const std::vector<std::string>& sources,
                               PushFunction progress)
    : http_(http),
      path_(repository.path()),
      host_(host),
      sources_(PathsIn(repository, sources)),
      progress_(std::move(progress)),
      authorizer_(http, ScopeOf(path_, sources_)) {}

void RegistryPusher::Report(const Descriptor& blob, PushProgress::State state,
                            uint64_t current, const std::string& from) {
  if (progress_) {
    progress_({blob.digest, state, current, blob.size, from});
  }
}

// A blob may have to go to another server, which gets none of our secrets.
StatusOr<HttpResponse> RegistryPusher::SendAnywhere(const Context& ctx,
                                                    HttpRequest request) {
  ASSIGN_OR_RETURN(const Url url, Url::Parse(request.url));
  ASSIGN_OR_RETURN(const Url own, Url::Parse(host_.api));
  if (url.SameServer(own)) {
    return SendToRegistry(ctx, http_, authorizer_, host_, std::move(request),
                          nullptr);
  }
  if (url.scheme != "https" && !host_.insecure()) {
    return FailedPrecondition("the registry sends a blob from https to " +
                              url.Printable());
  }
  return http_.Fetch(ctx, request);
}

StatusOr<HttpResponse> RegistryPusher::Send(const Context& ctx,
                                            HttpRequest request) {
  StatusOr<HttpResponse> response = SendAnywhere(ctx, request);
  const bool plain = host_.try_plain_http && !host_.insecure() &&
                     SpeaksNoTls(response.status());
  if (plain && StartsWith(request.url, host_.api)) {
    const std::string rest = request.url.substr(host_.api.size());
    host_.api = "http" + host_.api.substr(5);
    request.url = host_.api + rest;
    response = SendAnywhere(ctx, request);
  }
  RETURN_IF_ERROR(response.status());
  const bool asks = request.method == "HEAD" && response->status == 404;
  if (response->status >= 300 && !asks) {
    const StatusOr<Url> url = Url::Parse(request.url);
    return RegistryError(
        *response, request.method + " " + (url.ok() ? url->Printable() : ""));
  }
  return response;
}

StatusOr<bool> RegistryPusher::HasBlob(const Context& ctx,
                                       const Descriptor& blob) {
  HttpRequest request;
  request.method = "HEAD";
  request.url = host_.api + "/" + path_ + "/blobs/" + blob.digest.str();
  ASSIGN_OR_RETURN(const HttpResponse response, Send(ctx, request));
  return response.status == 200;
}

StatusOr<std::string> RegistryPusher::BeginUpload(const Context& ctx,
                                                  const Descriptor& blob) {
  const std::string uploads = "/" + path_ + "/blobs/uploads/";
  HttpRequest request;
  request.method = "POST";
  for (const std::string& source : sources_) {
    request.url = host_.api + uploads + "?mount=" + blob.digest.str() +
                  "&from=" + UrlEncode(source);
    const StatusOr<HttpResponse> response = Send(ctx, request);
    RETURN_IF_ERROR(ctx.Check());
    if (!response.ok()) continue;  // it may not be read there
    if (response->status == 201) {
      Report(blob, PushProgress::State::kMounted, 0, source);
      return std::string();
    }
    return LocationOf(*response, request.url);
  }
  request.url = host_.api + uploads;
  ASSIGN_OR_RETURN(const HttpResponse response, Send(ctx, request));
  return LocationOf(response, host_.api + uploads);
}

StatusOr<std::string> RegistryPusher::SendPiece(const Context& ctx,
                                                const std::string& location,
                                                uint64_t offset,
                                                std::string piece) {
  HttpRequest request;
  request.method = "PATCH";
  request.url = location;
  request.headers = {
      {"Content-Type", "application/octet-stream"},
      {"Content-Range", std::to_string(offset) + "-" +
                            std::to_string(offset + piece.size() - 1)}};
  request.body = std::move(piece);
  ASSIGN_OR_RETURN(const HttpResponse response, Send(ctx, request));
  return LocationOf(response, location);
}

Status RegistryPusher::Upload(const Context& ctx, const Descriptor& blob,
                              ByteSource& bytes, std::string location) {
  uint64_t sent = 0;
  std::string piece;
  while (true) {
    RETURN_IF_ERROR(ctx.Check());
    ASSIGN_OR_RETURN(const std::string_view more, bytes.Next());
    if (more.empty()) break;
    piece += more;
    if (piece.size() < kPieceSize) continue;
    const size_t size = piece.size();
    ASSIGN_OR_RETURN(location, SendPiece(ctx, location, sent,
                                         std::exchange(piece, std::string())));
    sent += size;
    Report(blob, PushProgress::State::kPushing, sent);
  }
  HttpRequest request;
  request.method = "PUT";
  if (sent > 0 && !piece.empty()) {
    ASSIGN_OR_RETURN(location,
                     SendPiece(ctx, location, sent, std::move(piece)));
  } else if (sent == 0) {
    request.headers = {{"Content-Type", "application/octet-stream"}};
    request.body = std::move(piece);
  }
  request.url = WithQuery(location, "digest=" + UrlEncode(blob.digest.str()));
  return Send(ctx, request).status();
}

Status RegistryPusher::PutBlob(const Context& ctx, const Descriptor& blob,
                               ByteSource& bytes) {
  Report(blob, PushProgress::State::kPreparing);
  const std::string what = "push blob " + blob.digest.str();
  ASSIGN_OR_RETURN_AS(const bool exists, HasBlob(ctx, blob), what);
  if (exists) {
    Report(blob, PushProgress::State::kExists);
    return OkStatus();
  }
  ASSIGN_OR_RETURN_AS(std::string location, BeginUpload(ctx, blob), what);
  if (location.empty()) return OkStatus();
  RETURN_IF_ERROR_AS(Upload(ctx, blob, bytes, std::move(location)), what);
  Report(blob, PushProgress::State::kPushed, blob.size);
  return OkStatus();
}

Status RegistryPusher::PutImage(const Context& ctx, const Entry& image) {
  for (const Reference& name : image.names) {
    HttpRequest request;
    request.method = "PUT";
    request.url = host_.api + "/" + path_ + "/manifests/" + name.Selector();
    request.headers = {{"Content-Type", image.descriptor.media_type}};
    request.body = image.bytes;
    RETURN_IF_ERROR_AS(Send(ctx, request).status(),
                       "push manifest " + Quoted(name.str()));
  }
  return OkStatus();
}

Status RegistryPusher::CheckLogin(const Context& ctx, const HttpClient& http,
                                  const RegistryHost& host) {
  ASSIGN_OR_RETURN(const Reference nowhere, Reference::Parse("login"));
  RegistryPusher session(http, nowhere, host, {}, nullptr);
  HttpRequest request;
  request.url = session.host_.api + "/";
  return session.Send(ctx, request).status();
}

}  // namespace berth::image
