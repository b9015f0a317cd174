#include "base/http/http_client.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "base/mutex.h"
#include "base/strings.h"
#include "base/sys/file.h"

namespace berth {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr size_t kMaxHeaderBytes = 256 * 1024;
constexpr size_t kMaxIdle = 16;
constexpr uint64_t kMaxCaBytes = 4 * 1024 * 1024;
// Of an unsuccessful response: enough for a registry's error list.
constexpr uint64_t kMaxErrorBody = 64 * 1024;
// Windows in which a server may be silent about what it got: it may have to
// check it, or to store it elsewhere.
constexpr int kSilentWindows = 10;

bool IsSuccess(int status) { return status >= 200 && status < 300; }

bool IsRedirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 ||
         status == 308;
}

// 169.254.0.0/16 and fe80::/10: where a host keeps its metadata service.
bool IsLinkLocal(const curl_sockaddr& address) {
  if (address.family == AF_INET) {
    const auto* in = reinterpret_cast<const sockaddr_in*>(&address.addr);
    return (ntohl(in->sin_addr.s_addr) >> 16) == 0xa9fe;
  }
  if (address.family == AF_INET6) {
    const auto* in = reinterpret_cast<const sockaddr_in6*>(&address.addr);
    if (IN6_IS_ADDR_V4MAPPED(&in->sin6_addr)) {
      return in->sin6_addr.s6_addr[12] == 169 &&
             in->sin6_addr.s6_addr[13] == 254;
    }
    return IN6_IS_ADDR_LINKLOCAL(&in->sin6_addr);
  }
  return false;
}

// For redirects; `refused` is a bool that tells why the connect failed.
curl_socket_t OpenPublicSocket(void* refused, curlsocktype,
                               curl_sockaddr* address) {
  if (IsLinkLocal(*address)) {
    *static_cast<bool*>(refused) = true;
    return CURL_SOCKET_BAD;
  }
  return socket(address->family, address->socktype | SOCK_CLOEXEC,
                address->protocol);
}

curl_socket_t OpenSocket(void*, curlsocktype, curl_sockaddr* address) {
  return socket(address->family, address->socktype | SOCK_CLOEXEC,
                address->protocol);
}

// ErrnoOf a failed name lookup; no other error here has one.
constexpr int kUnknownHost = EHOSTUNREACH;

constexpr char kNoTls[] = "the server speaks no TLS";

// What OpenSSL says when "HTTP/1.1 400" comes in place of a ServerHello.
bool AnswersInPlainText(const std::string& why) {
  return why.find("wrong version number") != std::string::npos ||
         why.find("packet length too long") != std::string::npos ||
         why.find("http request") != std::string::npos;
}

bool IsTlsError(CURLcode code) {
  switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
      return true;
    default:
      return false;
  }
}

// The CAs of a request as one PEM text. It takes the place of the system's one
// file; the system's hashed directory (CURLOPT_CAPATH, set when libcurl was
// built) goes on to count.
StatusOr<std::string> CaBundle(const std::vector<std::string>& files) {
  std::string all;
  for (const std::string& file : files) {
    const StatusOr<std::string> pem = ReadFile(file, kMaxCaBytes);
    // Not NOT_FOUND: that would be taken for what is asked for.
    if (!pem.ok()) {
      return FailedPrecondition("read CA certificates: " +
                                Message(pem.status()));
    }
    all += *pem;
    all += '\n';
  }
  return all;
}

}  // namespace

bool SpeaksNoTls(const Status& status) {
  return status.code() == StatusCode::kFailedPrecondition &&
         Message(status).find(kNoTls) != std::string::npos;
}

bool HasUnknownHost(const Status& status) {
  return ErrnoOf(status) == kUnknownHost;
}

std::string HttpResponse::Header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return "";
}

std::vector<std::string> HttpResponse::HeaderAll(std::string_view name) const {
  std::vector<std::string> all;
  for (const auto& [key, value] : headers) {
    if (key == name) all.push_back(value);
  }
  return all;
}

