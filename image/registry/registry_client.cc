#include "image/registry/registry_client.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "base/json.h"
#include "base/strings.h"
#include "image/registry/registry_request.h"

namespace berth::image {
namespace {

constexpr char kManifestTypes[] =
    "application/vnd.oci.image.index.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.v2+json, */*";
constexpr uint64_t kProgressThatCounts = 1 << 20;

// After an answer that will not change.
Attempt::Hope HopeAfterRefusal(const RegistryHost& host) {
  return host.is_upstream ? Attempt::Hope::kThisRound : Attempt::Hope::kOthers;
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
                               RetryPolicy policy)
    : http_(http),
      reference_(reference),
      policy_(policy),
      authorizer_(http, "repository:" + reference.path() + ":pull"),
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

StatusOr<HttpResponse> RegistryClient::SendTo(const Context& ctx,
                                              const RegistryHost& host,
                                              const std::string& path,
                                              HttpRequest request,
                                              const BodySink* sink) {
  request.url = host.api + "/" + reference_.path() + "/" + path;
  // A mirror of many registries has to know which one is meant.
  if (!host.is_upstream) {
    request.url += path.find('?') == std::string::npos ? "?ns=" : "&ns=";
    request.url += UrlEncode(reference_.domain());
  }
  return SendToRegistry(ctx, http_, authorizer_, host, std::move(request),
                        sink);
}

RegistryClient::Answer RegistryClient::Send(const Context& ctx, size_t index,
                                            const std::string& path,
                                            const HttpRequest& request,
                                            const BodySink* sink) {
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
  Answer answer;
  Attempt& attempt = answer.attempt;
  attempt.hope = HopeAfterRefusal(host);
  if (!response.ok()) {
    attempt.status = response.status();
    // Of a document without end; a sink's own is about our disk.
    if (attempt.status.code() == StatusCode::kResourceExhausted &&
        sink == nullptr) {
      attempt.status = InvalidArgument(Message(attempt.status));
    }
    if (attempt.status.code() == StatusCode::kUnavailable) {
      attempt.hope = HasUnknownHost(attempt.status) ? Attempt::Hope::kOthers
                                                    : Attempt::Hope::kAll;
    }
    return answer;
  }
  answer.http_status = response->status;
  if (response->status >= 300) {
    attempt.status =
        RegistryError(*response, request.method + " " + host.api + "/" +
                                     reference_.path() + "/" + path);
    if (MayPass(response->status)) attempt.hope = Attempt::Hope::kAll;
    attempt.retry_after = RetryAfter(*response);
    return answer;
  }
  answer.response = *std::move(response);
  return answer;
}

namespace {

// DATA_LOSS if the bytes are not what they have to be.
StatusOr<ImageSource::Fetched> CheckManifest(HttpResponse response,
                                             const Descriptor& wanted,
                                             const std::string& selector) {
  ImageSource::Fetched fetched;
  fetched.bytes = std::move(response.body);
  fetched.descriptor = wanted;
  const std::string type = response.Header("content-type");
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
  const std::string claimed = response.Header("docker-content-digest");
  if (StartsWith(claimed, "sha256:") && claimed != digest.str()) {
    return DataLoss("manifest " + Quoted(selector) + " has digest " +
                    digest.str() + ", its server says " + Quoted(claimed));
  }
  return fetched;
}

}  // namespace

std::optional<Attempt> RegistryClient::FindKnown(const Context& ctx,
                                                 size_t index,
                                                 const std::string& selector,
                                                 HttpRequest request,
                                                 StatusOr<Fetched>& fetched) {
  request.method = "HEAD";
  Answer answer = Send(ctx, index, "manifests/" + selector, request, nullptr);
  if (!answer.attempt.status.ok()) {
    const bool refused =
        answer.http_status != 0 && answer.attempt.hope != Attempt::Hope::kAll;
    if (refused) return std::nullopt;  // a GET may do, and says why if not
    return answer.attempt;
  }
  const StatusOr<Digest> digest =
      Digest::Parse(answer.response.Header("docker-content-digest"));
  if (!digest.ok()) return std::nullopt;
  StatusOr<std::string> bytes = known_(*digest);
  if (!bytes.ok()) return std::nullopt;
  answer.response.body = *std::move(bytes);
  fetched = CheckManifest(std::move(answer.response), Descriptor(), selector);
  if (!fetched.ok()) return std::nullopt;
  MutexLock lock(mutex_);
  preferred_ = index;
  return answer.attempt;
}

StatusOr<ImageSource::Fetched> RegistryClient::GetFromAny(
    const Context& ctx, const Descriptor& wanted, const std::string& selector,
    bool to_resolve) {
  HttpRequest request;
  request.headers = {{"Accept", kManifestTypes}};
  request.max_body = kMaxManifestBytes;
  StatusOr<Fetched> fetched = NotFound("no manifest");
  const auto ask = [&](size_t index) {
    if (to_resolve && known_) {
      const auto found = FindKnown(ctx, index, selector, request, fetched);
      if (found) return *found;
    }
    Answer answer = Send(ctx, index, "manifests/" + selector, request, nullptr);
    if (!answer.attempt.status.ok()) return answer.attempt;
    fetched = CheckManifest(std::move(answer.response), wanted, selector);
    answer.attempt.status = fetched.status();
    if (fetched.ok()) {
      MutexLock lock(mutex_);
      preferred_ = index;
    }
    return answer.attempt;
  };
  RETURN_IF_ERROR(AskHosts(ctx, policy_, Order(to_resolve), ask));
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

namespace {

constexpr size_t kMostTags = 10'000;
constexpr size_t kTagsAtOnce = 1000;

Status ReadTags(const std::string& body, std::vector<std::string>& tags) {
  ASSIGN_OR_RETURN(const Json json, ParseJson(body, "list of tags"));
  std::vector<std::string> some;
  JsonReader reader(json, "list of tags");
  reader.Get("tags", some);
  RETURN_IF_ERROR(reader.status());
  tags.insert(tags.end(), some.begin(), some.end());
  if (tags.size() <= kMostTags) return OkStatus();
  return ResourceExhausted("more than " + std::to_string(kMostTags) + " tags");
}

// Of "<URL>; rel="next"" the query: how a registry says where to go on is its
// own matter, but the list stays where it is, on the host that we ask.
std::string NextPage(const std::string& link, const std::string& last_tag) {
  const std::string url = link.substr(0, link.find('>'));
  const size_t query = url.find('?');
  if (query != std::string::npos && query + 1 < url.size()) {
    return "tags/list" + url.substr(query, url.find('#') - query);
  }
  return "tags/list?n=" + std::to_string(kTagsAtOnce) +
         "&last=" + UrlEncode(last_tag);
}

}  // namespace

// Page after page: the answer says where the next one is (OCI distribution
// specification 1.1, "Listing Tags").
Attempt RegistryClient::TagsAt(const Context& ctx, size_t index,
                               std::vector<std::string>& tags) {
  HttpRequest request;
  request.max_body = kMaxManifestBytes;
  tags.clear();
  std::string path = "tags/list?n=" + std::to_string(kTagsAtOnce);
  while (true) {
    Answer answer = Send(ctx, index, path, request, nullptr);
    Attempt& attempt = answer.attempt;
    if (!attempt.status.ok()) return attempt;
    const size_t before = tags.size();
    attempt.status = ReadTags(answer.response.body, tags);
    const std::string link = answer.response.Header("link");
    if (!attempt.status.ok() || tags.size() == before || link.empty()) {
      return attempt;
    }
    path = NextPage(link, tags.back());
  }
}

StatusOr<std::vector<std::string>> RegistryClient::ListTags(
    const Context& ctx) {
  std::vector<std::string> tags;
  const Status asked = AskHosts(ctx, policy_, Order(true), [&](size_t index) {
    return TagsAt(ctx, index, tags);
  });
  RETURN_IF_ERROR_AS(asked, "list the tags of " + Quoted(reference_.name()));
  std::sort(tags.begin(), tags.end());
  return tags;
}

// One blob on its way, over all tries and hosts.
struct RegistryClient::BlobFetch {
  const Descriptor& descriptor;
  ContentStore& store;
  const std::function<void(uint64_t)>& progress;
  std::unique_ptr<BlobWriter> writer;
  int resumes = 0;
  uint64_t counted = 0;       // where the last progress that counts ended
  bool out_of_range = false;  // the last answer: 416

  // From what an earlier try left.
  Status Open() {
    ASSIGN_OR_RETURN(writer, store.Ingest(descriptor));
    counted = writer->offset();
    progress(counted);
    return OkStatus();
  }
  // From nothing.
  Status Renew() {
    writer.reset();
    ASSIGN_OR_RETURN(writer, store.Ingest(descriptor));
    RETURN_IF_ERROR(writer->Restart());
    counted = 0;
    progress(0);
    return OkStatus();
  }
};

Status RegistryClient::FetchBlob(
    const Context& ctx, const Descriptor& descriptor, ContentStore& store,
    const std::function<void(uint64_t)>& progress) {
  BlobFetch fetch{descriptor, store, progress, nullptr};
  RETURN_IF_ERROR(fetch.Open());
  RETURN_IF_ERROR_AS(
      AskHosts(ctx, policy_, Order(false),
               [&](size_t index) { return FetchBlobFrom(ctx, index, fetch); }),
      "fetch blob " + descriptor.digest.str());
  return OkStatus();
}

Attempt RegistryClient::FetchBlobFrom(const Context& ctx, size_t index,
                                      BlobFetch& fetch) {
  const bool resumed = fetch.writer->offset() > 0;
  Attempt attempt = ReadBlob(ctx, index, fetch);
  // 416, or bytes that do not match: what another try or host left need not be
  // a part of what this one has.
  const bool mismatch =
      attempt.status.code() == StatusCode::kDataLoss || fetch.out_of_range;
  if (mismatch) {
    const Status renewed = fetch.Renew();
    if (!renewed.ok()) return {renewed, Attempt::Hope::kNone};
    if (resumed) attempt = ReadBlob(ctx, index, fetch);
  }
  if (fetch.writer->offset() >= fetch.counted + kProgressThatCounts) {
    attempt.progress = true;
    fetch.counted = fetch.writer->offset();
  }
  if (++fetch.resumes >= policy_.max_resumes &&
      attempt.hope == Attempt::Hope::kAll) {
    attempt.hope = Attempt::Hope::kOthers;
  }
  return attempt;
}

Attempt RegistryClient::ReadBlob(const Context& ctx, size_t index,
                                 BlobFetch& fetch) {
  HttpRequest request;
  // A blob that is compressed on its way has no ranges that fit.
  request.headers = {{"Accept", "*/*"}, {"Accept-Encoding", "identity"}};
  const uint64_t offset = fetch.writer->offset();
  if (offset > 0) {
    request.headers.emplace_back("Range",
                                 "bytes=" + std::to_string(offset) + "-");
  }
  uint64_t skip = 0;
  Status stored;
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
    stored = fetch.writer->Append(bytes);
    if (stored.ok()) fetch.progress(fetch.writer->offset());
    return stored;
  };
  Attempt attempt;
  attempt.hope = HopeAfterRefusal(HostAt(index));
  fetch.out_of_range = false;
  if (offset < fetch.descriptor.size) {
    const Answer answer = Send(
        ctx, index, "blobs/" + fetch.descriptor.digest.str(), request, &sink);
    attempt = answer.attempt;
    fetch.out_of_range = answer.http_status == 416;
  }
  if (attempt.status.ok()) {
    stored = fetch.writer->Commit();
    attempt.status = stored;
  }
  // Our own disk, not the host.
  if (!stored.ok() && stored.code() != StatusCode::kDataLoss) {
    attempt.hope = Attempt::Hope::kNone;
  }
  return attempt;
}

}  // namespace berth::image
