#include "image/registry/registry_request.h"

#include "base/json.h"
#include "base/strings.h"

namespace berth::image {
namespace {

constexpr size_t kMaxErrorText = 512;

// The first of the registry's own error messages; it comes from outside, so it
// is cut and escaped.
std::string ErrorText(const HttpResponse& response) {
  const StatusOr<Json> json = ParseJson(response.body, "error");
  if (!json.ok() || !json->is_object()) return "";
  JsonReader reader(*json, "");
  for (const Json& error : reader.Array("errors")) {
    std::string code;
    std::string message;
    JsonReader entry(error, "");
    entry.Get("code", code);
    entry.Get("message", message);
    const std::string text = code + (code.empty() ? "" : ": ") + message;
    return ": " + Quoted(text.substr(0, kMaxErrorText));
  }
  return "";
}

}  // namespace

bool MayPass(int status) {
  return status == 408 || status == 429 || status == 500 || status == 502 ||
         status == 503 || status == 504;
}

Status RegistryError(const HttpResponse& response, const std::string& what) {
  const std::string text = what + ": status " +
                           std::to_string(response.status) +
                           ErrorText(response);
  switch (response.status) {
    case 401:
      return Error(StatusCode::kUnauthenticated, "unauthorized: " + text);
    case 403:
      return Error(StatusCode::kPermissionDenied, text);
    case 404:
      return NotFound(text);
    case 429:
      return Unavailable("toomanyrequests: " + text);
    default:
      if (MayPass(response.status)) return Unavailable(text);
      return FailedPrecondition(text);
  }
}

StatusOr<HttpResponse> SendToRegistry(
    const Context& ctx, const HttpClient& http, Authorizer& authorizer,
    const RegistryHost& host, HttpRequest request, const BodySink* sink) {
  request.tls = host.tls;
  request.connect_timeout = host.dial_timeout;
  request.allow_downgrade = host.insecure();
  for (const auto& header : host.headers) request.headers.push_back(header);
  const size_t plain = request.headers.size();
  // A token may have expired meanwhile, or its scope not suffice: one fresh one
  // is final.
  for (int refusals = 0;; ++refusals) {
    const std::string authorization = authorizer.HeaderFor(host);
    request.headers.resize(plain);
    if (!authorization.empty()) {
      request.headers.emplace_back("Authorization", authorization);
    }
    StatusOr<HttpResponse> response = sink != nullptr
                                          ? http.Download(ctx, request, *sink)
                                          : http.Fetch(ctx, request);
    if (!response.ok() || response->status != 401 || refusals >= 2) {
      return response;
    }
    RETURN_IF_ERROR(authorizer.Answer(ctx, host, *response, authorization));
  }
}

}  // namespace berth::image