// Idle multi handles: each keeps the connections of the requests it served.
class HttpClient::Pool {
 public:
  ~Pool() {
    for (CURLM* multi : idle_) curl_multi_cleanup(multi);
  }
  CURLM* Take() {
    {
      MutexLock lock(mutex_);
      if (!idle_.empty()) {
        CURLM* multi = idle_.back();
        idle_.pop_back();
        return multi;
      }
    }
    CURLM* multi = curl_multi_init();
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, 4L);
    return multi;
  }
  void Give(CURLM* multi) {
    {
      MutexLock lock(mutex_);
      if (idle_.size() < kMaxIdle) {
        idle_.push_back(multi);
        return;
      }
    }
    curl_multi_cleanup(multi);
  }

 private:
  Mutex mutex_;
  std::vector<CURLM*> idle_ GUARDED_BY(mutex_);
};

// One request and its response. Single-threaded.
class HttpClient::Transfer {
 public:
  Transfer(const HttpRequest& request, const Url& url, const BodySink* sink,
           const TransferLimits& limits)
      : request_(request),
        url_(url),
        sink_(sink),
        limits_(limits),
        easy_(curl_easy_init()) {}
  ~Transfer() {
    curl_easy_cleanup(easy_);
    curl_slist_free_all(header_list_);
  }
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  Status Prepare(const std::string& user_agent, bool redirected);
  Status Run(const Context& ctx, CURLM* multi);
  HttpResponse TakeResponse() { return std::move(response_); }

 private:
  static size_t OnHeader(char* data, size_t, size_t size, void* self) {
    return static_cast<Transfer*>(self)->TakeHeader({data, size}) ? size : 0;
  }
  static size_t OnBody(char* data, size_t, size_t size, void* self) {
    return static_cast<Transfer*>(self)->TakeBody({data, size}) ? size : 0;
  }
  bool TakeHeader(std::string_view line);
  bool TakeBody(std::string_view bytes);
  // Tells the sink once that a good response begins.
  bool AnnounceHead();
  Status PrepareTls();
  void PrepareProxy();
  Status Outcome(CURLcode code) const;
  // UNAVAILABLE if too little moved in the window that ends now.
  Status CheckRate();
  uint64_t SentBytes() const;
  // The server has all that it can answer.
  bool AwaitsAnswer(uint64_t sent) const {
    return request_.method != "GET" && request_.method != "HEAD" &&
           sent >= request_.body.size() && response_.status < 200;
  }
  std::string What() const { return request_.method + " " + url_.Printable(); }

  const HttpRequest& request_;
  const Url& url_;
  const BodySink* const sink_;
  const TransferLimits limits_;
  CURL* const easy_;
  curl_slist* header_list_ = nullptr;
  char error_[CURL_ERROR_SIZE] = "";
  std::string ca_bundle_;
  HttpResponse response_;
  size_t header_bytes_ = 0;
  bool announced_ = false;
  bool link_local_ = false;
  steady_clock::time_point window_start_;
  uint64_t window_bytes_ = 0;  // received
  uint64_t sent_before_ = 0;   // of the body, before the window
  int silent_windows_ = 0;
  Status failed_;  // of the sink or a limit
};

bool HttpClient::Transfer::TakeHeader(std::string_view line) {
  window_bytes_ += line.size();
  header_bytes_ += line.size();
  if (header_bytes_ > kMaxHeaderBytes) {
    failed_ = ResourceExhausted(What() + ": response headers too long");
    return false;
  }
  line = Trim(line);
  if (StartsWith(line, "HTTP/")) {  // also after a 100 Continue
    response_.headers.clear();
    const size_t space = line.find(' ');
    const std::optional<int64_t> code =
        space == std::string_view::npos ? std::nullopt
                                        : ParseInt(line.substr(space + 1, 3));
    response_.status = static_cast<int>(code.value_or(0));
    return true;
  }
  const size_t colon = line.find(':');
  if (colon != std::string_view::npos) {
    response_.headers.emplace_back(Lower(Trim(line.substr(0, colon))),
                                   std::string(Trim(line.substr(colon + 1))));
  }
  return true;
}

