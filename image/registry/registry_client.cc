#include "image/registry/registry_client.h"

#include <poll.h>

#include <algorithm>
#include <optional>
#include <random>
#include <utility>

#include "base/json.h"
#include "base/strings.h"

namespace berth::image {
namespace {

constexpr char kManifestTypes[] =
    "application/vnd.oci.image.index.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.v2+json, */*";
constexpr uint64_t kProgressThatCounts = 1 << 20;
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

Status ErrorFrom(const HttpResponse& response, const std::string& what) {
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
    case 408:
    case 500:
    case 502:
    case 503:
    case 504:
      return Unavailable(text);
    case 429:
      return ResourceExhausted("toomanyrequests: " + text);
    default:
      return FailedPrecondition(text);
  }
}

bool MayPass(const Status& status) {
  return status.code() == StatusCode::kUnavailable ||
         (status.code() == StatusCode::kResourceExhausted &&
          Message(status).find("toomanyrequests") != std::string::npos);
}

// Nobody is asked again after these.
bool IsFinal(const Context& ctx, const Status& status) {
  return !ctx.Check().ok() || status.code() == StatusCode::kCancelled ||
         status.code() == StatusCode::kDeadlineExceeded;
}

// Seconds or a date (RFC 9110, 10.2.3); zero: none.
Duration RetryAfter(const HttpResponse& response) {
  const std::string text = response.Header("retry-after");
  if (const std::optional<uint64_t> seconds = ParseUint(text)) {
    return std::chrono::seconds(std::min<uint64_t>(*seconds, 86'400));
  }
  const std::optional<time_t> date = HttpDate(text);
  if (!date) return Duration(0);
  return std::max(Duration(0),
                  Duration(std::chrono::seconds(*date) - Duration(Now())));
}

Status CheckRange(const HttpResponse& head, uint64_t offset) {
  // "bytes 100-199/200"
  const std::string range = head.Header("content-range");
  const std::string wanted = "bytes " + std::to_string(offset) + "-";
  if (!StartsWith(Lower(range), wanted)) {
    return Unavailable("registry answers with another range: " +
                       Quoted(range.substr(0, 80)));
  }
  return OkStatus();
}

}  // namespace

RegistryClient::RegistryClient(const HttpClient& http,
                               const Reference& reference,
                               std::vector<RegistryHost> hosts,
                               Credential credential, RetryPolicy policy)
    : http_(http),
      reference_(reference),
      policy_(policy),
      authorizer_(http, std::move(credential),
                  "repository:" + reference.path() + ":pull"),
      hosts_(std::move(hosts)) {}

RegistryHost RegistryClient::HostAt(size_t index) const {
  MutexLock lock(mutex_);
  return hosts_[index];
}

std::vector<size_t> RegistryClient::Order(bool to_resolve) const {
  MutexLock lock(mutex_);
  std::vector<size_t> order;
  for (size_t i = 0; i < hosts_.size(); ++i) {
    if (to_resolve ? hosts_[i].can_resolve : hosts_[i].can_pull) {
      order.push_back(i);
    }
  }
  std::stable_partition(
      order.begin(), order.end(),
      [this](size_t i) NO_THREAD_SAFETY_ANALYSIS { return i == preferred_; });
  return order;
}

Status RegistryClient::Wait(const Context& ctx, int attempt,
                            Duration retry_after) const {
  static thread_local std::minstd_rand random(std::random_device{}());
  Duration delay = policy_.first_delay * (1LL << std::min(attempt, 16));
  delay = std::min(delay, policy_.max_delay);
  delay = std::chrono::nanoseconds(std::uniform_int_distribution<int64_t>(
      delay.count() / 2, delay.count())(random));
  if (retry_after.count() > 0) {
    delay = std::min(retry_after, policy_.max_retry_after);
  }
  const SteadyTime until = std::chrono::steady_clock::now() + delay;
  while (true) {
    RETURN_IF_ERROR(ctx.Check());
    const Duration left = until - std::chrono::steady_clock::now();
    if (left.count() <= 0) return OkStatus();
    pollfd cancel = {ctx.cancel_fd(), POLLIN, 0};
    const auto wait = std::chrono::duration_cast<std::chrono::milliseconds>(
        ctx.Remaining(left));
    poll(&cancel, 1, static_cast<int>(wait.count()) + 1);
  }
}

StatusOr<HttpResponse> RegistryClient::SendTo(const Context& ctx,
                                              const RegistryHost& host,
                                              const std::string& path,
                                              HttpRequest request,
                                              const BodySink* sink) {
  request.url = host.api + "/" + reference_.path() + "/" + path;
  // A mirror of many registries has to know which one is meant.
  if (!host.is_upstream) {
    request.url += "?ns=" + UrlEncode(reference_.domain());
  }
  request.tls = host.tls;
  request.connect_timeout = host.dial_timeout;
  request.allow_downgrade = host.insecure();
  for (const auto& header : host.headers) request.headers.push_back(header);
  const size_t plain = request.headers.size();
  // A token may have expired meanwhile, or its scope not suffice: one fresh one
  // is final.
  for (int refusals = 0;; ++refusals) {
    const std::string authorization = authorizer_.HeaderFor(host);
    request.headers.resize(plain);
    if (!authorization.empty()) {
      request.headers.emplace_back("Authorization", authorization);
    }
    StatusOr<HttpResponse> response = sink != nullptr
                                          ? http_.Download(ctx, request, *sink)
                                          : http_.Fetch(ctx, request);
    if (!response.ok() || response->status != 401 || refusals >= 2) {
      return response;
    }
    RETURN_IF_ERROR(authorizer_.Answer(ctx, host, *response, authorization));
  }
}

StatusOr<HttpResponse> RegistryClient::Send(const Context& ctx, size_t index,
                                            const std::string& path,
                                            const HttpRequest& request,
                                            const BodySink* sink,
                                            Duration* retry_after) {
  RegistryHost host = HostAt(index);
  StatusOr<HttpResponse> response = SendTo(ctx, host, path, request, sink);
  if (host.try_plain_http && !host.insecure() &&
      SpeaksNoTls(response.status())) {
    host.api = "http" + host.api.substr(5);
    response = SendTo(ctx, host, path, request, sink);
    if (response.ok()) {
      MutexLock lock(mutex_);
      hosts_[index].api = host.api;
    }
  }
  if (!response.ok()) return response.status();
  if (response->status >= 300) {
    *retry_after = RetryAfter(*response);
    return ErrorFrom(*response, request.method + " " + host.api + "/" +
                                    reference_.path() + "/" + path);
  }
  return response;
}

StatusOr<ImageSource::Fetched> RegistryClient::GetFrom(
    const Context& ctx, size_t index, const Descriptor& wanted,
    const std::string& selector) {
  HttpRequest request;
  request.headers = {{"Accept", kManifestTypes}};
  request.max_body = kMaxManifestBytes;
  StatusOr<HttpResponse> response = Unavailable("not asked");
  for (int attempt = 0;; ++attempt) {
    Duration retry_after(0);
    response = Send(ctx, index, "manifests/" + selector, request, nullptr,
                    &retry_after);
    if (response.ok() || !MayPass(response.status()) ||
        attempt + 1 >= policy_.tries) {
      break;
    }
    RETURN_IF_ERROR(Wait(ctx, attempt, retry_after));
  }
  if (!response.ok()) return response.status();
  Fetched fetched;
  fetched.bytes = std::move(response->body);
  fetched.descriptor = wanted;
  const std::string type = response->Header("content-type");
  fetched.descriptor.media_type =
      std::string(Trim(type.substr(0, type.find(';'))));
  fetched.descriptor.size = fetched.bytes.size();
  fetched.descriptor.digest = Digest::Of(fetched.bytes);
  const Digest& digest = fetched.descriptor.digest;
  if ((!wanted.digest.empty() && digest != wanted.digest) ||
      (wanted.size != 0 && wanted.size != fetched.bytes.size())) {
    return DataLoss("manifest " + wanted.digest.str() + ": got " +
                    digest.str() + " of " +
                    std::to_string(fetched.bytes.size()) + " bytes");
  }
  const std::string claimed = response->Header("docker-content-digest");
  if (StartsWith(claimed, "sha256:") && claimed != digest.str()) {
    return DataLoss("manifest " + Quoted(selector) + " has digest " +
                    digest.str() + ", its server says " + Quoted(claimed));
  }
  return fetched;
}

StatusOr<ImageSource::Fetched> RegistryClient::GetFromAny(
    const Context& ctx, const Descriptor& wanted, const std::string& selector,
    bool to_resolve) {
  StatusOr<Fetched> fetched =
      FailedPrecondition("no host of " + reference_.domain() + " may be asked");
  for (const size_t index : Order(to_resolve)) {
    fetched = GetFrom(ctx, index, wanted, selector);
    if (fetched.ok()) {
      MutexLock lock(mutex_);
      preferred_ = index;
      return fetched;
    }
    if (IsFinal(ctx, fetched.status())) break;
  }
  return fetched;
}

StatusOr<ImageSource::Fetched> RegistryClient::Resolve(const Context& ctx) {
  Descriptor wanted;
  wanted.digest = reference_.digest();
  StatusOr<Fetched> fetched =
      GetFromAny(ctx, wanted, reference_.Selector(), !reference_.has_digest());
  if (!fetched.ok()) {
    return Annotate(fetched.status(), "resolve " + Quoted(reference_.str()));
  }
  return fetched;
}

StatusOr<ImageSource::Fetched> RegistryClient::FetchManifest(
    const Context& ctx, const Descriptor& descriptor) {
  if (descriptor.size > kMaxManifestBytes) {
    return FailedPrecondition("manifest " + descriptor.digest.str() + " of " +
                              std::to_string(descriptor.size) +
                              " bytes is over the limit");
  }
  return GetFromAny(ctx, descriptor, descriptor.digest.str(), false);
}

Status RegistryClient::FetchBlob(
    const Context& ctx, const Descriptor& descriptor, ContentStore& store,
    const std::function<void(uint64_t)>& progress) {
  Status result =
      FailedPrecondition("no host of " + reference_.domain() + " may be asked");
  for (const size_t index : Order(false)) {
    result = FetchBlobFrom(ctx, index, descriptor, store, progress);
    if (result.ok() || IsFinal(ctx, result)) break;
  }
  return Annotate(result, "fetch blob " + descriptor.digest.str());
}

Status RegistryClient::FetchBlobFrom(
    const Context& ctx, size_t index, const Descriptor& descriptor,
    ContentStore& store, const std::function<void(uint64_t)>& progress) {
  ASSIGN_OR_RETURN(const std::unique_ptr<BlobWriter> writer,
                   store.Ingest(descriptor));
  progress(writer->offset());
  int attempt = 0;
  int resumes = 0;
  uint64_t last = writer->offset();
  while (writer->offset() < descriptor.size) {
    HttpRequest request;
    // A blob that is compressed on its way has no ranges that fit.
    request.headers = {{"Accept", "*/*"}, {"Accept-Encoding", "identity"}};
    const uint64_t offset = writer->offset();
    if (offset > 0) {
      request.headers.emplace_back("Range",
                                   "bytes=" + std::to_string(offset) + "-");
    }
    uint64_t skip = 0;
    const BodySink sink = [&](const HttpResponse& head,
                              std::string_view bytes) -> Status {
      if (bytes.empty()) {
        if (head.status == 206) return CheckRange(head, offset);
        skip = offset;  // ranges are ignored: all of it comes again
        return OkStatus();
      }
      const size_t known = std::min<uint64_t>(skip, bytes.size());
      skip -= known;
      bytes.remove_prefix(known);
      RETURN_IF_ERROR(writer->Append(bytes));
      progress(writer->offset());
      return OkStatus();
    };
    Duration retry_after(0);
    const Status sent = Send(ctx, index, "blobs/" + descriptor.digest.str(),
                             request, &sink, &retry_after)
                            .status();
    if (sent.ok() && writer->offset() < descriptor.size) break;  // too short
    if (sent.ok()) continue;
    if (writer->offset() >= last + kProgressThatCounts) {
      attempt = 0;
      last = writer->offset();
    }
    if (sent.code() == StatusCode::kFailedPrecondition && offset > 0 &&
        resumes == 0) {
      // 416: what we have is not part of what the server has.
      ++resumes;
      RETURN_IF_ERROR(writer->Restart());
      progress(0);
      continue;
    }
    if (!MayPass(sent) || attempt + 1 >= policy_.tries ||
        resumes >= policy_.max_resumes) {
      return sent;
    }
    ++resumes;
    RETURN_IF_ERROR(Wait(ctx, attempt++, retry_after));
  }
  return writer->Commit();
}

}  // namespace berth::image