bool HttpClient::Transfer::AnnounceHead() {
  if (announced_ || sink_ == nullptr || !IsSuccess(response_.status)) {
    return true;
  }
  announced_ = true;
  failed_ = (*sink_)(response_, {});
  return failed_.ok();
}

bool HttpClient::Transfer::TakeBody(std::string_view bytes) {
  window_bytes_ += bytes.size();
  if (sink_ != nullptr && IsSuccess(response_.status)) {
    if (!AnnounceHead()) return false;
    failed_ = (*sink_)(response_, bytes);
    return failed_.ok();
  }
  const bool wanted = IsSuccess(response_.status);
  const uint64_t limit =
      wanted ? request_.max_body : std::min(request_.max_body, kMaxErrorBody);
  if (response_.body.size() + bytes.size() > limit) {
    if (!wanted) return true;  // an error text needs no end
    failed_ = ResourceExhausted(What() + ": body longer than " +
                                std::to_string(limit) + " bytes");
    return false;
  }
  response_.body.append(bytes);
  return true;
}

Status HttpClient::Transfer::PrepareTls() {
  curl_easy_setopt(easy_, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
  if (request_.tls.skip_verify) {
    curl_easy_setopt(easy_, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(easy_, CURLOPT_SSL_VERIFYHOST, 0L);
  }
  if (!request_.tls.ca_files.empty()) {
    ASSIGN_OR_RETURN(ca_bundle_, CaBundle(request_.tls.ca_files));
    curl_blob blob = {ca_bundle_.data(), ca_bundle_.size(), CURL_BLOB_NOCOPY};
    curl_easy_setopt(easy_, CURLOPT_CAINFO_BLOB, &blob);
  }
  if (!request_.tls.client_certificate.empty()) {
    const std::string& key = request_.tls.client_key.empty()
                                 ? request_.tls.client_certificate
                                 : request_.tls.client_key;
    curl_easy_setopt(easy_, CURLOPT_SSLCERT,
                     request_.tls.client_certificate.c_str());
    curl_easy_setopt(easy_, CURLOPT_SSLKEY, key.c_str());
  }
  return OkStatus();
}

void HttpClient::Transfer::PrepareProxy() {
  if (IsLoopback(url_.host)) {
    curl_easy_setopt(easy_, CURLOPT_NOPROXY, "*");
    return;
  }
  // libcurl reads all the variables but this one, which a CGI program's
  // client could set; we are no CGI program.
  const char* proxy = getenv("HTTP_PROXY");
  if (url_.scheme == "http" && proxy != nullptr &&
      getenv("http_proxy") == nullptr) {
    curl_easy_setopt(easy_, CURLOPT_PROXY, proxy);
  }
}

Status HttpClient::Transfer::Prepare(const std::string& user_agent,
                                     bool redirected) {
  if (easy_ == nullptr) return ResourceExhausted("curl_easy_init");
  curl_easy_setopt(easy_, CURLOPT_URL, request_.url.c_str());
  curl_easy_setopt(easy_, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy_, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy_, CURLOPT_ERRORBUFFER, error_);
  curl_easy_setopt(easy_, CURLOPT_USERAGENT, user_agent.c_str());
  curl_easy_setopt(easy_, CURLOPT_BUFFERSIZE, 512L * 1024);
  curl_easy_setopt(
      easy_, CURLOPT_CONNECTTIMEOUT_MS,
      static_cast<long>(
          duration_cast<milliseconds>(request_.connect_timeout).count()));
  curl_easy_setopt(easy_, CURLOPT_HEADERFUNCTION, &Transfer::OnHeader);
  curl_easy_setopt(easy_, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(easy_, CURLOPT_WRITEFUNCTION, &Transfer::OnBody);
  curl_easy_setopt(easy_, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(easy_, CURLOPT_OPENSOCKETFUNCTION,
                   redirected ? &OpenPublicSocket : &OpenSocket);
  curl_easy_setopt(easy_, CURLOPT_OPENSOCKETDATA, &link_local_);
  curl_easy_setopt(easy_, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  if (request_.method == "HEAD") {
    curl_easy_setopt(easy_, CURLOPT_NOBODY, 1L);
  } else if (request_.method != "GET") {
    curl_easy_setopt(easy_, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(request_.body.size()));
    curl_easy_setopt(easy_, CURLOPT_POSTFIELDS, request_.body.data());
    curl_easy_setopt(easy_, CURLOPT_CUSTOMREQUEST, request_.method.c_str());
  }
  for (const auto& [name, value] : request_.headers) {
    // A line break in a value would start a header of somebody else's making.
    if ((name + value).find_first_of("\r\n") != std::string::npos) {
      return InvalidArgument("header " + Quoted(name) + " with a line break");
    }
    header_list_ =
        curl_slist_append(header_list_, (name + ": " + value).c_str());
  }
  curl_easy_setopt(easy_, CURLOPT_HTTPHEADER, header_list_);
  PrepareProxy();
  return PrepareTls();
}

Status HttpClient::Transfer::Outcome(CURLcode code) const {
  if (!failed_.ok()) return failed_;
  if (code == CURLE_OK) return OkStatus();
  if (link_local_) {
    return InvalidArgument(What() + ": redirect to a link-local address");
  }
  const std::string why = error_[0] != '\0' ? error_ : curl_easy_strerror(code);
  const std::string text = What() + ": " + why;
  // A connection that broke during the handshake says nothing about trust.
  const bool broke = why.find("SSL_ERROR_SYSCALL") != std::string::npos ||
                     why.find("reset by peer") != std::string::npos;
  if (code == CURLE_SSL_CONNECT_ERROR && !broke && AnswersInPlainText(why)) {
    return FailedPrecondition(What() + ": " + kNoTls + " (" + why + ")");
  }
  if (IsTlsError(code) && !broke) return FailedPrecondition(text);
  if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL) {
    return InvalidArgument(text);
  }
  if (code == CURLE_COULDNT_RESOLVE_HOST ||
      code == CURLE_COULDNT_RESOLVE_PROXY) {
    return Errno(kUnknownHost, text);
  }
  return Unavailable(text);
}

uint64_t HttpClient::Transfer::SentBytes() const {
  curl_off_t sent = 0;
  curl_easy_getinfo(easy_, CURLINFO_SIZE_UPLOAD_T, &sent);
  return static_cast<uint64_t>(std::max<curl_off_t>(sent, 0));
}

Status HttpClient::Transfer::CheckRate() {
  const Duration passed = steady_clock::now() - window_start_;
  if (passed < limits_.window) return OkStatus();
  const uint64_t sent = SentBytes();
  const uint64_t bytes = std::exchange(window_bytes_, 0) + sent -
                         std::exchange(sent_before_, sent);
  window_start_ = steady_clock::now();
  const auto millis =
      static_cast<uint64_t>(duration_cast<milliseconds>(passed).count());
  if (bytes > 0 &&
      bytes * 1000 / std::max<uint64_t>(millis, 1) >= limits_.min_rate) {
    return OkStatus();
  }
  if (AwaitsAnswer(sent) && ++silent_windows_ < kSilentWindows) {
    return OkStatus();
  }
  return Unavailable(What() + ": " + std::to_string(bytes) + " bytes in " +
                     std::to_string(millis / 1000) + " s, the limit is " +
                     std::to_string(limits_.min_rate) + " bytes a second");
}

Status HttpClient::Transfer::Run(const Context& ctx, CURLM* multi) {
  curl_multi_add_handle(multi, easy_);
  window_start_ = steady_clock::now();
  Status result;
  for (int running = 1; running > 0;) {
    result = ctx.Check();
    if (!result.ok()) {
      result = Annotate(result, What());
      break;
    }
    const CURLMcode did = curl_multi_perform(multi, &running);
    if (did != CURLM_OK) {
      result = Internal(What() + ": " + curl_multi_strerror(did));
      break;
    }
    if (running == 0) break;
    result = CheckRate();
    if (!result.ok()) break;
    curl_waitfd cancel = {ctx.cancel_fd(), CURL_WAIT_POLLIN, 0};
    const Duration left = window_start_ + limits_.window - steady_clock::now();
    const Duration wait =
        ctx.Remaining(std::clamp<Duration>(left, Duration::zero(), seconds(1)));
    curl_multi_poll(
        multi, &cancel, cancel.fd >= 0 ? 1 : 0,
        static_cast<int>(duration_cast<milliseconds>(wait).count()) + 1,
        nullptr);
  }
  if (result.ok()) {
    int left = 0;
    CURLcode code = CURLE_RECV_ERROR;
    while (const CURLMsg* message = curl_multi_info_read(multi, &left)) {
      if (message->msg == CURLMSG_DONE) code = message->data.result;
    }
    if (code == CURLE_OK) AnnounceHead();  // a body of no bytes
    result = Outcome(code);
  }
  curl_multi_remove_handle(multi, easy_);
  return result;
}

HttpClient::HttpClient(std::string user_agent, TransferLimits limits)
    : user_agent_(std::move(user_agent)),
      limits_(limits),
      pool_(std::make_unique<Pool>()) {
  // Thread-safe and counted since 7.84.
  curl_global_init(CURL_GLOBAL_DEFAULT);
}

HttpClient::~HttpClient() = default;

StatusOr<HttpResponse> HttpClient::Fetch(const Context& ctx,
                                         const HttpRequest& request) const {
  return FollowRedirects(ctx, request, nullptr);
}

StatusOr<HttpResponse> HttpClient::Download(const Context& ctx,
                                            const HttpRequest& request,
                                            const BodySink& sink) const {
  return FollowRedirects(ctx, request, &sink);
}

namespace {

// Turns `request` into the one for where `response` points to.
Status Redirect(const HttpResponse& response, const Url& from,
                HttpRequest& request) {
  const std::string location = response.Header("location");
  const std::string what = "redirect from " + from.Printable();
  if (location.empty()) return InvalidArgument(what + ": no Location");
  ASSIGN_OR_RETURN_AS(request.url, ResolveUrl(request.url, location), what);
  ASSIGN_OR_RETURN_AS(const Url to, Url::Parse(request.url), what);
  if (from.scheme == "https" && to.scheme == "http" &&
      !request.allow_downgrade) {
    return InvalidArgument(what + ": to http is refused");
  }
  if (!to.SameServer(from)) {
    std::erase_if(request.headers, [](const auto& header) {
      const std::string name = Lower(header.first);
      return name == "authorization" || name == "cookie" ||
             name == "proxy-authorization";
    });
    request.tls.client_certificate.clear();
    request.tls.client_key.clear();
  }
  // RFC 9110, 15.4.4; 301 and 302 do so too in practice.
  if (response.status <= 303 && request.method != "HEAD") {
    request.method = "GET";
    request.body.clear();
  }
  return OkStatus();
}

}  // namespace

StatusOr<HttpResponse> HttpClient::FollowRedirects(const Context& ctx,
                                                   HttpRequest request,
                                                   const BodySink* sink) const {
  for (int hops = 0;; ++hops) {
    ASSIGN_OR_RETURN(const Url url, Url::Parse(request.url));
    Transfer transfer(request, url, sink, limits_);
    RETURN_IF_ERROR(transfer.Prepare(user_agent_, hops > 0));
    CURLM* multi = pool_->Take();
    const Status done = transfer.Run(ctx, multi);
    pool_->Give(multi);
    RETURN_IF_ERROR(done);
    HttpResponse response = transfer.TakeResponse();
    if (!IsRedirect(response.status)) return response;
    if (hops >= request.max_redirects) {
      // The server's fault, not the caller's.
      return Unavailable("redirect from " + url.Printable() + ": more than " +
                         std::to_string(request.max_redirects));
    }
    RETURN_IF_ERROR(Redirect(response, url, request));
  }
}

}  // namespace berth
